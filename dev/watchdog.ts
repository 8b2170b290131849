/** Ends processes and removes a directory when this process is gone. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Cleans up behind this process, however that ends: also after `kill -9`. */
export interface Watchdog {
  /** Says which processes there are now to end. */
  watch(pids: readonly number[]): void;
  /** Sends it away, when there is nothing to clean up any more. */
  release(): Promise<void>;
}

/** It reads a pipe whose other end is here alone. The pipe closes when this process is gone, or by `release`. */
const SCRIPT = `
trap '' HUP INT TERM
pids=
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids
[ -z "$1" ] || for pause in 0.1 0.2 0.5 1 2; do rm -rf -- "$1" && break; sleep $pause; done
`;

/** Begins to watch. `directory`, if any, is removed at the end, and then also by `release`. */
export function startWatchdog(directory?: string): Watchdog {
  // In a session of its own, where the terminal's Ctrl-C does not reach it.
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'watchdog', directory ?? ''], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(shell, 'exit');
  // Whether there is a watchdog does not matter to what is watched.
  for (const emitter of [shell, shell.stdin]) emitter.on('error', () => {});
  ended.catch(() => {});
  shell.unref();
  return {
    watch: (pids) => shell.stdin.write(`${pids.join(' ')}\n`),
    async release() {
      shell.ref();
      shell.stdin.end('\n');
      if (shell.pid !== undefined) await ended;
    },
  };
}
