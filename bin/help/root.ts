/** The help of carport itself: its commands by group, and exit codes. */

import { EXIT_CODES } from '../cli/exit-code.js';
import { COMMAND_GROUPS } from '../commands.js';
import { section } from './sections.js';

export function rootHelp(): string {
  const groups = Object.entries(COMMAND_GROUPS).map(([title, entries]) =>
    section(
      title,
      entries.map(({ name, summary, commands = [] }) => [name, [summary, ...wrapped(commands)].join('\n')]),
    ),
  );
  const codes = section('Exit status', Object.entries(EXIT_CODES));
  return [
    'carport brings what a build produced, whole and verifiable, to the people who need it.\n',
    'Usage:\n  carport COMMAND [OPTIONS]\n  carport COMMAND --help\n  carport --version [--json]\n',
    ...groups,
    codes,
  ].join('\n');
}

const WIDTH = 60;

/** Words with commas between, in lines that are not long. */
function wrapped(words: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (const [index, word] of words.entries()) {
    const text = index < words.length - 1 ? `${word},` : word;
    const line = lines.at(-1);
    if (line === undefined || line.length + text.length >= WIDTH) lines.push(text);
    else lines[lines.length - 1] = `${line} ${text}`;
  }
  return lines;
}
