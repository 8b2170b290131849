/**
 * Files that were fetched in part, so that a later run goes on from there. What is in them is believed as little as what a server
 * sends: whoever reads one to its end checks it.
 */

import { createHash } from 'node:crypto';
import { type FileHandle, lstat, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isThere, namesIn } from '../../../filesystem/exists.js';
import { makeDirectory } from '../../../filesystem/make-directory.js';
import { createTemporaryNames, makerOf } from '../../../filesystem/temporary.js';
import { encodeNix32 } from '../../../nix/base32.js';
import { createKeptState, type KeptSource, stopKeeping } from '../../../workers/files/kept-source.js';
import type { StoreLayout } from '../layout.js';
import { isLeft, isOld, MOST_BYTES, oldest } from './left.js';

/** Bytes that are read at a time. */
const BLOCK = 1024 * 1024;

/** The file of one object, as far as it was fetched. One process has it at a time. */
export interface PartialFile {
  /** Bytes that were there when it was taken. */
  readonly size: number;
  /** Those bytes; it ends before where they cannot be read, or were given up, and nothing more is kept. */
  read(): AsyncIterable<Uint8Array>;
  /** How the thread that has all bytes of the object as its source adds those that are missing, of at most `limit` in all. */
  kept(limit: number): KeptSource;
  /** Lets go of it: what was added is there for the next. */
  leave(): Promise<void>;
  remove(): Promise<void>;
}

/** Partial files of a store. */
export interface Partials {
  /**
   * Takes the file of an object, with what earlier runs have left; `undefined` where it cannot be had, or the disk has no `room`
   * for all the bytes that the object and what becomes of it will take.
   */
  take(object: string, needs: { readonly room: number }): Promise<PartialFile | undefined>;
  /** Frees the space of all files, also of those that are in use, for a disk that is full. Whether there were any. */
  giveUp(): Promise<boolean>;
}

/** The partial files of a store. `nix32 of the object's hash` and a temporary name: it tells the process that has it. */
export function openPartials({ partialsDir }: Pick<StoreLayout, 'partialsDir'>): Partials {
  const names = createTemporaryNames(partialsDir);
  let [hasGivenUp, hasTaken] = [false, false];
  return {
    async take(object, { room }) {
      const key = keyOf(object);
      const place = join(partialsDir, key);
      if (hasGivenUp || used.has(place)) return undefined;
      used.set(place, { room });
      try {
        await makeDirectory(partialsDir);
        const file = `${place}${basename((await names)())}`;
        await takeOver(partialsDir, key, file, free.get(place));
        await removeOldest(partialsDir);
        if (!(await hasRoom(partialsDir, file))) {
          await rm(file, { force: true });
          free.delete(place);
          used.delete(place);
          return undefined;
        }
        const { partial, giveUp } = await openPartial(file, (kept) => {
          used.delete(place);
          if (kept) free.set(place, file);
          else free.delete(place);
        });
        hasTaken = true;
        if (hasGivenUp) await giveUp();
        used.set(place, { room, giveUp });
        return partial;
      } catch {
        // Without it all is fetched from its start.
        used.delete(place);
        return undefined;
      }
    },
    async giveUp() {
      hasGivenUp = true;
      const isOurs = (place: string) => dirname(place) === partialsDir;
      for (const [place, { giveUp }] of used) if (isOurs(place)) await giveUp?.();
      for (const [place, file] of [...free].filter(([each]) => isOurs(each))) {
        await rm(file, { force: true }).catch(() => undefined);
        free.delete(place);
      }
      const left = await leftIn(partialsDir).catch(() => []);
      for (const { file } of left) await rm(file, { force: true }).catch(() => undefined);
      return hasTaken || left.length > 0;
    },
  };
}

/** How the names of an object's files begin. */
function keyOf(object: string): string {
  return encodeNix32(
    createHash('sha256')
      .update(object)
      .digest()
      .subarray(0, KEY_LENGTH * (5 / 8)),
  );
}

const KEY_LENGTH = 32;

/** Files of this process: those that nobody uses now, and those that somebody does. */
const free = new Map<string, string>();
const used = new Map<string, { readonly room: number; readonly giveUp?: () => Promise<void> }>();

/** Whether the disk has room for all that goes on now, and what is to come of a file. A disk that tells nothing has. */
async function hasRoom(directory: string, file: string): Promise<boolean> {
  const there = (await stat(file).catch(() => undefined))?.size ?? 0;
  const { bavail, bsize, blocks } = await statfs(directory);
  const needed = [...used.values()].reduce((sum, { room }) => sum + room, 0);
  return blocks === 0 || bavail * bsize >= needed - there;
}

/** Removes what runs that are gone have left, and nobody has gone on with for a day; with `all` whatever its age. */
export async function removePartials(
  { partialsDir }: Pick<StoreLayout, 'partialsDir'>,
  { all, now }: { readonly all: boolean; readonly now?: number },
): Promise<void> {
  for (const { file, modified } of await leftIn(partialsDir)) {
    if (all || isOld(modified, now)) await rm(file, { force: true });
  }
}

/** The largest that was left of an object becomes ours. */
async function takeOver(directory: string, key: string, file: string, own: string | undefined): Promise<void> {
  const left = (await leftIn(directory)).filter((each) => basename(each.file).startsWith(key));
  const mine = own === undefined ? [] : [{ file: own, size: (await stat(own).catch(() => undefined))?.size ?? 0 }];
  const [largest, ...others] = [...left, ...mine].sort((a, b) => b.size - a.size);
  // Of several processes that want it one can rename it.
  if (largest) await rename(largest.file, file).catch(() => undefined);
  for (const each of others) await rm(each.file, { force: true });
}

async function removeOldest(directory: string): Promise<void> {
  for (const { file } of oldest(await leftIn(directory), MOST_BYTES)) await rm(file, { force: true });
}

interface LeftFile {
  readonly file: string;
  readonly size: number;
  readonly modified: number;
}

/** Files of processes that are gone; of one that cannot be asked a day after it has written last. */
async function leftIn(directory: string): Promise<readonly LeftFile[]> {
  if (!(await isThere(directory))) return [];
  const left: LeftFile[] = [];
  for (const name of await namesIn(directory)) {
    const maker = await makerOf(name.slice(name.indexOf('.')));
    if (maker === undefined || maker === 'lives') continue;
    const file = join(directory, name);
    const stats = await lstat(file).catch(() => undefined);
    if (!stats?.isFile() || !isLeft(maker, stats.mtimeMs)) continue;
    left.push({ file, size: stats.size, modified: stats.mtimeMs });
  }
  return left;
}

async function openPartial(
  file: string,
  letGo: (kept: boolean) => void,
): Promise<{ readonly partial: PartialFile; giveUp(): Promise<void> }> {
  const handle = await open(file, 'a+', 0o600);
  const { size } = await handle.stat();
  const state = createKeptState();
  let isWorthless = false;
  const stop = async (): Promise<void> => {
    if (!(await stopKeeping(state))) isWorthless = true;
  };
  const giveUp = async (): Promise<void> => {
    await stop();
    isWorthless = true;
    await handle.truncate(0).catch(() => undefined);
  };
  const close = async (keeps: boolean): Promise<void> => {
    if (!isWorthless) await stop();
    await handle.close().catch(() => undefined);
    const isKept = keeps && !isWorthless;
    if (!isKept) await rm(file, { force: true }).catch(() => undefined);
    letGo(isKept);
  };
  const partial: PartialFile = {
    size,
    async *read() {
      if (!(yield* bytesOf(handle, size))) await giveUp();
    },
    kept: (limit) => ({ file: handle.fd, from: size, limit, state }),
    leave: () => close(true),
    remove: () => close(false),
  };
  return { partial, giveUp };
}

/** Whether all of it could be read. */
async function* bytesOf(handle: FileHandle, size: number): AsyncGenerator<Uint8Array, boolean> {
  for (let offset = 0; offset < size; ) {
    const buffer = Buffer.allocUnsafe(Math.min(BLOCK, size - offset));
    const bytesRead = await handle.read(buffer, 0, buffer.length, offset).then(
      (read) => read.bytesRead,
      () => 0,
    );
    if (bytesRead === 0) return false;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  return true;
}
