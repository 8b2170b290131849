import { createHash } from 'node:crypto';
import { narInfoKey, newNarKey } from '#cache/layout.js';
import { encodeNix32 } from '#lib/nix/base32.js';
import type { PathGraph } from '#lib/nix/closure.js';
import { hashBytes } from '#lib/nix/hash.js';
import { renderNarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import type { PackResult } from '#lib/workers/jobs.js';
import type { WorkerPool } from '#lib/workers/pool.js';

/** What each path refers to; the second `lib` has the content of the first. */
const REFERENCES: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  twin: [],
  left: ['lib'],
  right: ['lib', 'twin'],
  tool: ['right'],
};

export const NAMES = Object.keys(REFERENCES);

/** What may be pushed. */
export const TOPS = ['tool', 'left', 'right'];

const contentOf = (name: string) => Buffer.from(name === 'twin' ? 'content of lib' : `content of ${name}`);
const pathOf = (name: string) =>
  `/nix/store/${encodeNix32(createHash('sha256').update(name).digest().subarray(0, 20))}-${name}`;

interface ModelPath {
  readonly name: string;
  readonly info: PathInfo;
  readonly packed: PackResult;
  readonly key: string;
  readonly narKey: string;
  /** Keys that must be there when its narinfo is. */
  readonly needs: readonly string[];
  /** Its narinfo, as somebody has pushed it long ago. */
  readonly text: Buffer;
}

function modelPath(name: string): ModelPath {
  const content = contentOf(name);
  const hash = hashBytes('sha256', content);
  const references = REFERENCES[name]!.map(pathOf);
  const info = { path: pathOf(name), narHash: hash, narSize: content.length, references, signatures: [] };
  const narKey = newNarKey(hash, '.zst');
  const packed = { narHash: hash, narSize: content.length, fileHash: hash, fileSize: content.length, bytes: content };
  const text = {
    ...info,
    url: narKey,
    compression: 'zstd',
    fileHash: hash,
    fileSize: content.length,
    unknownFields: [],
  };
  return {
    ...{ name, info, narKey, packed: { ...packed, listing: '{}' }, key: narInfoKey(hashPartOf(info.path)) },
    needs: [narKey, ...references.map((path) => narInfoKey(hashPartOf(path)))],
    text: Buffer.from(renderNarInfo(text)),
  };
}

export const PATHS: ReadonlyMap<string, ModelPath> = new Map(NAMES.map((name) => [name, modelPath(name)]));
export const BY_KEY = new Map([...PATHS.values()].map((path) => [path.key, path]));
const BY_PATH = new Map([...PATHS.values()].map((path) => [path.info.path, path]));

/** Names of a closure. */
export function closureNames(name: string, into = new Set<string>()): ReadonlySet<string> {
  if (into.has(name)) return into;
  into.add(name);
  for (const reference of REFERENCES[name]!) closureNames(reference, into);
  return into;
}

export function closureGraph(name: string): PathGraph {
  return new Map([...closureNames(name)].map((each) => [PATHS.get(each)!.info.path, PATHS.get(each)!.info]));
}

/** Contents by their keys. */
export const NARS_BY_KEY = new Map([...PATHS.values()].map(({ narKey, packed }) => [narKey, packed.bytes!]));

/** Packs paths of the model, which are nowhere on a disk. Large NARs are not sent again where they are. */
export function modelPool(hasLargeNars: boolean): WorkerPool {
  return {
    size: 2,
    capacity: 4,
    run: async (job) => {
      const { bytes, ...packed } = BY_PATH.get((job as { readonly path: string }).path)!.packed;
      return (hasLargeNars ? packed : { ...packed, bytes: Buffer.from(bytes!) }) as never;
    },
    close: async () => {},
  };
}
