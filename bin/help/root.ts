/** The help of carport itself: its commands by group, and exit codes. */

import { EXIT_CODES } from '../cli/exit-code.js';
import { COMMAND_GROUPS } from '../commands.js';
import { section } from './sections.js';

export function rootHelp(): string {
  const groups = Object.entries(COMMAND_GROUPS).map(([title, entries]) =>
    section(
      title,
      entries.map(({ name, summary }) => [name, summary]),
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
