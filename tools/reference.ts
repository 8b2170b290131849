/** Prints docs/commands.md, which is made of the help of the commands: `npm run docs`. */

import type { Command } from 'commander';
import { EXIT_CODES } from '../bin/cli/exit-code.js';
import { COMMAND_GROUPS } from '../bin/commands.js';
import { commandPath, formatHelp } from '../bin/help/command-help.js';
import { createWholeProgram } from '../bin/program.js';

const { env, stdin, stdout, stderr } = process;
const program = await createWholeProgram({ env, stdin, stdout, stderr, cwd: () => '.' });
stdout.write(
  [
    '# Commands',
    'Made by `npm run docs` from the help of each command. `carport COMMAND --help` prints the same.',
    '`carport --version` prints the version; with `--json` also those of Node, zstd and the formats.',
    ...Object.entries(COMMAND_GROUPS).flatMap(([title, entries]) => [
      `## ${title}`,
      ...entries.flatMap(({ name }) => sectionsOf(program.commands.find((command) => command.name() === name)!)),
    ]),
    '## Exit status',
    'Of every command. Another code is a failure, too. See [errors](errors.md).',
    exitCodeTable(),
  ].join('\n\n'),
);

/** A section for a command, or for each command of a family. */
function sectionsOf(command: Command): readonly string[] {
  if (command.commands.length > 0) return command.commands.flatMap(sectionsOf);
  return [`### ${commandPath(command)}`, `\`\`\`text\n${helpWithoutExitCodes(command)}\`\`\``];
}

function helpWithoutExitCodes(command: Command): string {
  return formatHelp(command).replace(/\nExit status:\n[\s\S]*$/, '');
}

function exitCodeTable(): string {
  const rows = Object.entries(EXIT_CODES).map(([code, meaning]) => `| ${code} | ${meaning} |\n`);
  return `| code | meaning |\n| --- | --- |\n${rows.join('')}`;
}
