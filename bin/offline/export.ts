/** The command `export`: closures as one file. */

import { constants } from 'node:fs';
import { access, lstat, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { writeAtomically, writeStream } from '../../lib/filesystem/atomic-write.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import type { Notice } from '../../lib/notice.js';
import { exportPaths } from '../../lib/store/export.js';
import { withHeldPaths } from '../../lib/store/hold-paths.js';
import { openLocalPaths, resolveLocalPaths } from '../arguments/local-paths.js';
import { expandStdin } from '../arguments/paths.js';
import { type Context, note, say, write, writeJson, writeLines } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { printable } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';
import { closureOf, closureWarnings } from '../closure/select.js';
import { withActivity } from '../reporters/activity.js';
import { pullMissing } from '../run/targets.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { ExportCommandOptions } from './export-command.js';

/** Writes the closure of paths as one stream, to stdout or into a file. */
export async function run(targets: readonly string[], options: ExportCommandOptions, context: Context): Promise<void> {
  const { out, settings } = options;
  if (out === undefined) checkStdout(options, context);
  else await checkFile(out);
  const keys = await loadSecretKeys(settings['secret-key-files'].value);
  const here = await openLocalPaths(settings, context);
  const { store, own } = here;
  const words = await expandStdin(targets, context);
  if (options.closure !== 'build') await pullMissing(words, here, { ...options, json: false }, context);
  const roots = await resolveLocalPaths(words, here, context);
  const closure = await closureOf(options, store, roots);
  for (const { message } of closureWarnings(closure, options)) say(context, printable(`warning: ${message}\n`));
  const infos = topologicalOrder(closure.graph);
  const paths = infos.map(({ path }) => path);
  const notify = ({ message }: Notice) => note(context, options, message);
  const work = () =>
    withActivity(context, options, ({ emit }) => writeExport(exportPaths(store, infos, { keys, emit }), out, context));
  const size = await withHeldPaths({ store, own }, infos, work, { notify });
  if (out !== undefined) {
    if (options.json) await writeJson(context.stdout, { file: resolve(out), size, storePaths: paths });
    else await writeLines(context.stdout, paths);
  }
  const narSize = infos.reduce((sum, info) => sum + info.narSize, 0);
  if (!options.json) note(context, options, `exported ${count(paths.length, 'path')} (${formatBytes(narSize)})`);
}

/** Gives the size of the file, if it is one. */
async function writeExport(
  stream: AsyncIterable<Uint8Array>,
  out: string | undefined,
  { stdout }: Context,
): Promise<number | undefined> {
  if (out !== undefined) return writeWholeFile(out, stream);
  for await (const bytes of stream) await write(stdout, bytes);
  return undefined;
}

function checkStdout({ json }: ExportCommandOptions, { stdout }: Context): void {
  if (json) {
    throw new CarportError('E_USAGE', 'stdout takes either the export or JSON', { hint: 'add `--out FILE`' });
  }
  if (stdout.isTTY) {
    throw new CarportError('E_USAGE', 'an export is not for terminals', {
      hint: 'add `> FILE` or `--out FILE`',
    });
  }
}

/** Before the closure is computed, and with the name that was typed. */
async function checkFile(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats !== undefined && !stats.isFile()) {
    throw new CarportError('E_USAGE', `\`${path}\` is there already and is no file`, {
      hint: 'name another file; for a pipe or a device leave `--out` out and write `> FILE`',
    });
  }
  const directory = dirname(path);
  const above = await stat(directory).catch(() => undefined);
  if (!above?.isDirectory() || path.endsWith('/')) {
    throw new CarportError('E_USAGE', `\`--out ${path}\`: there is no such directory`, {
      hint: `name a file in a directory that is there; \`mkdir -p ${path.endsWith('/') ? path : directory}\` makes one`,
    });
  }
  await access(directory, constants.W_OK).catch((cause) => {
    throw new CarportError('E_IO', `\`--out ${path}\`: its directory cannot be written to`, {
      cause,
      hint: 'name a file in a directory of yours',
    });
  });
}

/** Writes a file that is there whole or not at all; gives its size. */
function writeWholeFile(path: string, stream: AsyncIterable<Uint8Array>): Promise<number> {
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  async function* untilStopped(): AsyncGenerator<Uint8Array> {
    for await (const bytes of stream) {
      if (stopped) throw new Error('interrupted');
      yield bytes;
    }
  }
  return writeAtomically(path, (temporary) => interruptible(stop, () => writeStream(temporary, untilStopped())));
}
