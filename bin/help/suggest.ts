/** What was meant by a command that is none. */

import { nearest, suggestion } from '../../lib/suggestion.js';
import { COMMANDS } from '../commands.js';

/** Words for the same, of which a family has one: another family's takes away something else. */
const REMOVING = ['rm', 'remove', 'delete', 'erase', 'del', 'uninstall'];

/** The hint for a word that is no command; of `family` if that is given. All commands are looked through. */
export function suggestCommand(word: string, family?: string): string {
  const own = family === undefined ? [...COMMANDS.map(({ name }) => name), 'help'] : commandsOf(family);
  const same = word !== 'erase' && REMOVING.includes(word) ? own.find((name) => REMOVING.includes(name)) : undefined;
  if (family !== undefined && same !== undefined && !own.includes(word)) return ask([`carport ${family} ${same}`]);
  const elsewhere = COMMANDS.flatMap(({ name, commands = [] }) => commands.map((child) => ({ name, child })));
  // One that stands alone is what most people mean.
  if (family !== undefined && COMMANDS.some(({ name }) => name === word)) return ask([`carport ${word}`]);
  const exact = elsewhere.filter(({ child }) => child === word).map(({ name, child }) => `carport ${name} ${child}`);
  if (exact.length > 0) return ask(exact.sort((a, b) => rank(a) - rank(b)));
  const best = nearest(word, own);
  if (best !== undefined) return ask([best]);
  const children = [...new Set(elsewhere.map(({ child }) => child))];
  // Of a short word nearly all are near.
  const child = word.length > 3 ? nearest(word, children) : undefined;
  if (child === undefined) return suggestion(word, own);
  return ask(elsewhere.filter((each) => each.child === child).map(({ name }) => `carport ${name} ${child}`));
}

/** The hint for a word that is no option of carport itself. */
export function suggestOption(word: string): string {
  const best = nearest(word, ['--version', '--help']);
  return best === undefined
    ? '`carport --help` lists the commands; options come after one'
    : `did you mean \`${best}\`?`;
}

function commandsOf(family: string): readonly string[] {
  return COMMANDS.find(({ name }) => name === family)?.commands ?? [];
}

/** A cache is what most people have. */
function rank(command: string): number {
  return command.startsWith('carport cache ') ? 0 : 1;
}

function ask(commands: readonly string[]): string {
  return `did you mean ${commands.map((command) => `\`${command}\``).join(' or ')}?`;
}
