/** Declares the commands of `release` around a release: what a maintainer does before it, and a user after it. */

import type { Command } from 'commander';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { declareCommand } from '../../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../../declaration/options.js';

const NOTES_OPTIONS = [
  option('--notes-file <file>', 'the text; of a changelog, the section of the version; `-` is stdin'),
  flag('--commits', 'of commits, though there is a changelog'),
  option('--since <tag>', 'of commits behind this tag (default: the release before)'),
  setting('forge'),
  setting('forge-kind'),
  setting('stable-pattern'),
];

export type NotesCommandOptions = OptionsOf<typeof NOTES_OPTIONS>;

export function configureSteps(command: Command, context: Context): void {
  declareNotes(command, context);
}

function declareNotes(command: Command, context: Context): void {
  declareCommand(command.command('notes'), context, {
    description:
      'Prints what is new in a version, as Markdown: its section of the changelog of the checkout, else the commits since the release before it.',
    examples: [
      'carport release notes v1.2.0',
      'carport release notes --commits --forge https://git.example.org/acme/tool > notes.md',
    ],
    arguments: [
      argument('[version]', 'a tag, also one that is not made yet (default: that of CI, else what is at HEAD)'),
    ],
    options: NOTES_OPTIONS,
    run: async (...values) => (await import('./notes.js')).notes(...values, context),
  });
}
