/** Lines of chunks for large NARs, and which idle thread helps with which. */

import { CHUNK_SIZES } from '../compression/chunks/chunker.js';
import { type ChunkLine, createChunkLine, type OpenChunkLine, openChunkLine, renewChunkLine } from './chunk-line.js';
import { createWriteList } from './files/shared-writes.js';
import type { Assembly } from './jobs/delta/assembly.js';
import type { AssistJob, CheckJob, FetchJob, Job, PackJob, SaveJob, UnpackJob } from './jobs.js';

/** Bytes of a NAR from which it is worth to share its chunks. */
const SHARED_FROM = 8 * 1024 * 1024;

/** Slots for each thread: one to fill, one to work on, and some between, since chunks take more or less time. */
const SLOTS_A_THREAD = 4;

/** Memory of all lines together, whatever the threads. */
const MEMORY = 256 * 1024 * 1024;

/** Lines that are kept for the next large NAR. */
const KEPT = 2;

/** With fewer slots than this a thread works alone. */
const MIN_SLOTS = 4;

interface SharedWork {
  readonly line: ChunkLine;
  readonly open: OpenChunkLine;
  /** What helpers are told. */
  readonly work: Pick<AssistJob, 'level' | 'local'>;
  helpers: number;
  hasEnded: boolean;
}

/** Keeps the lines of the jobs of `threads` threads. */
export function createAssistance(threads: number) {
  const works = new Map<ChunkLine, SharedWork>();
  const lines = createLines();
  const slots = threads * SLOTS_A_THREAD;
  const slotsInUse = () => [...works.values()].reduce((sum, { line }) => sum + line.slots, 0);
  const leave = (work: SharedWork): void => {
    // Whoever helps may still write to the memory.
    if (!work.hasEnded || work.helpers > 0 || !works.delete(work.line)) return;
    lines.giveBack(work.line);
  };

  return {
    /** The job with a line, where it is large and there is memory for one. */
    shared(job: Job, weight: number): Job {
      if (threads < 2 || weight < SHARED_FROM || !canBeShared(job)) return job;
      const free = Math.floor(MEMORY / (2 * CHUNK_SIZES.max)) - slotsInUse();
      if (free < MIN_SLOTS) return job;
      const chunks = lines.take(Math.min(slots, free));
      const line = job.type === 'unpack' || job.type === 'save' ? { ...chunks, writes: createWriteList() } : chunks;
      works.set(line, {
        line,
        open: openChunkLine(line),
        work: workOf(job),
        helpers: 0,
        hasEnded: false,
      });
      return { ...job, line };
    },
    /** What an idle thread may do, if there is anything. */
    next(): AssistJob | undefined {
      const [work] = [...works.values()].filter(({ open }) => !open.isEnded()).sort((a, b) => a.helpers - b.helpers);
      if (work === undefined) return undefined;
      const { line, open } = work;
      work.helpers++;
      return { type: 'assist', line, ...work.work, recalls: open.recalls() };
    },
    /** Other work waits: whoever helps comes back. */
    recall(): void {
      for (const { open, helpers } of works.values()) if (helpers > 0) open.recall();
    },
    /** A job is done, or has failed. */
    ended(job: Job): void {
      if (job.type === 'assist') {
        const work = works.get(job.line);
        if (!work) return;
        work.helpers--;
        leave(work);
      }
      if (!canBeShared(job) || job.line === undefined) return;
      const work = works.get(job.line);
      if (!work) return;
      work.open.end();
      work.hasEnded = true;
      leave(work);
    },
  };
}

/** Lines whose memory is used again: what is new is filled with zeros, page by page, when it is first written to. */
function createLines() {
  let free: ChunkLine[] = [];
  return {
    take(slots: number): ChunkLine {
      const line = free.pop();
      if (line?.slots === slots) return renewChunkLine(line);
      free = [];
      return createChunkLine(slots, frameBound(CHUNK_SIZES.max));
    },
    giveBack(line: ChunkLine): void {
      if (free.length < KEPT) free.push(line);
    },
  };
}

type SharedJob = PackJob | UnpackJob | SaveJob | CheckJob | FetchJob;

function canBeShared(job: Job): job is SharedJob {
  return hasLine(job) && (compressionOf(job) === 'zstd' || assemblyOf(job) !== undefined);
}

function hasLine(job: Job): job is SharedJob {
  return ['pack', 'unpack', 'save', 'check', 'fetch'].includes(job.type);
}

function compressionOf(job: SharedJob): string {
  return job.type === 'pack' ? job.compression : job.promise.compression;
}

function assemblyOf(job: SharedJob): Assembly | undefined {
  return job.type === 'pack' ? undefined : job.assembly;
}

function workOf(job: SharedJob): Pick<AssistJob, 'level' | 'local'> {
  if (job.type === 'pack') return { level: job.level };
  const assembly = assemblyOf(job);
  return assembly ? { local: { trees: assembly.trees, list: assembly.list } } : {};
}

/** What zstd asks for (`ZSTD_compressBound`), without loading it here. */
function frameBound(size: number): number {
  return size + Math.ceil(size / 256) + 64;
}
