/** The chunks of local paths: those that are remembered, and those that a thread computes. */

import type { LocalChunks } from '../../lib/workers/jobs.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { type ChunkMemory, type LocalContent, openChunkMemory } from './chunk-memory.js';
import type { LocalPath } from './local-paths.js';

/** Remembers what a path holds. */
type NoteChunks = (content: LocalContent, chunks: LocalChunks) => Promise<void>;

/** Remembers in a file what is computed; it is opened when it is wanted. */
export function createLocalChunks(file: string, pool: WorkerPool) {
  let opened: Promise<ChunkMemory> | undefined;
  const computed = new Map<string, Promise<LocalChunks | undefined>>();
  const memory = () => (opened ??= openChunkMemory(file));
  const compute = ({ path, list, info }: LocalPath): Promise<LocalChunks | undefined> => {
    const job = { type: 'index-chunks', path, list, narSize: info.narSize } as const;
    // What is damaged, or cannot be read, holds nothing.
    return pool.run(job, { weight: info.narSize }).catch(() => undefined);
  };
  const note: NoteChunks = async (content, chunks) => (await memory()).note(content, chunks);
  return {
    note,
    /** The chunks of a path; `undefined` where it cannot be read. */
    async of(local: LocalPath): Promise<LocalChunks | undefined> {
      const content = { realPath: local.path, narHash: local.info.narHash.digest, narSize: local.info.narSize };
      const known = (await memory()).recall(content);
      if (known) return known;
      const running = computed.get(local.path) ?? compute(local);
      computed.set(local.path, running);
      const chunks = await running;
      if (chunks) await note(content, chunks);
      return chunks;
    },
    /** What was told of this place on disk was wrong. */
    async forget(realPath: string): Promise<void> {
      computed.delete(realPath);
      (await memory()).forget(realPath);
    },
    /** Writes down what is remembered. */
    keep: async (isGone: (realPath: string) => boolean) => (await opened)?.keep(isGone),
  };
}
