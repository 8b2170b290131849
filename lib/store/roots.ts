import { createHash } from 'node:crypto';
import { lstat, mkdir, readlink, realpath, rename, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CarportError, isErrno } from '../errors.js';
import { namesIn } from '../filesystem/presence.js';
import { createTemporaryNames, isTemporaryName } from '../filesystem/temporary.js';
import { encodeNix32 } from '../nix/base32.js';
import { isStoreBaseName } from '../nix/store-path.js';
import { runningPrograms } from './activity.js';
import type { OwnStore } from './own-store.js';
import { listPulledPins } from './pulled-pins.js';
import { resolveStorePath } from './resolve.js';

/** What keeps paths, and all that they refer to, from being collected. */
export interface Root {
  /** An out-link, a pin that was pulled, or a program that runs from the store. */
  readonly kind: 'link' | 'pin' | 'running';
  /** The link's path, the pin as it was asked for, or the process. */
  readonly name: string;
  /** They need not be registered. */
  readonly storePaths: readonly string[];
}

type RootedStore = Pick<OwnStore, 'layout' | 'storeDir'>;

/** Everything that is in use. Throws when that cannot be told. */
export async function listRoots(store: RootedStore): Promise<readonly Root[]> {
  const links = await notedLinks(store);
  const [pins, programs] = await Promise.all([listPulledPins(store), runningPrograms(store)]);
  return [
    ...links.flatMap(({ link, storePath }) =>
      storePath === undefined ? [] : [{ kind: 'link', name: link, storePaths: [storePath] } as const],
    ),
    ...pins.map(({ reference, storePaths }) => ({ kind: 'pin', name: reference, storePaths }) as const),
    ...programs.map(
      ({ processId, storePaths }) => ({ kind: 'running', name: `process ${processId}`, storePaths }) as const,
    ),
  ];
}

/** Notes of out-links that are gone, or point elsewhere now. */
export async function staleRoots(store: RootedStore): Promise<readonly string[]> {
  const links = await notedLinks(store);
  return links.filter(({ storePath }) => storePath === undefined).map(({ note }) => note);
}

/**
 * Makes `link` point to a path of the store, and notes the link as a root, so that what it needs is kept. An older
 * out-link is replaced; anything else is left alone.
 */
export async function makeOutLink(store: OwnStore, link: string, realPath: string): Promise<void> {
  const absolute = resolve(link);
  await checkReplaceable(absolute);
  const name = encodeNix32(createHash('sha1').update(absolute).digest());
  // First the note: a link without one would be no root, a note without a link does no harm.
  await replaceLink(join(store.layout.rootsDir, name), absolute);
  await replaceLink(absolute, realPath);
}

/** Throws when an out-link could not be made at `link`; ask before the work is done. */
export async function checkReplaceable(link: string): Promise<void> {
  const absolute = resolve(link);
  const stats = await lstat(absolute).catch((error) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw new CarportError('E_USAGE', `the out-link \`${link}\` cannot be made`, { cause: error });
  });
  if (stats === undefined) return;
  const target = stats.isSymbolicLink() ? await readlink(absolute) : '';
  if (isStoreBaseName(target.split('/').at(-1) ?? '')) return;
  throw new CarportError('E_USAGE', `\`${link}\` is there already and is no out-link`, {
    hint: 'remove it, or give another `--out-link`',
  });
}

interface NotedLink {
  readonly note: string;
  readonly link: string;
  /** Absent when the link is gone, or points elsewhere now. */
  readonly storePath?: string;
}

async function notedLinks({ layout, storeDir }: RootedStore): Promise<readonly NotedLink[]> {
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
      hint: 'if you do not know what it is for, remove it',
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
    if (cause instanceof CarportError && ['E_NOT_FOUND', 'E_USAGE'].includes(cause.code)) return undefined;
    throw new CarportError('E_IO', `the out-link \`${link}\` cannot be read, and what it points to may be in use`, {
      cause,
      hint: 'make it readable; if it is not used any more, remove it',
    });
  }
}

async function replaceLink(link: string, target: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  const temporaryName = await createTemporaryNames(dirname(link));
  const temporary = temporaryName();
  await symlink(target, temporary);
  await rename(temporary, link);
}
