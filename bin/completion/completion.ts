/** Completion scripts. */

import type { Command } from 'commander';
import { commandPath } from '../help/command-help.js';

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
  return [{ path: commandPath(command), words }, ...command.commands.flatMap(placesIn)];
}

/** Shell code that finds the longest command that the words before the cursor begin with. */
function caseBranches(places: readonly Place[], render: (place: Place) => string): string {
  return places.map((place) => `    '${place.path}') ${render(place)} ;;`).join('\n');
}

function renderBash(places: readonly Place[]): string {
  const words = caseBranches(places, ({ words }) => `words='${words.map(({ word }) => word).join(' ')}'`);
  const known = places.map(({ path }) => `'${path}'`).join('|');
  return `# bash completion for carport
_carport() {
  local current=\${COMP_WORDS[COMP_CWORD]} path=carport word words=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in ${known}) path="$path $word" ;; esac
  done
  case "$path" in
${words}
  esac
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
  return `#compdef carport
_carport() {
  local path_so_far=carport word
  local -a candidates
  for word in "\${words[@]:1:$((CURRENT - 2))}"; do
    case "$path_so_far $word" in ${known}) path_so_far="$path_so_far $word" ;; esac
  done
  case "$path_so_far" in
${words}
  esac
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
  return `# fish completion for carport\n${lines.join('\n')}\n`;
}
