/** Links to store paths: their names, what is in their way, their notes. */

import { createHash } from 'node:crypto';
import { lstat, mkdir, readlink, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CarportError, isErrno } from '../../errors.js';
import { writeAtomically } from '../../filesystem/atomic-write.js';
import { encodeNix32 } from '../../nix/base32.js';
import { leadsToStorePath } from '../../nix/store-path.js';
import type { StoreLayout } from './layout.js';

/** Out-links that are to be made when the work is done. */
export interface OutLinks {
  /** Throws when so many could not be made. */
  check(number: number): Promise<void>;
  /** Makes one to each path, in this order; none when one cannot be made. */
  make(paths: readonly string[]): Promise<void>;
}

/**
 * The out-links of one or several paths: `link`, `link-2`, …, as Nix names them; none without `link`. Throws when the
 * first could not be made, so ask before the work is done. `makeOne` makes a link.
 */
export async function prepareOutLinks(
  link: string | undefined,
  makeOne: (link: string, path: string) => Promise<void>,
): Promise<OutLinks> {
  const names = (number: number): readonly string[] =>
    link === undefined
      ? []
      : Array.from({ length: number }, (_, index) => (index === 0 ? link : `${link}-${index + 1}`));
  const check = async (number: number): Promise<void> => {
    for (const name of names(number)) await checkReplaceable(name);
  };
  await check(1);
  return {
    check,
    async make(paths) {
      await check(paths.length);
      for (const [index, name] of names(paths.length).entries()) await makeOne(name, paths[index]!);
    },
  };
}

/**
 * Makes `link` point to a path of the store, and notes the link as a root, so that what it needs is kept. An older
 * out-link is replaced; anything else is left alone.
 */
export async function makeOutLink(
  { layout: { rootsDir } }: { readonly layout: Pick<StoreLayout, 'rootsDir'> },
  link: string,
  realPath: string,
): Promise<void> {
  const absolute = resolve(link);
  await checkReplaceable(absolute);
  const name = encodeNix32(createHash('sha1').update(absolute).digest());
  // First the note: a link without one would be no root, a note without a link does no harm.
  await replaceLink(join(rootsDir, name), absolute);
  await replaceLink(absolute, realPath);
}

/** Throws when an out-link could not be made at `link`. */
export async function checkReplaceable(link: string): Promise<void> {
  const absolute = resolve(link);
  const stats = await lstat(absolute).catch((error) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw new CarportError('E_USAGE', `the out-link \`${link}\` cannot be made`, { cause: error });
  });
  if (stats === undefined) return;
  const target = stats.isSymbolicLink() ? await readlink(absolute) : '';
  if (leadsToStorePath(target)) return;
  throw new CarportError('E_USAGE', `\`${link}\` is there already and is no out-link`, {
    hint: 'remove it, or give another `--out-link`',
  });
}

async function replaceLink(link: string, target: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  await writeAtomically(link, (temporary) => symlink(target, temporary));
}
