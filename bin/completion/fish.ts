/** The completion script of fish. */

import { SED } from './functions.js';
import { CACHE_OPTIONS, type Place, takersOf, type Word } from './places.js';

const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** Fish takes the lines of a command as they are. */
export function renderFish(places: readonly Place[]): string {
  const lines = places.flatMap((place) => {
    const condition = ` -n ${quote(conditionOf(place, places))}`;
    const words = place.words.map(
      (word) => `complete -c carport${condition} ${what(word)} -d ${quote(word.description)}`,
    );
    const args = (['pins', 'caches'] as const)
      .filter((kind) => place.takes.includes(kind))
      .map((kind) => `complete -c carport${condition} -a '(_carport_candidates ${kind})' -d ${kind.slice(0, -1)}`);
    return [...words, ...args];
  });
  const takers = takersOf(places, 'toolchains').map((path) => path.split(' ').slice(1).join(' '));
  return `# fish completion for carport
function _carport_toolchains
  set -l directory $PWD
  while test -n "$directory" -a ! -f "$directory/carport.toml"; set directory (string replace -r '/[^/]*$' '' -- $directory); end
  test -f "$directory/carport.toml"; and ${SED} "$directory/carport.toml"
end
function _carport_candidates
  set -l of
  set -l previous
  for word in (commandline -opc)
    contains -- "$previous" ${CACHE_OPTIONS.join(' ')}; and set of --of=$word
    string match -qr '^(${CACHE_OPTIONS.join('|')})=' -- $word; and set of --of=(string replace -r '^[^=]*=' '' -- $word)
    set previous $word
  end
  command carport completion fish --candidates $argv[1] $of </dev/null 2>/dev/null
end
${lines.join('\n')}
complete -c carport -n '__fish_seen_subcommand_from ${takers.join(' ')}' -a '(_carport_toolchains)' -d 'toolchain'
`;
}

function conditionOf({ path }: Place, places: readonly Place[]): string {
  const at = path.split(' ').slice(1);
  const children = places
    .filter((place) => place.path.startsWith(`${path} `))
    .map((place) => place.path.split(' ')[at.length + 1]!);
  const conditions = [
    ...at.map((word) => `__fish_seen_subcommand_from ${word}`),
    ...(children.length > 0 ? [`not __fish_seen_subcommand_from ${[...new Set(children)].join(' ')}`] : []),
  ];
  return conditions.join('; and ');
}

function what({ word, value }: Word): string {
  if (!word.startsWith('--')) return `-a ${word}`;
  const name = `-l ${word.slice(2)}`;
  if (value === undefined) return name;
  if (typeof value !== 'string') return `${name} -x -a ${quote(value.join(' '))}`;
  if (value === 'text') return `${name} -x`;
  return value === 'files' ? `${name} -r` : `${name} -r -a '(_carport_candidates ${value})'`;
}
