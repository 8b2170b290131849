import { Worker } from 'node:worker_threads';
import type { Job, JobResults } from './jobs.js';
import { deserializeError, type FromWorker, SOURCE_WINDOW, type ToWorker } from './protocol.js';

export interface RunOptions {
  /** Bytes for the job; they are moved to the worker. Only as many are asked for as the worker keeps up with. */
  readonly source?: AsyncIterable<Uint8Array>;
  /** Told how many bytes of NAR were worked through since it was last told. */
  readonly onProgress?: (bytes: number) => void;
}

/** Threads that pack, unpack, hash and copy store paths, so that the main thread never waits for a disk or a hash. */
export interface WorkerPool {
  /** Threads at most. */
  readonly size: number;
  /** Runs a job on a thread that is free, in the order of calls. */
  run<J extends Job>(job: J, options?: RunOptions): Promise<JobResults[J['type']]>;
  /** Ends the threads; jobs that run fail. */
  close(): Promise<void>;
}

interface Task {
  readonly job: Job;
  readonly options: RunOptions;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes a pool; threads start when there is work for them. */
export function createWorkerPool(size: number): WorkerPool {
  const queue: Task[] = [];
  const idle: Worker[] = [];
  const all = new Set<Worker>();
  let closed = false;

  const next = (): void => {
    while (queue.length > 0 && (idle.length > 0 || all.size < size)) {
      const worker = idle.pop() ?? start();
      const task = queue.shift()!;
      runOn(worker, task)
        .then(task.resolve as (result: unknown) => void, task.reject)
        .finally(() => {
          if (all.has(worker)) idle.push(worker);
          next();
        });
    }
  };
  const start = (): Worker => {
    const worker = new Worker(new URL('./worker.js', import.meta.url));
    worker.unref();
    // The promise of the job reports a crash; without a listener it would end the process.
    worker.on('error', () => undefined);
    worker.once('exit', () => all.delete(worker));
    all.add(worker);
    return worker;
  };

  return {
    size,
    run: (job, options = {}) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error('the worker pool is closed'));
        queue.push({ job, options, resolve, reject });
        next();
      }),
    async close() {
      closed = true;
      for (const task of queue.splice(0)) task.reject(new Error('the worker pool is closed'));
      await Promise.all([...all].map((worker) => worker.terminate()));
    },
  };
}

function runOn(worker: Worker, { job, options }: Task): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const source = options.source && pump(options.source, worker);
    const settle = (finish: () => void) => {
      source?.stop();
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      worker.unref();
      finish();
    };
    const onMessage = (message: FromWorker) => {
      if (message.type === 'progress') options.onProgress?.(message.bytes);
      else if (message.type === 'taken') source?.taken();
      else if (message.type === 'done') settle(() => resolve(message.result));
      else settle(() => reject(source?.error() ?? deserializeError(message.error)));
    };
    const onError = (error: unknown) => settle(() => reject(error));
    const onExit = () => settle(() => reject(new Error('a worker thread ended before its job was done')));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.ref();
    worker.postMessage({ type: 'job', job } satisfies ToWorker);
  });
}

/** Sends a source to a worker, a window of pieces ahead of what it has taken. */
function pump(source: AsyncIterable<Uint8Array>, worker: Worker) {
  let room = SOURCE_WINDOW;
  let stopped = false;
  let wake: (() => void) | undefined;
  let failure: unknown;
  const send = async () => {
    try {
      for await (const piece of source) {
        if (room === 0) await new Promise<void>((resolve) => (wake = resolve));
        if (stopped) return;
        room--;
        const bytes = ownMemory(piece);
        worker.postMessage({ type: 'bytes', bytes } satisfies ToWorker, [bytes.buffer]);
      }
      if (!stopped) worker.postMessage({ type: 'end' } satisfies ToWorker);
    } catch (error) {
      failure = error;
      if (!stopped) worker.postMessage({ type: 'source-failed' } satisfies ToWorker);
    }
  };
  void send();
  return {
    taken() {
      room++;
      wake?.();
    },
    stop() {
      stopped = true;
      wake?.();
    },
    error: () => failure,
  };
}

/** Bytes that are alone in their buffer, so that it can be moved: small Node buffers share one. */
function ownMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const alone = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return alone ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
}
