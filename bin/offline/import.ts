/** The command `import`: takes such a file in. */

import { stat } from 'node:fs/promises';
import { CarportError } from '../../lib/errors.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { importPaths } from '../../lib/store/import.js';
import { NIX, openStoreForWriting } from '../../lib/store/open.js';
import { realPathIn } from '../../lib/store/own/layout.js';
import { withStoreWrite } from '../../lib/store/own/lock/lock.js';
import { makeOutLink, prepareOutLinks } from '../../lib/store/own/out-links.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { openSource } from '../cli/source.js';
import { count, formatBytes } from '../cli/terminal.js';
import { withPool } from '../cli/with-pool.js';
import { withActivity } from '../reporters/activity.js';
import type { ImportCommandOptions } from './import-command.js';

/** Takes the paths of an export into carport's own store. What was taken before an error stays, and is printed. */
export async function run(file: string, options: ImportCommandOptions, context: Context): Promise<void> {
  const { settings, allowUnsigned } = options;
  const selection = settings.store.value;
  if (selection === NIX) {
    throw new CarportError('E_USAGE', "`--store nix`: `carport import` is for carport's own store", {
      hint: 'the system’s Nix takes the same stream, and checks no signature: `nix-store --import < FILE`',
    });
  }
  const store = openStoreForWriting(selection, context.env);
  const trust = { keys: settings['trusted-keys'].value, allowUnsigned };
  const size = await sizeOf(file);
  checkNotTerminal(file, context);
  const links = await prepareOutLinks(options.outLink, (link, path) =>
    makeOutLink(store, link, realPathIn(store.layout, path)),
  );

  const stop = new AbortController();
  const infos: PathInfo[] = [];
  try {
    const work = async () => {
      await withPool(settings.jobs.value, (pool) =>
        interruptible(
          () => stop.abort(),
          async () => {
            const source = await openSource(file, context, stop.signal);
            await withActivity(context, options, async ({ emit }) => {
              emit({ type: 'started', verb: 'import', unit: 'paths', ...(size !== undefined && { bytes: size }) });
              for await (const info of importPaths(source, { store, pool, trust, emit })) infos.push(info);
            });
          },
        ),
      );
      await links.make(rootsOf(infos));
    };
    await withStoreWrite(store, work, { notify: ({ message }) => note(context, options, message) });
  } catch (error) {
    // What is registered stays.
    if (infos.length > 0) await print(infos, options, context).catch(() => undefined);
    throw error;
  }
  await print(infos, options, context);
  const narSize = infos.reduce((sum, info) => sum + info.narSize, 0);
  if (!options.json) note(context, options, `imported ${count(infos.length, 'path')} (${formatBytes(narSize)})`);
}

async function print(infos: readonly PathInfo[], { json }: ImportCommandOptions, { stdout }: Context): Promise<void> {
  const paths = infos.map(({ path }) => path);
  if (json) await writeJson(stdout, { storePaths: paths });
  else await writeLines(stdout, paths);
}

/** The size of a file in bytes, which is about that of the NARs in it; `undefined` for a stream. Throws for a directory. */
async function sizeOf(file: string): Promise<number | undefined> {
  const stats = file === '-' ? undefined : await stat(file).catch(() => undefined);
  if (!stats?.isDirectory()) return stats?.isFile() ? stats.size : undefined;
  throw new CarportError('E_USAGE', `\`${file}\` is a directory, and no export`, {
    hint: 'name the file that `carport export --out` wrote; `carport pull --from` takes a directory that is a cache',
  });
}

function checkNotTerminal(file: string, { stdin }: Context): void {
  if (file !== '-' || !('isTTY' in stdin && stdin.isTTY)) return;
  throw new CarportError('E_USAGE', 'it is not said what to import', {
    hint: 'carport import FILE, or carport import < FILE',
  });
}

/** The paths to which no other refers. */
function rootsOf(infos: readonly PathInfo[]): readonly string[] {
  const needed = new Set(infos.flatMap(({ path, references }) => references.filter((each) => each !== path)));
  return infos.map(({ path }) => path).filter((path) => !needed.has(path));
}
