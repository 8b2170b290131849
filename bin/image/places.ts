/** Arguments that name images where they are: layouts in directories and files. */

import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { makePrivateDirectory } from '../../lib/filesystem/private-directory.js';
import { unpackArchive } from '../../lib/oci/archive.js';
import { isLayout, openLayout } from '../../lib/oci/layout.js';
import type { ImageStore } from '../../lib/oci/store.js';
import { type Context, workingDirectory } from '../cli/context.js';

/** An image, or all images of a place where none is named. */
export interface ImagePlace {
  readonly store: ImageStore;
  /** A tag or a digest. */
  readonly reference: string | undefined;
  close(): Promise<void>;
}

/** Opens what a text names: `oci:DIR:TAG`, `oci-archive:FILE:TAG`, or a directory or file that is there. */
export async function openImage(text: string, context: Context): Promise<ImagePlace> {
  const local = await localPlace(text, context);
  if (local) return local;
  throw new CarportError('E_NOT_FOUND', `\`${text}\` is no image that is here`, {
    hint: 'name a layout, as `oci:DIR:TAG`, or an archive, as `oci-archive:FILE`',
  });
}

async function localPlace(text: string, context: Context): Promise<ImagePlace | undefined> {
  const [, kind, rest = text] = /^(oci|oci-archive):(.*)$/s.exec(text) ?? [];
  const { path, reference, isDirectory } = (await splitPath(rest, context)) ?? {};
  if (path === undefined) {
    if (kind === undefined) return undefined;
    throw new CarportError('E_NOT_FOUND', `\`${rest}\`: there is no such directory or file`, {
      hint: 'check the path',
    });
  }
  if (kind === undefined && isDirectory && !(await isLayout(path))) return undefined;
  if (isDirectory) {
    const store = await openLayout(path);
    return { store, reference, close: () => store.close() };
  }
  const scratch = await makePrivateDirectory(context.env.TMPDIR || tmpdir());
  try {
    await unpackArchive(path, scratch.path);
    const store = { ...(await openLayout(scratch.path)), description: `\`${rest}\`` };
    return { store, reference, close: () => scratch.remove() };
  } catch (error) {
    await scratch.remove();
    throw error;
  }
}

/** A path that is there, and what follows it. */
async function splitPath(text: string, context: Context) {
  for (const at of [
    text.length,
    text.lastIndexOf('@'),
    text.lastIndexOf(':', text.lastIndexOf('@') - 1),
    text.lastIndexOf(':'),
  ]) {
    if (at <= 0) continue;
    const path = resolve(workingDirectory(context), text.slice(0, at));
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) continue;
    const reference = at === text.length ? undefined : text.slice(at + 1);
    return { path, reference, isDirectory: stats.isDirectory() };
  }
  return undefined;
}
