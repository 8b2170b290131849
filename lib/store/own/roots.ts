/** All that keeps paths from being collected. */

import { readlink, realpath, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CarportError, hasCode } from '../../errors.js';
import { namesIn } from '../../filesystem/exists.js';
import { isTemporaryName } from '../../filesystem/temporary.js';
import { leadsToStorePath } from '../../nix/store-path.js';
import { resolveStorePath } from '../resolve.js';
import { runningPrograms } from './lock/holders.js';
import type { OwnStore } from './own-store.js';
import { listPulledPins, removePulledPin } from './pulled-pins.js';

/** What keeps paths, and all that they refer to, from being collected. */
export interface Root {
  /** An out-link, a pin that was pulled, or a program that runs from the store. */
  readonly kind: 'link' | 'pin' | 'running';
  /** The link's path, the pin as it was asked for, or the process. */
  readonly name: string;
  /** They need not be registered. */
  readonly storePaths: readonly string[];
  /** It could not be said what it needs: these are all that are registered. */
  readonly needsAll?: true;
}

type RootedStore = Pick<OwnStore, 'layout' | 'storeDir' | 'queryReadable'>;

/** Everything that is in use. Throws when that cannot be told. */
export async function listRoots(store: RootedStore): Promise<readonly Root[]> {
  return (await readRoots(store)).roots;
}

export interface Roots {
  readonly roots: readonly Root[];
  /** Notes of out-links that are gone, or point elsewhere now. */
  readonly staleNotes: readonly string[];
}

/** The same, and notes that are of no use any more, from one look at the out-links. */
export async function readRoots(store: RootedStore): Promise<Roots> {
  const links = await notedLinks(store);
  const [pins, programs] = await Promise.all([listPulledPins(store), runningPrograms(store)]);
  const all = programs.every(({ storePaths }) => storePaths) ? [] : await registeredPaths(store);
  const roots = [
    ...links.flatMap(({ link, storePath }) =>
      storePath === undefined ? [] : [{ kind: 'link', name: link, storePaths: [storePath] } as const],
    ),
    ...pins.map(({ reference, storePaths }) => ({ kind: 'pin', name: reference, storePaths }) as const),
    ...programs.map(({ processId, storePaths }) => {
      const root = { kind: 'running', name: `process ${processId}` } as const;
      return storePaths ? { ...root, storePaths } : { ...root, storePaths: all, needsAll: true as const };
    }),
  ];
  return { roots, staleNotes: links.filter(({ storePath }) => storePath === undefined).map(({ note }) => note) };
}

/**
 * Takes out-links and pins away. Of a link only one that leads to a store path by itself: what somebody has put in its place
 * is theirs. Its note goes in any case. Do this within `withStoreCollection`.
 */
export async function dropRoots(store: Pick<OwnStore, 'layout' | 'storeDir'>, roots: readonly Root[]): Promise<void> {
  for (const { name } of roots.filter(({ kind }) => kind === 'pin')) await removePulledPin(store, name);
  const links = new Set(roots.filter(({ kind }) => kind === 'link').map(({ name }) => name));
  for (const { note, link } of await notedLinks(store)) {
    if (!links.has(link)) continue;
    const target = await readlink(link).catch(() => '');
    if (leadsToStorePath(target)) await rm(link, { force: true });
    await rm(note, { force: true });
  }
}

async function registeredPaths({ queryReadable }: RootedStore): Promise<readonly string[]> {
  return [...(await queryReadable()).registered.keys()].sort();
}

interface NotedLink {
  readonly note: string;
  readonly link: string;
  /** Absent when the link is gone, or points elsewhere now. */
  readonly storePath?: string;
}

async function notedLinks({
  layout,
  storeDir,
}: Pick<RootedStore, 'layout' | 'storeDir'>): Promise<readonly NotedLink[]> {
  const { rootsDir, realStoreDir } = layout;
  const names = (await namesIn(rootsDir)).filter((name) => !isTemporaryName(name));
  if (names.length === 0) return [];
  // The store may be called by another name now than when the link was made.
  const realStoreDirs = [realStoreDir, await realpath(realStoreDir).catch(() => realStoreDir)];
  return Promise.all(
    names.map(async (name) => {
      const note = join(rootsDir, name);
      const link = resolve(rootsDir, await readNote(note));
      const storePath = await linkedPath(link, { storeDir, realStoreDirs });
      return { note, link, ...(storePath !== undefined && { storePath }) };
    }),
  );
}

async function readNote(note: string): Promise<string> {
  try {
    return await readlink(note);
  } catch (cause) {
    throw new CarportError('E_INTEGRITY', `\`${note}\` is no link to an out-link`, {
      cause,
      hint: 'carport makes only links there, and collects nothing until it knows what to keep: look at what it is, and move it elsewhere',
    });
  }
}

/** The store path that an out-link stands for, over other links if need be. */
async function linkedPath(
  link: string,
  store: Pick<OwnStore, 'storeDir' | 'realStoreDirs'>,
): Promise<string | undefined> {
  try {
    return await resolveStorePath(link, store);
  } catch (cause) {
    // It is not there, or it is something else. Of one that cannot be looked at it is not known what it keeps.
    if (hasCode(cause, 'E_NOT_FOUND', 'E_USAGE')) return undefined;
    throw new CarportError('E_IO', `the out-link \`${link}\` cannot be read, and what it points to may be in use`, {
      cause,
      hint: 'make it readable; only if you know that it is not used any more, remove it',
    });
  }
}
