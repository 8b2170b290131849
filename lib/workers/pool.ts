/** Threads, and which job goes to which. */

import { SHARE_ENV, Worker } from 'node:worker_threads';
import type { Pieces } from '../buffers.js';
import { threadFailure } from '../filesystem/open-files.js';
import { createAssistance } from './assistance.js';
import type { Job, JobResults } from './jobs.js';
import type { Outlet } from './outlet.js';
import { deserializeError, type FromWorker, type Outcome, type ToWorker } from './protocol.js';
import { type Pump, startPump } from './pump.js';

export interface RunOptions {
  /** Bytes for the job, in memory that threads share. Only as many are asked for as the worker keeps up with. */
  readonly source?: Pieces;
  /** Told how many bytes of NAR were worked through since it was last told. */
  readonly onProgress?: (bytes: number) => void;
  /** Takes what the job gives. Such a job begins at once, and keeps its thread from no other: it waits for its reader. */
  readonly outlet?: Outlet;
  /** Bytes that the job will work through, roughly. Light jobs may wait at a thread, so that it need not wait for us. */
  readonly weight?: number;
}

/** Threads that pack, unpack, hash and copy store paths, so that the main thread never waits for a disk or a hash. */
export interface WorkerPool {
  /** Threads. */
  readonly size: number;
  /** Jobs that it is worth to have under way. */
  readonly capacity: number;
  /** Runs a job as soon as a thread has room, in the order of calls; one with an outlet at once, and its caller has only so many. */
  run<J extends Job>(job: J, options?: RunOptions): Promise<JobResults[J['type']]>;
  /** Ends the threads; jobs that run, and those that come, fail for this reason, which of several is the first. */
  close(reason?: Error): Promise<void>;
}

/** What a busy thread may be given beside: a few light jobs. An idle one takes any job. */
const MAX_WEIGHT = 1024 * 1024;
const MAX_JOBS = 32;

/** Milliseconds for which heavy work waits for a thread of its own, and all that comes behind it waits with it. */
const ALONE_MS = 100;

interface Task {
  /** When it was asked for, in milliseconds. */
  readonly since: number;
  readonly job: Job;
  readonly options: RunOptions;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A thread and the jobs that it has. */
interface Thread {
  readonly worker: Worker;
  readonly tasks: Map<number, RunningTask>;
  /** Jobs that go to it in one message. */
  readonly outbox: { readonly id: number; readonly job: Job }[];
  weight: number;
  /** Tasks that are not waiting for a reader. */
  occupied: number;
  /** Why its jobs fail: somebody waits for its end. What it says until then does not let the process go. */
  ending?: Error;
}

interface RunningTask extends Task {
  readonly pump: Pump | undefined;
}

/** Makes a pool; threads start when there is work for them. */
export function createWorkerPool(size: number): WorkerPool {
  const queue: Task[] = [];
  let closed: Error | undefined;
  const threads = createThreads(size, () => dispatch());
  const dispatch = (): void => {
    if (!closed) threads.give(queue);
  };
  return {
    size,
    capacity: size * MAX_JOBS,
    run: (job, options = {}) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(closed);
        const task = { since: performance.now(), job, options, resolve: resolve as (result: unknown) => void, reject };
        if (isStream(task)) return threads.giveStream(task);
        queue.push(task);
        dispatch();
      }),
    async close(reason = new Error('the worker pool is closed')) {
      closed ??= reason;
      for (const task of queue.splice(0)) task.reject(closed);
      await threads.end(closed);
    },
  };
}

/** Up to `size` threads; `onRoom` is called when one has room again. */
function createThreads(size: number, onRoom: () => void) {
  const threads = new Set<Thread>();
  const assistance = createAssistance(size);
  let lastId = 0;

  /** One that has nothing to do, or `other`. */
  const idleOr = (other: () => Thread | undefined): Thread | undefined => {
    const idle = [...threads].find(({ tasks }) => tasks.size === 0);
    return idle ?? (threads.size < size ? start() : other());
  };
  const start = (): Thread => {
    const thread = startThread((message) => receive(thread, message, ended), leave);
    threads.add(thread);
    return thread;
  };
  const leave = (thread: Thread, tasks: readonly Task[]): void => {
    threads.delete(thread);
    ended(tasks);
  };
  const ended = (tasks: readonly Task[]): void => {
    for (const { job } of tasks) assistance.ended(job);
    onRoom();
  };
  const lookAgain = createAlarm(onRoom);
  /** Who has nothing to do helps those with large work. */
  const assist = (): void => {
    for (;;) {
      const isIdle = threads.size < size || [...threads].some(({ tasks }) => tasks.size === 0);
      const job = isIdle ? assistance.next() : undefined;
      if (job === undefined) return;
      const thread = idleOr(() => undefined);
      assign(thread!, ++lastId, { since: 0, job, options: {}, resolve: ignore, reject: ignore });
    }
  };

  return {
    /** Takes tasks off a queue, as far as there is room for them. */
    give(queue: Task[]): void {
      while (queue.length > 0) {
        const weight = weightOf(queue[0]!);
        const age = performance.now() - queue[0]!.since;
        const isPatient = age < ALONE_MS;
        const thread = idleOr(() => withRoom(threads, weight, isPatient));
        if (thread === undefined) {
          if (isPatient) lookAgain(ALONE_MS - age);
          return void assistance.recall();
        }
        const task = queue.shift()!;
        assign(thread, ++lastId, { ...task, job: assistance.shared(task.job, weight) });
      }
      assist();
    },
    giveStream: (task: Task) => assign(idleOr(() => lightest(threads))!, ++lastId, task),
    end: (reason: Error) => Promise.all([...threads].map((thread) => endThread(thread, reason))),
  };
}

/** The thread that has the fewest tasks, if it may be given such a one. */
function withRoom(threads: ReadonlySet<Thread>, weight: number, isPatient: boolean): Thread | undefined {
  const byTasks = [...threads].sort((a, b) => a.occupied - b.occupied || a.tasks.size - b.tasks.size);
  const [first] = byTasks;
  if (first?.occupied === 0) return first;
  if (first && first.occupied < MAX_JOBS && first.weight + weight <= MAX_WEIGHT) return first;
  // Light work that does not end, since it waits for a server, is not to hold up all.
  return isPatient ? undefined : byTasks.find((thread) => thread.weight < MAX_WEIGHT);
}

function lightest(threads: ReadonlySet<Thread>): Thread | undefined {
  return [...threads].sort((a, b) => a.weight - b.weight || a.tasks.size - b.tasks.size)[0];
}

/** Starts a thread; `onExit` is called when it has ended and its tasks have failed. */
function startThread(
  onMessage: (message: FromWorker) => void,
  onExit: (thread: Thread, tasks: readonly Task[]) => void,
): Thread {
  // Node ends the process when it copies an environment with names that are not UTF-8.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { env: SHARE_ENV });
  const thread: Thread = { worker, tasks: new Map(), outbox: [], weight: 0, occupied: 0 };
  let crash: unknown;
  worker.on('message', onMessage);
  worker.on('error', (error) => {
    crash = threadFailure(error);
  });
  worker.once('exit', () => {
    const reason = crash ?? thread.ending ?? new Error('a worker thread ended before its job was done');
    const tasks = [...thread.tasks.values()];
    for (const id of [...thread.tasks.keys()]) finish(thread, id)?.reject(reason);
    onExit(thread, tasks);
  });
  return thread;
}

function endThread(thread: Thread, reason: Error): Promise<number> {
  thread.ending = reason;
  return thread.worker.terminate();
}

/** Does what a thread tells; `onEnd` is called with tasks that have ended. */
function receive(thread: Thread, message: FromWorker, onEnd: (tasks: readonly Task[]) => void): void {
  if (message.type === 'progress') thread.tasks.get(message.id)?.options.onProgress?.(message.bytes);
  else if (message.type === 'output') handOn(thread, message);
  else if (message.type === 'taken') thread.tasks.get(message.id)?.pump?.taken();
  else onEnd(message.jobs.flatMap((outcome) => settle(thread, outcome) ?? []));
}

/** Calls something after a while, once for all that ask until then. */
function createAlarm(ring: () => void): (milliseconds: number) => void {
  let isSet = false;
  return (milliseconds) => {
    if (isSet) return;
    isSet = true;
    setTimeout(() => {
      isSet = false;
      ring();
    }, Math.ceil(milliseconds) + 1).unref();
  };
}

/** Gives what a job has given to whoever takes it, and has the thread give more when that is used. */
function handOn({ worker, tasks }: Thread, { id, piece }: Extract<FromWorker, { type: 'output' }>): void {
  const more = () => worker.postMessage({ type: 'more', id } satisfies ToWorker);
  tasks.get(id)?.options.outlet?.take(piece, more);
}

/** Gives a task to a thread. */
function assign(thread: Thread, id: number, task: Task): void {
  const { source } = task.options;
  if (thread.outbox.push({ id, job: task.job }) === 1) setImmediate(() => sendJobs(thread));
  // Its bytes come after it, and large work is not to wait.
  if (source || weightOf(task) >= MAX_WEIGHT) sendJobs(thread);
  thread.worker.ref();
  thread.weight += weightOf(task);
  if (!isStream(task)) thread.occupied++;
  task.options.outlet?.onStop(() => {
    sendJobs(thread);
    thread.worker.postMessage({ type: 'stop', id } satisfies ToWorker);
  });
  thread.tasks.set(id, { ...task, pump: source && startPump(source, id, thread.worker) });
}

function ignore(): void {}

/** Takes a task that has ended from its thread, and hands on how. */
function settle(thread: Thread, outcome: Outcome): Task | undefined {
  const task = finish(thread, outcome.id);
  if ('error' in outcome) task?.reject(task.pump?.error() ?? deserializeError(outcome.error));
  else task?.resolve(outcome.result);
  return task;
}

function sendJobs(thread: Thread): void {
  const jobs = thread.outbox.splice(0);
  if (jobs.length > 0) thread.worker.postMessage({ type: 'jobs', jobs } satisfies ToWorker);
}

/** Takes a task from a thread: it is done, or has failed. */
function finish(thread: Thread, id: number): RunningTask | undefined {
  const task = thread.tasks.get(id);
  if (task === undefined) return undefined;
  thread.tasks.delete(id);
  thread.weight -= weightOf(task);
  if (!isStream(task)) thread.occupied--;
  task.pump?.stop();
  if (thread.tasks.size === 0 && !thread.ending) thread.worker.unref();
  return task;
}

/** Whether it goes on no faster than somebody reads. */
function isStream({ options }: Task): boolean {
  return options.outlet !== undefined;
}

/** A job that says nothing of its weight has a thread to itself. */
function weightOf(task: Task): number {
  return task.options.weight ?? (isStream(task) ? 0 : MAX_WEIGHT);
}
