/** A program `carport` for scripts that has this process run its command lines: it costs a few milliseconds to start. */

import { constants, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { type Output, runInProcess, type Surroundings } from './in-process.js';

export interface Host {
  /** Lines for `sh` that do what `exec carport "$@"` would, but for stdin, which is empty. */
  readonly lines: readonly string[];
  close(): void;
}

/** Takes calls by files in a directory, which it makes; runs them one after another. */
export async function startHost(directory: string): Promise<Host> {
  const calls = join(directory, 'calls');
  await mkdir(directory);
  await execa('mkfifo', [calls]);
  // For writing, too, so that it has no end; a pipe's socket waits without a thread.
  const socket = new Socket({ fd: openSync(calls, constants.O_RDWR | constants.O_NONBLOCK), writable: false });
  let last: Promise<void> = Promise.resolve();
  createInterface({ input: socket }).on('line', (call) => {
    last = last.then(() => answer(call));
  });
  return {
    // Not by way of PATH, which scripts may change.
    lines: [
      `call=$(/usr/bin/mktemp -d ${directory}/call-XXXXXX)`,
      '/usr/bin/mkfifo "$call/code"',
      '[ "$#" = 0 ] || printf "%s\\0" "$@" > "$call/args"',
      '/usr/bin/env -0 > "$call/env"',
      'pwd > "$call/cwd"',
      `echo "$call" > ${calls}`,
      'read -r code < "$call/code"',
      '/bin/cat "$call/stdout"',
      '/bin/cat "$call/stderr" >&2',
      'exit "$code"',
    ],
    close: () => void socket.destroy(),
  };
}

async function answer(call: string): Promise<void> {
  const read = async (name: string) =>
    (await readFile(join(call, name), 'utf8').catch(() => '')).split('\0').slice(0, -1);
  const [args, variables] = [await read('args'), await read('env')];
  const env = Object.fromEntries(
    variables.map((each) => [each.slice(0, each.indexOf('=')), each.replace(/^[^=]*=/, '')]),
  );
  const cwd = (await readFile(join(call, 'cwd'), 'utf8')).trimEnd();
  const { exitCode, stdout, stderr } = await runAlone(args, { cwd, env, input: '' });
  await writeFile(join(call, 'stdout'), stdout);
  await writeFile(join(call, 'stderr'), stderr);
  await writeFile(join(call, 'code'), `${exitCode}\n`);
}

async function runAlone(args: readonly string[], surroundings: Surroundings): Promise<Output> {
  for (;;) {
    const output = await runInProcess(args, surroundings);
    if (output) return output;
    await sleep(10);
  }
}
