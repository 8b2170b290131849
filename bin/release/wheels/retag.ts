/** The command `release wheel-retag`. */

import { type RetaggedWheel, retagWheel } from '../../../release/wheels/retag.js';
import { type Context, note, writeJson, writeLines } from '../../cli/context.js';
import { sayWarnings } from '../../cli/warnings.js';
import { findLocalFiles } from '../local-files.js';
import type { RetagOptions } from './command.js';

/** Makes each of the wheels under its new version. */
export async function retag(words: readonly string[], options: RetagOptions, context: Context): Promise<void> {
  const { version, out, allowOtherVersion: allowOther } = options;
  const wheels: RetaggedWheel[] = [];
  for (const path of await findLocalFiles(words)) {
    wheels.push(await retagWheel({ path, version, out, allowOther: allowOther === true }));
  }
  sayWarnings(
    context,
    wheels.flatMap(({ path, remains }) => remains.map((message) => ({ message: `\`${path}\`: ${message}` }))),
  );
  if (options.json) return writeJson(context.stdout, { wheels });
  for (const { path, state, madeFrom } of wheels) note(context, options, `${state}: ${path}, made of ${madeFrom.file}`);
  await writeLines(
    context.stdout,
    wheels.map(({ path }) => path),
  );
}
