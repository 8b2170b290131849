import { type FileHandle, lstat, open, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { createTemporaryNames, removeLeftovers, removeTree } from '../../lib/filesystem/temporary.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import { exportPaths } from '../../lib/store/export.js';
import { type ClosureOptions, closureOf, closureWarnings } from '../closures.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, note, say, write, writeJson, writeLines } from '../context.js';
import { interruptible } from '../interrupt.js';
import { loadSecretKeys } from '../keys.js';
import { openLocalPaths, resolveLocalPaths } from '../local-paths.js';
import { printable } from '../printable.js';
import { count, formatBytes } from '../terminal.js';

export interface ExportCommandOptions extends CommonOptions, Pick<ClosureOptions, 'closure'> {
  readonly out?: string;
}

export async function run(whats: readonly string[], options: ExportCommandOptions, context: Context): Promise<void> {
  const { out } = options;
  if (out === undefined) checkStdout(options, context);
  else await checkFile(out);
  const settings = await settingsOf({ ...options }, context);
  const keys = await loadSecretKeys(settings['secret-key-files'].values);
  const here = await openLocalPaths(settings, context);
  const { store } = here;
  const roots = await resolveLocalPaths(whats, here, context);
  const closure = await closureOf(options, store, roots);
  for (const { message } of closureWarnings(closure, options)) say(context, printable(`warning: ${message}\n`));
  const infos = topologicalOrder(closure.graph);
  const stream = exportPaths(store, infos, keys);

  const paths = infos.map(({ path }) => path);
  if (out === undefined) {
    for await (const bytes of stream) await write(context.stdout, bytes);
  } else {
    const size = await writeWholeFile(out, stream);
    if (options.json) await writeJson(context.stdout, { file: resolve(out), size, storePaths: paths });
    else await writeLines(context.stdout, paths);
  }
  const narSize = infos.reduce((sum, info) => sum + info.narSize, 0);
  if (!options.json) note(context, options, `exported ${count(paths.length, 'path')} (${formatBytes(narSize)})`);
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

async function checkFile(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined || stats.isFile()) return;
  throw new CarportError('E_USAGE', `\`${path}\` is there already and is no file`, {
    hint: 'name another file; for a pipe or a device leave `--out` out and write `> FILE`',
  });
}

/** Writes a file that is there whole or not at all; gives its size. */
async function writeWholeFile(path: string, stream: AsyncIterable<Uint8Array>): Promise<number> {
  const directory = dirname(resolve(path));
  await removeLeftovers(directory);
  const temporary = (await createTemporaryNames(directory))();
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  try {
    return await interruptible(stop, async () => {
      const file = await open(temporary, 'wx');
      try {
        for await (const bytes of stream) {
          if (stopped) throw new Error('interrupted');
          await writeAll(file, bytes);
        }
        const { size } = await file.stat();
        await rename(temporary, path);
        return size;
      } finally {
        await file.close();
      }
    });
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

/** One call of `write` may take fewer bytes. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    offset += (await file.write(bytes, offset)).bytesWritten;
  }
}
