/** Arguments that name images where they are: in a registry, or in a layout, which is a directory or a file. */

import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { makePrivateDirectory } from '../../lib/filesystem/private-directory.js';
import { unpackArchive } from '../../lib/oci/archive.js';
import { isLayout, openLayout } from '../../lib/oci/layout.js';
import type { RegistryReference } from '../../lib/oci/reference.js';
import type { ImageStore } from '../../lib/oci/store.js';
import { type Context, workingDirectory } from '../cli/context.js';
import { openRegistry, type RegistryUse } from './registries.js';

/** An image, or all images of a place where none is named. */
export interface ImagePlace {
  readonly store: ImageStore;
  /** A tag or a digest. */
  readonly reference: string | undefined;
  /** Where it is in a registry. */
  readonly registry?: RegistryReference;
  close(): Promise<void>;
}

/**
 * Opens what a text names to read: `oci:DIR:TAG`, `oci-archive:FILE:TAG`, a layout that is here, or else an image of a registry.
 */
export async function openImage(text: string, use: RegistryUse): Promise<ImagePlace> {
  const local = await localPlace(text, use.context);
  if (local) return local;
  const { store, reference } = openRegistry(text, use);
  return { store, reference: reference.digest ?? reference.tag, registry: reference, close: () => store.close() };
}

/** Whether a text can only name a layout of this machine. */
export function isLocal(text: string): boolean {
  return /^(oci|oci-archive):|^\.{0,2}\/|\.tar$/.test(text);
}

async function localPlace(text: string, context: Context): Promise<ImagePlace | undefined> {
  const [, kind, rest = text] = /^(oci|oci-archive):(.*)$/s.exec(text) ?? [];
  if (text.startsWith('docker://') || /^https?:\/\//.test(text)) return undefined;
  const found = await splitPath(rest, context);
  if (found === undefined) {
    if (kind === undefined && !/^\.{0,2}\//.test(text)) return undefined;
    throw new CarportError('E_NOT_FOUND', `\`${rest}\`: there is no such directory or file`, {
      hint: 'check the path',
    });
  }
  const { path, reference, isDirectory } = found;
  // A directory that is called as an image is.
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
  const digest = text.lastIndexOf('@');
  for (const at of [text.length, digest, text.lastIndexOf(':')]) {
    if (at <= 0) continue;
    const path = resolve(workingDirectory(context), text.slice(0, at));
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) continue;
    const reference = at === text.length ? undefined : text.slice(at + 1);
    return { path, reference, isDirectory: stats.isDirectory() };
  }
  return undefined;
}
