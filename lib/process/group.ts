/** Runs a program in a process group of its own, of which nothing is left when the program has ended. */

import { setTimeout as pause } from 'node:timers/promises';
import { type Child, sendSignal, startChild } from './child.js';

export interface GroupRequest {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly directory: string;
  /** Milliseconds until all of it is ended. */
  readonly timeLimit: number;
  /** Ends all of it, after which `runGroup` throws the signal's reason. */
  readonly signal: AbortSignal;
  /** Takes what is printed on one of the outputs, until that ends. Does not throw. */
  show(output: AsyncIterable<Uint8Array>): Promise<void>;
}

/** How the leader of a group ended. */
export type GroupEnd =
  | { readonly state: 'exited'; readonly exitCode: number }
  | { readonly state: 'killed'; readonly signal: NodeJS.Signals }
  | { readonly state: 'timed-out' }
  | { readonly state: 'not-started'; readonly reason: string };

/** What was told to end has so long before it is killed, in milliseconds. */
const GRACE = 2000;

/** Runs a program. The whole group is killed when its leader has ended, and when this process exits. */
export async function runGroup(request: GroupRequest): Promise<GroupEnd> {
  try {
    const { program, arguments: args, env, directory } = request;
    const streams = ['ignore', 'pipe', 'pipe'] as const;
    const leader = startChild({ program, arguments: args, env, directory, streams, leadsGroup: true });
    return await waitForGroup(leader, request);
  } catch (error) {
    request.signal.throwIfAborted();
    return { state: 'not-started', reason: error instanceof Error ? error.message : String(error) };
  }
}

async function waitForGroup(leader: Child, { timeLimit, signal, show }: GroupRequest): Promise<GroupEnd> {
  const outputs = [leader.stdout, leader.stderr].filter((output) => output !== null);
  const showing = Promise.all(outputs.map((output) => show(output)));
  const endGroup = (name: NodeJS.Signals) => leader.processId !== undefined && sendSignal(-leader.processId, name);
  const kill = () => endGroup('SIGKILL');
  let isLate = false;
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    endGroup('SIGTERM');
    killer = setTimeout(kill, GRACE);
  };
  const timer = setTimeout(() => {
    isLate = true;
    stop();
  }, timeLimit);
  signal.addEventListener('abort', stop, { once: true });
  process.once('exit', kill);
  try {
    const { exitCode, signal: killedBy } = await leader.exited;
    signal.throwIfAborted();
    if (isLate) return { state: 'timed-out' };
    return exitCode === null ? { state: 'killed', signal: killedBy! } : { state: 'exited', exitCode };
  } finally {
    for (const each of [timer, killer]) clearTimeout(each);
    signal.removeEventListener('abort', stop);
    process.off('exit', kill);
    kill();
    // What the leader has left behind may have left the group, and hold its output open.
    await Promise.race([showing, pause(GRACE, undefined, { ref: false })]);
    for (const output of outputs) output.destroy();
  }
}
