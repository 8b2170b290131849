/** Runs a program and gathers what it prints. Most commands of carport wait for one such: nothing is loaded for it. */

import { type ChildEnd, type ChildRequest, sendSignal, startChild } from './child.js';

export interface GatherOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until it is ended. */
  readonly timeLimit?: number | undefined;
  /** Characters of its output until it is ended. */
  readonly outputLimit: number;
  /** Takes what it says on stderr as it comes. */
  onStderr(text: string): void;
}

/** How a program ended, and what it printed. */
export interface Gathered extends Partial<ChildEnd> {
  readonly stdout: string;
  readonly timedOut: boolean;
  readonly isMaxBuffer: boolean;
  /** Why it could not be started. */
  readonly cause?: unknown;
}

/** What was told to end has so long before it is killed, in milliseconds. */
const GRACE = 5000;

/** Runs a program to its end, or until it is stopped. That it fails is part of the result. */
export async function gather(
  request: Omit<ChildRequest, 'streams'>,
  { signal, timeLimit, outputLimit, onStderr }: GatherOptions,
): Promise<Gathered> {
  const run = startGathering(request, outputLimit, onStderr);
  if ('cause' in run) return { stdout: '', timedOut: false, isMaxBuffer: false, cause: run.cause };
  let timedOut = false;
  const onTime = () => {
    timedOut = true;
    run.stop();
  };
  const timer = timeLimit === undefined ? undefined : setTimeout(onTime, timeLimit);
  signal?.addEventListener('abort', run.stop, { once: true });
  process.once('exit', run.stop);
  if (signal?.aborted) run.stop();
  try {
    const end = await run.ended;
    return { ...end, ...run.output(), timedOut };
  } catch (cause) {
    return { ...run.output(), timedOut, cause };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', run.stop);
    process.off('exit', run.stop);
    run.close();
  }
}

function startGathering(request: Omit<ChildRequest, 'streams'>, limit: number, onStderr: (text: string) => void) {
  const child = begin(request);
  if ('cause' in child) return child;
  let stdout = '';
  let killer: NodeJS.Timeout | undefined;
  let leave: (() => void) | undefined;
  const isStopped = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const kill = (name: NodeJS.Signals) => child.processId !== undefined && sendSignal(child.processId, name);
  const stop = () => {
    kill('SIGTERM');
    killer ??= setTimeout(() => kill('SIGKILL'), GRACE);
    leave!();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (stdout.length + text.length > limit) stop();
    stdout += text.slice(0, limit + 1 - stdout.length);
  });
  child.stderr?.setEncoding('utf8').on('data', onStderr);
  return {
    stop,
    // Others may hold its output open when it was stopped.
    ended: Promise.race([child.closed, isStopped.then(() => child.exited)]),
    output: () => ({ stdout: stdout.slice(0, limit), isMaxBuffer: stdout.length > limit }),
    close() {
      clearTimeout(killer);
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
  };
}

function begin(request: Omit<ChildRequest, 'streams'>) {
  try {
    return startChild({ ...request, streams: [request.text === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  } catch (cause) {
    return { cause };
  }
}
