/** The body of a worker thread. */

import { parentPort } from 'node:worker_threads';
import type { Job, JobContext } from './jobs.js';
import { createOutput, type Output } from './outlet.js';
import { type FromWorker, type Outcome, serializeError, type ToWorker } from './protocol.js';

const port = parentPort!;

/** Progress is reported once in so many bytes. */
const PROGRESS_STEP = 4 * 1024 * 1024;

const feeds = new Map<number, Feed>();
const outputs = new Map<number, Output>();

/** Until the last job that came is loaded. */
let loading: Promise<unknown> = Promise.resolve();

port.on('message', (message: ToWorker) => {
  if (message.type === 'jobs') for (const { id, job } of message.jobs) void work(id, job);
  else if (message.type === 'more') outputs.get(message.id)?.more();
  else if (message.type === 'stop') {
    outputs.get(message.id)?.stop();
    feeds.get(message.id)?.give({ type: 'source-failed', id: message.id });
  } else feeds.get(message.id)?.give(message);
});

async function work(id: number, job: Job): Promise<void> {
  const feed = createFeed(id);
  feeds.set(id, feed);
  const output = createOutput((piece) =>
    port.postMessage({ type: 'output', id, piece } satisfies FromWorker, [piece.bytes.buffer]),
  );
  outputs.set(id, output);
  const progress = createProgress(id);
  const earlier = loading;
  const loaded = (WORK[job.type] as () => Promise<Work>)();
  loading = loaded.catch(() => undefined);
  try {
    // Jobs begin in the order in which they came.
    await earlier;
    const run = await loaded;
    const result = await run(job, { source: feed.bytes(), progress: progress.add, output: output.give });
    progress.flush();
    end({ id, result });
  } catch (error) {
    end({ id, error: serializeError(error) });
  } finally {
    feeds.delete(id);
    outputs.delete(id);
  }
}

type Work<J extends Job = Job> = (job: J, context: JobContext) => unknown;

/** What does each job. Its module is loaded when it is asked for: some need a native module, and most threads do one kind of job. */
const WORK: { readonly [T in Job['type']]: () => Promise<Work<Extract<Job, { type: T }>>> } = {
  pack: async () => (await import('./jobs/pack.js')).packPath,
  'pack-small': async () => (await import('./jobs/pack-small.js')).packSmall,
  unpack: async () => (await import('./jobs/unpack.js')).unpackPath,
  'unpack-small': async () => (await import('./jobs/small/unpack.js')).unpackSmall,
  place: async () => (await import('./jobs/small/place.js')).placeTrees,
  take: async () => (await import('./jobs/small/take.js')).takePaths,
  save: async () => (await import('./jobs/save.js')).savePath,
  check: async () => (await import('./jobs/check.js')).checkNar,
  plain: async () => (await import('./jobs/plain.js')).giveNar,
  fetch: async () => (await import('./jobs/fetch.js')).fetchNar,
  'unpack-unknown': async () => (await import('./jobs/unpack-unknown.js')).unpackUnknown,
  'index-chunks': async () => (await import('./jobs/delta/index-chunks.js')).indexChunks,
  hash: async () => (await import('./jobs/hash.js')).hashPath,
  scan: async () => (await import('./jobs/scan.js')).scanPath,
  assist: async () => (await import('./jobs/assist.js')).assist,
  layer: async () => (await import('./layers/make.js')).makeLayer,
  copy: async () => (await import('./jobs/copy.js')).copyPath,
};

function send(message: FromWorker): void {
  port.postMessage(message);
}

let ended: Outcome[] = [];

/** Tells how a job has ended, with all that end in the same turn. */
function end(outcome: Outcome): void {
  if (ended.push(outcome) > 1) return;
  setImmediate(() => {
    send({ type: 'ended', jobs: ended });
    ended = [];
  });
}

function createProgress(id: number) {
  let bytes = 0;
  const flush = () => {
    if (bytes > 0) send({ type: 'progress', id, bytes });
    bytes = 0;
  };
  return {
    add(more: number) {
      bytes += more;
      if (bytes >= PROGRESS_STEP) flush();
    },
    flush,
  };
}

type Feed = ReturnType<typeof createFeed>;
type Given = Exclude<ToWorker, { type: 'jobs' | 'more' | 'stop' }>;

/** The messages of a source, as an iterable. A piece is valid until the next one is asked for. */
function createFeed(id: number) {
  const given: Given[] = [];
  let memory = new SharedArrayBuffer(0);
  let wake: (() => void) | undefined;
  return {
    give(message: Given) {
      given.push(message);
      wake?.();
    },
    async *bytes(): AsyncGenerator<Uint8Array> {
      for (;;) {
        const message = given.shift();
        if (message === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        } else if (message.type === 'end') return;
        else if (message.type === 'source-failed') throw new Error('the source failed');
        else if (message.type === 'source') memory = message.memory;
        else {
          yield new Uint8Array(memory, message.offset, message.size);
          send({ type: 'taken', id });
        }
      }
    },
  };
}
