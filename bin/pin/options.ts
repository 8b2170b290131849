/** Options of pins. */

import { type Command, Option } from 'commander';
import { integerBetween } from '../cli/command.js';

/** Options of commands that read pins. */
export interface PinReadOptions {
  readonly allowUnsigned?: boolean;
  readonly allowRollback?: boolean;
  readonly allowExpired?: boolean;
}

/** Options of commands that set a pin. */
export interface PinWriteOptions {
  readonly expires?: string;
  readonly keepHistory: number;
  readonly discardHistory?: boolean;
  readonly allowRollback?: boolean;
}

export function addPinReadOptions(command: Command): Command {
  return command
    .addOption(allowUnsigned())
    .option('--allow-rollback', 'take a pin that is older than one that was seen before')
    .option('--allow-expired', 'take a pin that has expired');
}

/** For commands that take what was signed elsewhere. */
export function allowUnsigned(): Option {
  return new Option(
    '--allow-unsigned',
    'take paths that no trusted key has signed; a wrong signature is refused all the same',
  );
}

const DEFAULT_HISTORY = 30;
const MAX_HISTORY = 1000;

export function addPinWriteOptions(command: Command): Command {
  return command
    .option('--expires <when>', 'the pin is refused from then on: `90d`, `12h`, a day or a time')
    .option(
      '--keep-history <number>',
      'previous values that the pin keeps',
      integerBetween(0, MAX_HISTORY),
      DEFAULT_HISTORY,
    )
    .option('--discard-history', 'begin anew instead of carrying on with the pin that is there')
    .option(
      '--allow-rollback',
      'carry on with a pin that is older than one that was seen before: the cache was restored',
    );
}
