/** The completion script of bash, also of 3.2. */

import { choose, helpers, walk } from './functions.js';
import type { Place } from './places.js';

/**
 * The words are taken from the line: bash cuts addresses at `:` and `=`, and puts a candidate in place of what comes after the cut
 * only. No candidate is ever expanded, and each is quoted.
 */
export function renderBash(places: readonly Place[]): string {
  const words = places
    .map(({ path, words }) => `    '${path}') values='${words.map(({ word }) => word).join(' ')}' ;;`)
    .join('\n');
  return `# bash completion for carport
${helpers('bash')}_carport() {
  local raw=\${COMP_WORDS[COMP_CWORD]} line=\${COMP_LINE-} where=carport previous= cache= kind= values= found= current cut= word has_toolchains= has_files=
  local -a tokens
  tokens=("\${COMP_WORDS[@]:0:COMP_CWORD+1}")
  if [[ -n $line ]]; then
    line=\${line:0:COMP_POINT}
    read -a tokens <<< "$line"
    [[ $line != *[[:space:]] ]] || tokens+=('')
  fi
  current=\${tokens[\${#tokens[@]}-1]}
  for word in "\${tokens[@]:1:\${#tokens[@]}-2}"; do
${walk(places)}
  done
  case "$current" in --*=*) previous=\${current%%=*} current=\${current#*=} ;; esac
  current=\${current#[\\"\\']} raw=\${raw//\\\\/} raw=\${raw#[\\"\\']}
  case "$raw" in
    :|=) cut=$current ;;
    *) [[ $current != *"$raw" ]] || cut=\${current%"$raw"} ;;
  esac
${choose(places)}
  case "$kind" in
    caches) found=$(_carport_candidates caches) ;;
    pins) found=$(_carport_candidates pins "$cache") ;;
    text) compopt +o default 2>/dev/null ;;
    names|files|values) ;;
    *) case "$where" in
${words}
    esac ;;
  esac
  [[ -z $has_toolchains ]] || found+=$'\\n'$(_carport_toolchains)
  [[ -z $values ]] || found=\${values// /$'\\n'}
  COMPREPLY=()
  while IFS= read -r word; do
    [[ -n $word && $word == "$current"* ]] || continue
    printf -v word %q "\${word#"$cut"}"
    COMPREPLY+=("$word")
  done <<< "$found"
  [[ -n $has_files && $kind == pins ]] || return 0
  compopt -o filenames 2>/dev/null
  while IFS= read -r word; do [[ -z $word ]] || COMPREPLY+=("\${word#"$cut"}"); done <<< "$(compgen -f -- "$current")"
}
complete -o default -F _carport carport
`;
}
