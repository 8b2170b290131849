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
  const output = createOutput((bytes) =>
    port.postMessage({ type: 'output', id, bytes } satisfies FromWorker, [bytes.buffer]),
  );
  outputs.set(id, output);
  const progress = createProgress(id);
  const earlier = loading;
  const loaded = loadJob(job);
  loading = loaded.catch(() => undefined);
  try {
    // Jobs begin in the order in which they came.
    await earlier;
    const run = await loaded;
    const result = await run({ source: feed.bytes(), progress: progress.add, output: output.give });
    progress.flush();
    end({ id, result });
  } catch (error) {
    end({ id, error: serializeError(error) });
  } finally {
    feeds.delete(id);
    outputs.delete(id);
  }
}

/**
 * Gives what does a job. Its module is loaded when it is asked for: some need a native module, and most threads do one
 * kind of job.
 */
async function loadJob(job: Job): Promise<(context: JobContext) => unknown> {
  switch (job.type) {
    case 'pack': {
      const { packPath } = await import('./jobs/pack.js');
      return (context) => packPath(job, context);
    }
    case 'pack-small': {
      const { packSmall } = await import('./jobs/pack-small.js');
      return () => packSmall(job);
    }
    case 'unpack': {
      const { unpackPath } = await import('./jobs/unpack.js');
      return (context) => unpackPath(job, context);
    }
    case 'unpack-small': {
      const { unpackSmall } = await import('./jobs/small/unpack.js');
      return () => unpackSmall(job);
    }
    case 'place': {
      const { placeTrees } = await import('./jobs/small/place.js');
      return () => placeTrees(job);
    }
    case 'take': {
      const { takePaths } = await import('./jobs/small/take.js');
      return () => takePaths(job);
    }
    case 'save': {
      const { savePath } = await import('./jobs/save.js');
      return (context) => savePath(job, context);
    }
    case 'check': {
      const { checkNar } = await import('./jobs/check.js');
      return (context) => checkNar(job, context);
    }
    case 'plain': {
      const { giveNar } = await import('./jobs/plain.js');
      return (context) => giveNar(job, context);
    }
    case 'fetch': {
      const { fetchNar } = await import('./jobs/fetch.js');
      return (context) => fetchNar(job, context);
    }
    case 'unpack-unknown': {
      const { unpackUnknown } = await import('./jobs/unpack-unknown.js');
      return (context) => unpackUnknown(job, context);
    }
    case 'hash': {
      const { hashPath } = await import('./jobs/hash.js');
      return (context) => hashPath(job, context);
    }
    case 'scan': {
      const { scanPath } = await import('./jobs/scan.js');
      return (context) => scanPath(job, context);
    }
    case 'assist': {
      const { assist } = await import('./jobs/assist.js');
      return () => assist(job);
    }
    case 'copy': {
      const { copyPath } = await import('./jobs/copy.js');
      return (context) => copyPath(job, context);
    }
  }
}

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
