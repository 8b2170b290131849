/** The completion script of zsh. */

import { choose, helpers, walk } from './functions.js';
import type { Place, Word } from './places.js';

/** `compadd` quotes what it is given, and expands nothing. */
export function renderZsh(places: readonly Place[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const describe = ({ word, description }: Word) => quote(`${word.replaceAll(':', '\\:')}:${description}`);
  const words = places
    .map((place) => `    '${place.path}') candidates=(${place.words.map(describe).join(' ')}) ;;`)
    .join('\n');
  return `#compdef carport
${helpers('zsh')}_carport() {
  local where=carport previous= cache= kind= values= has_toolchains= has_files= word current=\${(Q)words[CURRENT]}
  local -a candidates found
  for word in "\${(@Q)words[2,CURRENT-1]}"; do
${walk(places)}
  done
  if [[ $current == --*=* ]]; then
    previous=\${current%%=*} current=\${current#*=}
    compset -P 1 '*='
  fi
${choose(places)}
  case "$kind" in
    text) return ;;
    files) _files; return ;;
    values) found=(\${=values}) ;;
    caches) found=(\${(f)"$(_carport_candidates caches)"}) ;;
    pins) found=(\${(f)"$(_carport_candidates pins "$cache")"}) ;;
  esac
  [[ -z $has_toolchains ]] || found+=(\${(f)"$(_carport_toolchains)"})
  if [[ -n $kind ]]; then
    compadd -a -- found
    [[ $kind != caches && -z $has_files ]] || _files
    return
  fi
  case "$where" in
${words}
  esac
  _describe 'carport' candidates || _files
  [[ "\${words[CURRENT]}" == -* ]] || _files
}
if [ "$funcstack[1]" = _carport ]; then _carport "$@"; else compdef _carport carport; fi
`;
}
