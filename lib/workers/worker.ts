/** The body of a worker thread. */

import { parentPort } from 'node:worker_threads';
import type { Job, JobContext } from './jobs.js';
import { type FromWorker, serializeError, type ToWorker } from './protocol.js';

const port = parentPort!;

/** Progress is reported once in so many bytes. */
const PROGRESS_STEP = 4 * 1024 * 1024;

const feeds = new Map<number, Feed>();

port.on('message', (message: ToWorker) => {
  if (message.type === 'job') void work(message.id, message.job);
  else feeds.get(message.id)?.give(message);
});

async function work(id: number, job: Job): Promise<void> {
  const feed = createFeed(id);
  feeds.set(id, feed);
  const progress = createProgress(id);
  try {
    const result = await runJob(job, { source: feed.bytes(), progress: progress.add });
    progress.flush();
    send({ type: 'done', id, result });
  } catch (error) {
    send({ type: 'failed', id, error: serializeError(error) });
  } finally {
    feeds.delete(id);
  }
}

/** Does a job. Its module is loaded when it is asked for: some need a native module, and most threads do one kind of job. */
async function runJob(job: Job, context: JobContext): Promise<unknown> {
  switch (job.type) {
    case 'pack':
      return (await import('./jobs/pack.js')).packPath(job, context);
    case 'unpack':
      return (await import('./jobs/unpack.js')).unpackPath(job, context);
    case 'save':
      return (await import('./jobs/save.js')).savePath(job, context);
    case 'unpack-unknown':
      return (await import('./jobs/unpack-unknown.js')).unpackUnknown(job, context);
    case 'hash':
      return (await import('./jobs/hash.js')).hashPath(job, context);
    case 'scan':
      return (await import('./jobs/scan.js')).scanPath(job, context);
    case 'copy':
      return (await import('./jobs/copy.js')).copyPath(job, context);
  }
}

function send(message: FromWorker): void {
  port.postMessage(message);
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
type Given = Exclude<ToWorker, { type: 'job' }>;

/** The messages of a source, as an iterable. */
function createFeed(id: number) {
  const given: Given[] = [];
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
        else {
          send({ type: 'taken', id });
          yield message.bytes;
        }
      }
    },
  };
}
