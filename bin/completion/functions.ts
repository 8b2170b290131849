/** Shell code that the scripts of bash and zsh share. */

import { CACHE_OPTIONS, enumerations, optionsWith, type Place, patterns, takersOf, VALUE_KINDS } from './places.js';

/** Prints what is left of `=` in the table: of these names no shell makes anything else. */
export const SED = String.raw`sed -n '/^\[toolchains\]/,/^\[/s/^\([A-Za-z0-9][A-Za-z0-9._+-]*\)[[:space:]]*=.*/\1/p'`;

/** Functions that print the names of the project's toolchains, and what carport knows: nothing where anything is wrong. */
export function helpers(shell: 'bash' | 'zsh'): string {
  return `_carport_toolchains() {
  local directory=$PWD
  while [[ -n $directory && ! -f $directory/carport.toml ]]; do directory=\${directory%/*}; done
  [[ ! -f $directory/carport.toml ]] || ${SED} "$directory/carport.toml"
}
_carport_candidates() {
  command carport completion ${shell} --candidates "$1" \${2:+"--of=$2"} </dev/null 2>/dev/null
}
`;
}

/** Shell code that goes through the words before the cursor: which command it is, and which cache was named. */
export function walk(places: readonly Place[]): string {
  return `    if [[ $word == -- ]]; then kind=files; break; fi
    case "$where $word" in ${patterns(places.map(({ path }) => path))}) where="$where $word" ;; esac
    case "$previous" in ${patterns(CACHE_OPTIONS)}) cache=$word ;; esac
    case "$word" in ${CACHE_OPTIONS.map((option) => `${option}=*`).join('|')}) cache=\${word#*=} ;; esac
    previous=$word`;
}

/**
 * Shell code that sets `kind`: `caches`, `pins` of a cache, `names` of toolchains, `files`, `text`, or `values`, which are then in
 * `values`. `has_toolchains` and `has_files` are set where those may stand beside pins.
 */
export function choose(places: readonly Place[]): string {
  const fixed = [...enumerations(places)].map(
    ([words, options]) => `    ${patterns(options)}) kind=values values='${words}' ;;`,
  );
  const others = VALUE_KINDS.map((kind) => ({ kind, options: optionsWith(places, kind) }))
    .filter(({ options }) => options.length > 0)
    .map(({ kind, options }) => `    ${patterns(options)}) kind=${kind} ;;`);
  const [caches, pins, toolchains] = (['caches', 'pins', 'toolchains'] as const).map((what) => takersOf(places, what));
  return `  [[ -n $kind ]] || case "$where $previous" in
${[...fixed, ...others].join('\n')}
    *) if [[ $current != -* ]]; then
      case "$where" in ${patterns(toolchains!)}) kind=names has_toolchains=1 ;; esac
      case "$where" in ${patterns(pins!)}) kind=pins ;; esac
      case "$where" in ${patterns(caches!)}) kind=caches ;; esac
      case "$where" in ${patterns(takersOf(places, 'files'))}) has_files=1 ;; esac
    fi ;;
  esac`;
}
