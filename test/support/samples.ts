import { chmod, copyFile, lutimes, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PathInfo } from '#lib/nix/path-info.js';
import { type SecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { addToStore } from '#lib/store/own/add.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { createWorkerPool } from '#lib/workers/pool.js';

/** Files of a tree by path: text or bytes, `executable` text, or a symlink. */
export type Files = Readonly<
  Record<string, string | Uint8Array | { readonly script: string } | { readonly link: string }>
>;

export async function writeFiles(directory: string, files: Files): Promise<string> {
  await mkdir(directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) await writeFile(path, content);
    else if ('link' in content) await symlink(content.link, path);
    else {
      await writeFile(path, content.script);
      await chmod(path, 0o755);
    }
  }
  return directory;
}

/** Three paths in carport's own store, and what was made of them. */
export interface SampleStore {
  /** For `--store`. */
  readonly root: string;
  /** Refers to nothing. */
  readonly base: PathInfo;
  /** Refers to `base`. */
  readonly middle: PathInfo;
  /** Refers to `middle` and, through it only, to `base`. */
  readonly top: PathInfo;
  /** The closure of `top`, dependencies first. */
  readonly paths: readonly string[];
}

/** Makes a store below `directory`. The same paths each time. */
export async function createSampleStore(directory: string): Promise<SampleStore> {
  const root = join(directory, 'sample-store');
  const add = createAdder(root, join(directory, 'sample-trees'));
  try {
    const base = await add('base-1.0', {
      'lib/data': Buffer.alloc(5000, 'base data '),
      'lib/link': { link: 'data' },
      empty: '',
    });
    const middle = await add('middle-2.0', { 'bin/run': { script: `#!/bin/sh\nexec ${base.path}/lib/data\n` } });
    const top = await add('top-3.0', {
      'share/doc/README': `see ${middle.path}\n`,
      'bin/top': { script: '#!/bin/sh\n' },
    });
    return { root, base, middle, top, paths: [base.path, middle.path, top.path] };
  } finally {
    await add.close();
  }
}

/** Makes a store of many paths; each refers to some before it, the last one to all. Gives them dependencies first. */
export async function createLargeStore(
  directory: string,
  sizes: readonly number[],
): Promise<{ readonly root: string; readonly paths: readonly string[]; readonly top: string }> {
  const root = join(directory, 'large-store');
  const add = createAdder(root, join(directory, 'large-trees'));
  try {
    const paths: string[] = [];
    for (const [index, size] of sizes.entries()) {
      const references = paths.filter((_, at) => at % 7 === index % 7).slice(-3);
      const { path } = await add(`part-${index}`, { data: noise(size, index), references: references.join('\n') });
      paths.push(path);
    }
    const { path: top } = await add('all', { references: paths.join('\n') });
    return { root, paths: [...paths, top], top };
  } finally {
    await add.close();
  }
}

/** Adds trees of files to the store at `root`; their sources are made below `scratch`. */
export function createAdder(root: string, scratch: string) {
  const pool = createWorkerPool(1);
  const store = openOwnStore(root);
  const add = async (name: string, files: Files): Promise<PathInfo> => {
    const path = await writeFiles(join(scratch, name), files);
    return (await addToStore({ path, name, store, known: store, pool })).info;
  };
  return Object.assign(add, { close: () => pool.close() });
}

/** Bytes that do not compress well, the same for the same seed. */
export function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, size >> 2);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < words.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[at] = state & 0x7f7fffff;
  }
  return bytes;
}

/** A key that is the same for the same name and number. */
export function sampleKey(name: string, number = 1): SecretKey {
  return secretKeyFromSeed(name, Buffer.alloc(32, number));
}

/** Every file below a directory, with its bytes (latin1) or where it links to, by path. */
export async function snapshot(directory: string): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files[path.slice(directory.length + 1)] = await readFile(path, 'latin1');
  }
  return files;
}

/** Copies a cache of a few small files. */
export async function copyCache(from: string, to: string): Promise<string> {
  for (const name of Object.keys(await snapshot(from))) {
    await mkdir(dirname(join(to, name)), { recursive: true });
    await copyFile(join(from, name), join(to, name));
  }
  return to;
}

/** Makes the NARs of a cache as old as those of a push that has ended long ago: none is about to be named by a narinfo. */
export async function ageNars(cache: string): Promise<void> {
  const longAgo = new Date('2026-01-01T00:00:00Z');
  for (const name of await readdir(join(cache, 'nar'))) await lutimes(join(cache, 'nar', name), longAgo, longAgo);
}
