/** Completion scripts. */

import type { Command } from 'commander';
import { commandPath } from '../help/command-help.js';
import { TOOLCHAIN_WORDS } from '../project/options.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A word that may come next, and what it is for. */
interface Word {
  readonly word: string;
  readonly description: string;
}

/** A place in the command tree: `carport store add`, and the words that may follow there. */
interface Place {
  readonly path: string;
  readonly words: readonly Word[];
  /** Names of toolchains of the project may follow, too. */
  readonly takesToolchains: boolean;
}

/** A script for a shell that completes commands, options and their fixed choices; files otherwise. */
export function renderCompletion(shell: Shell, program: Command): string {
  const places = placesIn(program);
  switch (shell) {
    case 'bash':
      return renderBash(places);
    case 'zsh':
      return renderZsh(places);
    case 'fish':
      return renderFish(places);
  }
}

function placesIn(command: Command): readonly Place[] {
  const subcommands = command.commands.map((child) => ({
    word: child.name(),
    description: child.summary() || child.description(),
  }));
  const options = command.options
    .filter(({ hidden }) => !hidden)
    .map(({ long, description }) => ({ word: long!, description }));
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  const words = [
    ...subcommands,
    ...choices.map((word) => ({ word, description: '' })),
    ...options,
    { word: '--help', description: 'show help' },
  ];
  const takesToolchains = command.registeredArguments.some(({ description }) =>
    description.startsWith(TOOLCHAIN_WORDS),
  );
  return [{ path: commandPath(command), words, takesToolchains }, ...command.commands.flatMap(placesIn)];
}

/** Prints what is left of `=` in the table: of these names no shell makes anything else. */
const SED = String.raw`sed -n '/^\[toolchains\]/,/^\[/s/^\([A-Za-z0-9][A-Za-z0-9._+-]*\)[[:space:]]*=.*/\1/p'`;

/** A function of bash and zsh that prints the names of the project's toolchains. */
const TOOLCHAINS = `_carport_toolchains() {
  local directory=$PWD
  while [[ -n $directory && ! -f $directory/carport.toml ]]; do directory=\${directory%/*}; done
  [[ ! -f $directory/carport.toml ]] || ${SED} "$directory/carport.toml"
}
`;

/** The names of the commands, not of their subcommands, after which toolchains may follow. */
function takersOf(places: readonly Place[]): readonly string[] {
  return places.filter(({ takesToolchains }) => takesToolchains).map(({ path }) => path);
}

/** Shell code that finds the longest command that the words before the cursor begin with. */
function caseBranches(places: readonly Place[], render: (place: Place) => string): string {
  return places.map((place) => `    '${place.path}') ${render(place)} ;;`).join('\n');
}

function renderBash(places: readonly Place[]): string {
  const words = caseBranches(places, ({ words }) => `words='${words.map(({ word }) => word).join(' ')}'`);
  const known = places.map(({ path }) => `'${path}'`).join('|');
  const takers = takersOf(places)
    .map((path) => `'${path}'`)
    .join('|');
  return `# bash completion for carport
${TOOLCHAINS}_carport() {
  local current=\${COMP_WORDS[COMP_CWORD]} path=carport word words=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in ${known}) path="$path $word" ;; esac
  done
  case "$path" in
${words}
  esac
  case "$path" in ${takers}) words="$words $(_carport_toolchains)" ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _carport carport
`;
}

function renderZsh(places: readonly Place[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const describe = ({ word, description }: Word) => quote(`${word.replaceAll(':', '\\:')}:${description}`);
  const words = caseBranches(places, (place) => `candidates=(${place.words.map(describe).join(' ')})`);
  const known = places.map(({ path }) => `'${path}'`).join('|');
  const takers = takersOf(places)
    .map((path) => `'${path}'`)
    .join('|');
  return `#compdef carport
${TOOLCHAINS}_carport() {
  local path_so_far=carport word
  local -a candidates
  for word in "\${words[@]:1:$((CURRENT - 2))}"; do
    case "$path_so_far $word" in ${known}) path_so_far="$path_so_far $word" ;; esac
  done
  case "$path_so_far" in
${words}
  esac
  case "$path_so_far" in ${takers}) candidates+=(\${(f)"$(_carport_toolchains)"}) ;; esac
  _describe 'carport' candidates || _files
  [[ "\${words[CURRENT]}" == -* ]] || _files
}
if [ "$funcstack[1]" = _carport ]; then _carport "$@"; else compdef _carport carport; fi
`;
}

function renderFish(places: readonly Place[]): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ path, words }) => {
    const at = path.split(' ').slice(1);
    const children = places
      .filter((place) => place.path.startsWith(`${path} `))
      .map((place) => place.path.split(' ')[at.length + 1]!);
    const conditions = [
      ...at.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(children.length > 0 ? [`not __fish_seen_subcommand_from ${[...new Set(children)].join(' ')}`] : []),
    ];
    const condition = conditions.length > 0 ? ` -n ${quote(conditions.join('; and '))}` : '';
    return words.map(({ word, description }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c carport${condition} ${what} -d ${quote(description)}`;
    });
  });
  const takers = takersOf(places).map((path) => path.split(' ').slice(1).join(' '));
  const toolchains = `function _carport_toolchains
  set -l directory $PWD
  while test -n "$directory" -a ! -f "$directory/carport.toml"; set directory (string replace -r '/[^/]*$' '' -- $directory); end
  test -f "$directory/carport.toml"; and ${SED} "$directory/carport.toml"
end
complete -c carport -n '__fish_seen_subcommand_from ${takers.join(' ')}' -a '(_carport_toolchains)' -d 'toolchain'`;
  return `# fish completion for carport\n${lines.join('\n')}\n${toolchains}\n`;
}
