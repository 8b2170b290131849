import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { CarportError } from '../../lib/errors.js';
import type { PathInfo } from '../../lib/nix/narinfo.js';
import { withStoreWrite } from '../../lib/store/activity.js';
import { importPaths } from '../../lib/store/import.js';
import { realPathIn } from '../../lib/store/layout.js';
import { NIX, openStoreForWriting } from '../../lib/store/open.js';
import { checkReplaceable, makeOutLink } from '../../lib/store/roots.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../context.js';
import { interruptible } from '../interrupt.js';
import { parseTrustedKeys } from '../keys.js';
import { outLinks } from '../out-links.js';
import { singleValue } from '../settings.js';
import { count, formatBytes } from '../terminal.js';
import { withPool } from '../with-pool.js';

export interface ImportCommandOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
  readonly outLink?: string;
}

const READ_SIZE = 256 * 1024;

export async function run(file: string, options: ImportCommandOptions, context: Context): Promise<void> {
  const settings = await settingsOf({ ...options }, context);
  const selection = singleValue(settings.store);
  if (selection === NIX) {
    throw new CarportError('E_USAGE', "`--store nix`: `carport import` is for carport's own store", {
      hint: 'the system’s Nix takes the same stream, and checks no signature: `nix-store --import < FILE`',
    });
  }
  const store = openStoreForWriting(selection, context.env);
  const trust = { keys: parseTrustedKeys(settings['trusted-keys']), allowUnsigned: options.allowUnsigned === true };
  if (options.outLink !== undefined) await checkReplaceable(options.outLink);

  const stop = new AbortController();
  const infos = await withStoreWrite(
    store,
    async () => {
      const imported = await withPool(settings.jobs, (pool) =>
        interruptible(
          () => stop.abort(),
          () => importPaths(openStream(file, context, stop.signal), { store, pool, trust }),
        ),
      );
      const roots = rootsOf(imported);
      const links = outLinks(options.outLink, roots.length);
      for (const link of links) await checkReplaceable(link);
      for (const [index, link] of links.entries()) {
        await makeOutLink(store, link, realPathIn(store.layout, roots[index]!));
      }
      return imported;
    },
    { onWait: (message) => note(context, options, message) },
  );
  const paths = infos.map(({ path }) => path);
  if (options.json) await writeJson(context.stdout, { storePaths: paths });
  else await writeLines(context.stdout, paths);
  const narSize = infos.reduce((sum, info) => sum + info.narSize, 0);
  if (!options.json) note(context, options, `imported ${count(paths.length, 'path')} (${formatBytes(narSize)})`);
}

function openStream(file: string, { stdin }: Context, signal: AbortSignal): Readable {
  if (file !== '-') return addAbortSignal(signal, createReadStream(file, { highWaterMark: READ_SIZE }));
  if ('isTTY' in stdin && stdin.isTTY) {
    throw new CarportError('E_USAGE', 'it is not said what to import', {
      hint: 'carport import FILE, or carport import < FILE',
    });
  }
  return addAbortSignal(signal, stdin);
}

/** The paths to which no other refers. */
function rootsOf(infos: readonly PathInfo[]): readonly string[] {
  const needed = new Set(infos.flatMap(({ path, references }) => references.filter((each) => each !== path)));
  return infos.map(({ path }) => path).filter((path) => !needed.has(path));
}
