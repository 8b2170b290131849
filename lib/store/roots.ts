import { createHash } from 'node:crypto';
import { lstat, mkdir, readlink, rename, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CarportError, isErrno } from '../errors.js';
import { createTemporaryNames } from '../filesystem/temporary.js';
import { encodeNix32 } from '../nix/base32.js';
import { isStoreBaseName } from '../nix/store-path.js';
import type { OwnStore } from './own-store.js';

/**
 * Makes `link` point to a path of the store, and notes the link as a root, so that what it needs is kept. An older
 * out-link is replaced; anything else is left alone.
 */
export async function makeOutLink(store: OwnStore, link: string, realPath: string): Promise<void> {
  const absolute = resolve(link);
  await checkReplaceable(absolute);
  await replaceLink(absolute, realPath);
  const name = encodeNix32(createHash('sha1').update(absolute).digest());
  await replaceLink(join(store.layout.rootsDir, name), absolute);
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

async function replaceLink(link: string, target: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  const temporaryName = await createTemporaryNames(dirname(link));
  const temporary = temporaryName();
  await symlink(target, temporary);
  await rename(temporary, link);
}
