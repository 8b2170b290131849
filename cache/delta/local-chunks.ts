/** The chunks of local paths: those that are remembered, and those that a thread computes. */

import type { Cutting } from '../../lib/compression/chunks/density.js';
import { CarportError } from '../../lib/errors.js';
import type { LocalChunks, LocalTree } from '../../lib/workers/jobs/delta/assembly.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { type ChunkMemory, type LocalContent, openChunkMemory } from './chunk-memory.js';
import { cutTree } from './cut-tree.js';
import type { LocalPath } from './local-paths.js';

/** Remembers what a path holds. */
type NoteChunks = (content: LocalContent, chunks: LocalChunks) => Promise<void>;

/** Bytes of trees that are not computed once more after a run that was killed: some seconds of a core. */
const KEEP_EACH = 1024 * 1024 * 1024;

/**
 * Remembers in a file what is computed; it is opened when it is wanted. `gone` tells which places on disk are so: what is known of them is
 * dropped.
 */
export function createLocalChunks(
  file: string | undefined,
  pool: WorkerPool,
  gone: () => Promise<(realPath: string) => boolean>,
) {
  let opened: Promise<ChunkMemory> | undefined;
  let kept = Promise.resolve();
  let sizeSinceKept = 0;
  const running = new Map<string, Promise<LocalChunks | undefined>>();
  const memory = () => (opened ??= openChunkMemory(file));
  const note: NoteChunks = async (content, chunks) => (await memory()).note(content, chunks);
  const keep = (): Promise<void> => {
    sizeSinceKept = 0;
    kept = kept.then(async () => (await opened)?.keep(await gone()));
    return kept;
  };
  const keyOf = ({ path }: LocalPath, cutting: Cutting) => `${cutting} ${path}`;
  const compute = async (
    local: LocalPath,
    content: LocalContent,
    cutting: Cutting,
  ): Promise<LocalChunks | undefined> => {
    const { path, list } = local;
    const { narSize } = content;
    const job = { type: 'index-chunks', path, list, narSize, cutting } as const;
    try {
      const chunks = await cutTree(job, pool);
      await note(content, chunks);
      sizeSinceKept += narSize;
      if (sizeSinceKept >= KEEP_EACH) await keep();
      return chunks;
    } catch (error) {
      // What is damaged, or cannot be read, holds nothing.
      if (error instanceof CarportError) return undefined;
      throw error;
    } finally {
      running.delete(keyOf(local, cutting));
    }
  };
  return {
    note,
    /** The chunks of a path that is cut so; `undefined` where it cannot be read. */
    async of(local: LocalPath, cutting: Cutting): Promise<LocalChunks | undefined> {
      const content = { realPath: local.path, narHash: local.info.narHash.digest, narSize: local.info.narSize };
      const known = (await memory()).recall(content, cutting);
      if (known) return known;
      const computed = running.get(keyOf(local, cutting)) ?? compute(local, content, cutting);
      running.set(keyOf(local, cutting), computed);
      return computed;
    },
    /** What was told of this place on disk was wrong. */
    async forget(realPath: string): Promise<void> {
      (await memory()).forget(realPath);
    },
    /** Writes down what is remembered. */
    keep,
  };
}

/** The chunks of a tree that is perhaps a part of what it was to become, which is cut so; `undefined` where it cannot be read. Nothing of it is remembered. */
export async function chunksOfPart(
  { path, list }: LocalTree,
  narSize: number,
  whole: LocalChunks,
  pool: WorkerPool,
): Promise<LocalChunks | undefined> {
  const job = { type: 'index-chunks', path, list, narSize, cutting: whole.cutting, whole } as const;
  return pool.run(job, { weight: narSize }).catch((error: unknown) => {
    if (error instanceof CarportError) return undefined;
    throw error;
  });
}
