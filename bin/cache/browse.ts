/** The commands `cache info`, `ls` and `cat`. */

import { listHashParts, readNarInfo, requireCacheInfo } from '../../cache/binary-cache.js';
import { listCachedPath, readCachedFile } from '../../cache/browse.js';
import type { CacheUrl } from '../../cache/cache-url.js';
import { findPath } from '../../cache/find-path.js';
import { trustNow } from '../../cache/keys/follow.js';
import { listNars, type NarFault, narFault } from '../../cache/nars.js';
import { findPin } from '../../cache/pins/find.js';
import { lookUpPin } from '../../cache/pins/look-up.js';
import type { PinReference } from '../../cache/pins/reference.js';
import { noSuchPin } from '../../cache/pull/targets.js';
import { CarportError } from '../../lib/errors.js';
import { findInListing, renderListing } from '../../lib/nix/nar/listing.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { findInnerPath } from '../arguments/inner-path.js';
import { type Context, write, writeJson, writeLines } from '../cli/context.js';
import { count, formatBytes } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import { writeList } from '../reporters/table.js';
import { createLister, listingEvents } from '../scripts/nar-lister.js';
import type { BrowseOptions, CatOptions, LsOptions } from './command.js';
import { factLines, infoJson } from './common.js';

const READS_AT_ONCE = 64;

/** Shows what a cache is and how much it holds. Throws where a NAR is missing, when all is shown. */
export async function showInfo(url: CacheUrl, options: BrowseOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async ({ objects }) => {
    const info = await requireCacheInfo(objects);
    // A web server does not tell what it has.
    const held = isListable(objects) ? await whatIsIn(objects) : undefined;
    const { paths = null, narSize = null, fileSize = null, fault, faults = 0 } = held ?? {};
    const shown = { url: objects.url, ...infoJson(info), paths, narSize, fileSize };
    if (options.json) await writeJson(context.stdout, shown);
    else await writeLines(context.stdout, factLines(shown));
    if (fault) throw incomplete(objects, fault, faults, paths ?? 0);
  });
}

interface Held {
  readonly paths: number;
  readonly narSize: number;
  readonly fileSize: number;
  /** The first path whose NAR is not as its narinfo says. */
  readonly fault?: Look | undefined;
  /** How many there are. */
  readonly faults: number;
}

/** What is known of the NAR of a path. */
interface Look {
  readonly path: string;
  readonly fault: NarFault | undefined;
}

/** Sums up a cache. The NARs are listed first: what is pushed after that is asked for, one by one. */
async function whatIsIn(objects: ObjectStore): Promise<Held> {
  const nars = await listNars(objects);
  const look = async (info: NarInfo) => ({ info, fault: await narFault(objects, info, nars) });
  let [paths, narSize, fileSize, faults] = [0, 0, 0, 0];
  let first: Look | undefined;
  for await (const { info, fault } of narInfos(objects, look)) {
    paths++;
    narSize += info.narSize;
    fileSize += info.fileSize ?? 0;
    if (fault === undefined) continue;
    faults++;
    first ??= { path: info.path, fault };
  }
  return { paths, narSize, fileSize, fault: first, faults };
}

function incomplete({ url }: ObjectStore, { path, fault }: Look, faults: number, paths: number): CarportError {
  const more = faults > 1 ? ` and of ${count(faults - 1, 'other path')}` : '';
  const code = fault === 'missing' ? 'E_NOT_FOUND' : 'E_INTEGRITY';
  return new CarportError(code, `\`${url}\` lacks the NAR of \`${path}\`${more}, of ${count(paths, 'path')}`, {
    cause: new Error(fault === 'missing' ? 'it is not there' : 'it has not the size that its narinfo says'),
    hint: 'the cache is not complete: push these paths again with `--check-all`, from where they are',
  });
}

/** What is listed of a path. */
interface Found {
  readonly path: string;
  readonly narSize: number;
  readonly fileSize: number | undefined;
}

/** Prints the store paths in a cache; with `--long` their sizes in bytes also where no person reads it. */
export async function listPaths(url: CacheUrl, options: LsOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async ({ objects }) => {
    await requireCacheInfo(objects);
    const found: Found[] = [];
    const pick = ({ path, narSize, fileSize }: NarInfo): Found => ({ path, narSize, fileSize });
    for await (const each of narInfos(objects, pick)) found.push(each);
    found.sort((a, b) => (a.path < b.path ? -1 : 1));
    if (options.json) {
      const details = found.map(({ path, narSize, fileSize = null }) => ({ path, narSize, fileSize }));
      return writeJson(context.stdout, { paths: found.map(({ path }) => path), ...(options.long && { details }) });
    }
    await writeList(context, found, {
      columns: [{ name: 'store path' }, { name: 'size', isNumber: true }, { name: 'stored', isNumber: true }],
      row: ({ path, narSize, fileSize }) => [
        path,
        ...[narSize, fileSize].map((size) => (size === undefined ? '-' : formatBytes(size))),
      ],
      line: (each) => (options.long ? longLine(each) : each.path),
    });
  });
}

function longLine({ path, narSize, fileSize }: Found): string {
  return `${String(narSize).padStart(12)} ${String(fileSize ?? '-').padStart(12)} ${path}`;
}

/** Prints the files of a cached store path, or of a directory in it: their modes and sizes, with `--long` and without. */
export async function listFiles(url: CacheUrl, path: string, options: LsOptions, context: Context): Promise<void> {
  const node = await withCache(url, { options, context }, async ({ objects }) => {
    const { hashPart, inner } = await findInnerPath(path, objects, (pin) => lookUpPin(objects, pin));
    const info = await readNarInfo(objects, hashPart);
    if (info && (await narFault(objects, info))) {
      const message = `the NAR of \`${info.path}\` is not in \`${objects.url}\`, or not whole`;
      warnPeople(context)({ type: 'warning', message });
    }
    const found = info && findInListing(await listCachedPath(objects, info), inner);
    if (found) return found;
    throw new CarportError('E_NOT_FOUND', `\`${path}\` is not in \`${objects.url}\``);
  });
  if (options.json) return write(context.stdout, `${renderListing(node)}\n`);
  const lister = createLister(context.stdout.isTTY === true);
  const lines = [...listingEvents(node)].map(lister).filter((line) => line !== undefined);
  await write(context.stdout, Buffer.concat(lines));
}

/** Prints a file of a cached store path, checked. */
export async function cat(url: CacheUrl, path: string, options: CatOptions, context: Context): Promise<void> {
  const policy = pinPolicyOf(options.settings, options);
  const readPin = async (pin: PinReference, objects: ObjectStore) => {
    const found = await findPin([objects], pin, policy, seenPinsOf(context), warnPeople(context));
    if (found === undefined) throw await noSuchPin(pin.name, [objects]);
    return found.value;
  };
  await withCache(url, { options, context }, async ({ objects }) => {
    const { storeDir } = await requireCacheInfo(objects);
    const { hashPart, inner } = await findInnerPath(path, objects, (pin) => readPin(pin, objects));
    const { info } = await findPath([objects], { hashPart, path: undefined, storeDir }, policy, () => undefined);
    const contents = readCachedFile(objects, info, inner, trustNow(policy, objects));
    for await (const bytes of contents) await write(context.stdout, Uint8Array.from(bytes));
  });
}

/** Each narinfo, as `use` makes it; many are read at a time. */
async function* narInfos<T>(objects: ObjectStore, use: (info: NarInfo) => Promise<T> | T): AsyncGenerator<T> {
  let batch: string[] = [];
  const readOne = async (hashPart: string) => {
    const info = await readNarInfo(objects, hashPart);
    return info ? [await use(info)] : [];
  };
  async function* read(): AsyncGenerator<T> {
    const hashParts = batch;
    batch = [];
    for (const used of await Promise.all(hashParts.map(readOne))) yield* used;
  }
  for await (const hashPart of listHashParts(objects)) {
    batch.push(hashPart);
    if (batch.length >= READS_AT_ONCE) yield* read();
  }
  yield* read();
}
