/** What Nix is asked of paths, and answers that were asked for before. */

import { CarportError } from '../../errors.js';
import type { ProgramResult } from '../../process/run.js';
import { NIX_COMMAND, startNix } from './program.js';

/** `--offline`: whether a path is valid here is no question for a substituter. */
export const PATH_INFO = ['path-info', '--json', '--offline'];

/** Nix's from 2.33 on, where going without is deprecated; 2 is the first that all of these know. */
export const JSON_FORMAT: readonly string[] = ['--json-format', '2'];

/** A flag for all that paths refer to. */
export const RECURSIVE = ['--recursive'] as const;

/** What Nix was asked, and how its program ends. */
export interface NixAnswer {
  readonly arguments: readonly string[];
  readonly result: Promise<ProgramResult>;
}

/** The arguments with which Nix is asked about paths, or about their closure. */
export function askedOfNix(what: 'paths' | 'closure', paths: readonly string[]): readonly string[] {
  return [...NIX_COMMAND, ...PATH_INFO, ...JSON_FORMAT, ...(what === 'closure' ? RECURSIVE : []), ...paths];
}

/** The arguments with which Nix is asked for its setting `store` (2.20 and later). */
export const STORE_SETTING = [...NIX_COMMAND, 'config', 'show', 'store'];

/**
 * Asks Nix about paths, none of them a derivation, or about their closure and where its store is, for whoever asks the same next.
 */
export function askAhead(
  what: 'paths' | 'closure',
  paths: readonly string[],
  env: NodeJS.ProcessEnv,
): readonly NixAnswer[] {
  const questions = [askedOfNix(what, paths), ...(what === 'closure' ? [STORE_SETTING] : [])];
  return questions.map((args) => {
    const result = startNix('nix', args, env);
    // Perhaps nobody will ask.
    result.catch(() => undefined);
    return { arguments: args, result };
  });
}

/**
 * The output of the answer to a question, if there is one and Nix could tell; asking again says why not. Throws `E_INTERRUPTED` when
 * an interrupt has ended Nix.
 */
export async function answerTo(args: readonly string[], answers: readonly NixAnswer[]): Promise<string | undefined> {
  const isOf = (answer: NixAnswer) =>
    args.length === answer.arguments.length && args.every((arg, at) => arg === answer.arguments[at]);
  const found = await answers.find(isOf)?.result.catch(rethrow);
  return found?.failure === undefined ? found?.stdout : undefined;
}

/** Throws an error as one of this script: it may come from the one that is there before the program, which has classes of its own. */
function rethrow(error: Error & { readonly code?: unknown; readonly hint?: string }): never {
  throw error.code === 'E_INTERRUPTED' ? new CarportError(error.code, error.message, { hint: error.hint }) : error;
}
