/** Keeps those who add, collect and use paths of an own store from each other's work. */

import { setTimeout } from 'node:timers/promises';
import { CarportError, FULL, isErrno } from '../../../errors.js';
import { makeDirectory } from '../../../filesystem/make-directory.js';
import { createTemporaryNames, removeLeftovers } from '../../../filesystem/temporary.js';
import type { Notice } from '../../../notice.js';
import type { OwnStore } from '../own-store.js';
import { describeMarker } from './holders.js';
import { activeMarkers, type LockHolder, type Lower, writeMarker } from './markers.js';

/*
 * Who is at work in an own store, without a daemon and without locks: each process has a marker file, and its name tells
 * the process. A killed one leaves its marker behind, and it counts for nothing.
 *
 * Everybody first makes its own marker and then looks for those of others; who finds one that it cannot work beside
 * removes its own, waits and tries again. Of two that start at the same time, the one whose marker was there second looks
 * after both are there, so they never both go on. (A directory is read as it is, or newer, when the reading begins.)
 */

/** What each cannot work beside. A collector keeps what is in use. */
const CONFLICTS: Readonly<Record<LockHolder, readonly LockHolder[]>> = {
  write: ['gc'],
  gc: ['write', 'gc'],
  use: ['gc'],
};

/** A collector is fast; of writers and collectors that follow one another, this one has its turn in this time or not. */
const PATIENCE_MS = 60_000;
const POLL_MS = 100;

/** Then a marker cannot be made, and what only reads the store does without. */
const NOT_WRITABLE = ['EACCES', 'EPERM', 'EROFS', ...FULL];

export interface LockOptions {
  readonly notify?: (notice: LockNotice) => void;
  readonly patienceMs?: number;
  /** Ends the waiting; what it was aborted with is thrown. */
  readonly signal?: AbortSignal;
}

/** What is told of a lock. */
export interface LockNotice extends Notice {
  /** Another process is waited for (told once), or what is used cannot be kept from collectors. */
  readonly kind: 'waiting' | 'unprotected';
}

type ActiveStore = Pick<OwnStore, 'layout' | 'description'>;

/**
 * Does work that adds to a store, and keeps collectors away: from before what is there is looked at until what was added
 * is linked or pinned. Within one process these may be nested, and count as one.
 */
export async function withStoreWrite<T>(
  store: ActiveStore,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { activeDir } = store.layout;
  const shared = writing.get(activeDir) ?? { holders: 0, raised: raise('write', store, '', options) };
  writing.set(activeDir, shared);
  shared.holders++;
  try {
    await shared.raised;
    return await work();
  } finally {
    if (--shared.holders === 0) {
      writing.delete(activeDir);
      await shared.raised.then(({ lower }) => lower()).catch(() => undefined);
    }
  }
}

/** Writers of this process by directory of markers: one that waits for a collector within another would wait for itself. */
const writing = new Map<string, { holders: number; readonly raised: Promise<Raised> }>();

/**
 * Does work that needs paths of a store to stay, with their closures: for running programs from it. Throws when one is
 * not registered (any more). The work gets the marker: while that is mounted for a process, it counts. A store that
 * cannot be written to is used without one.
 */
export async function withStoreUse<T>(
  store: ActiveStore & Pick<OwnStore, 'queryInfos'>,
  storePaths: readonly string[],
  work: (marker: string | undefined) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const raised = await raise('use', store, storePaths.map((path) => `${path}\n`).join(''), options).catch((error) => {
    if (!isErrno(error, ...NOT_WRITABLE)) throw error;
    const danger = 'a garbage collection there may remove what is in use now';
    options.notify?.({ kind: 'unprotected', message: `${store.description} cannot be written to: ${danger}` });
    return undefined;
  });
  try {
    // A collector may have come and gone before the marker was there.
    const infos = await store.queryInfos(storePaths);
    const gone = storePaths.find((path) => !infos.has(path));
    if (gone === undefined) return await work(raised?.marker);
    throw new CarportError('E_NOT_FOUND', `\`${gone}\` is not valid in ${store.description}`, {
      hint: 'pull it again: a garbage collection may have removed it',
    });
  } finally {
    await raised?.lower();
  }
}

/** Does work that takes paths away, while nobody adds any. */
export async function withStoreCollection<T>(
  store: ActiveStore,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { lower } = await raise('gc', store, '', options);
  try {
    return await work();
  } finally {
    await lower();
  }
}

interface Raised {
  readonly marker: string;
  readonly lower: Lower;
}

/** Makes a marker when nobody is there whom it cannot work beside. */
async function raise(
  activity: LockHolder,
  { layout: { activeDir }, description }: ActiveStore,
  content: string,
  { notify, patienceMs = PATIENCE_MS, signal }: LockOptions,
): Promise<Raised> {
  await makeDirectory(activeDir);
  await removeLeftovers(activeDir);
  const nextName = await createTemporaryNames(activeDir);
  const deadline = performance.now() + patienceMs;
  for (let attempt = 0; ; attempt++) {
    const marker = `${nextName()}.${activity}`;
    const lower = await writeMarker(marker, content);
    let other: string | undefined;
    try {
      [other] = (await activeMarkers(activeDir, CONFLICTS[activity])).filter((found) => found !== marker);
    } catch (error) {
      await lower();
      throw error;
    }
    if (other === undefined) return { marker, lower };
    await lower();
    const who = await describeMarker(other, description);
    if (performance.now() >= deadline) {
      throw new CarportError('E_UNAVAILABLE', `${who}, and did not end in time`, {
        hint: `try again when it has ended; if there is no such process, remove \`${other}\``,
      });
    }
    if (attempt === 0) notify?.({ kind: 'waiting', message: `waiting: ${who}` });
    // Two that wait for each other must not go on doing so in step.
    await setTimeout(POLL_MS * (0.5 + Math.random()), undefined, { ...(signal && { signal }) });
  }
}
