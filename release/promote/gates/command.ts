/** Command lines, in process groups that end with them. */

import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { gateEnvironment } from './environment.js';
import { failed, type Gate, type GateTools, passed } from './gate.js';

const GATE = 'command';

/** What was told to end has so long before it is killed. */
const GRACE_MS = 2000;

interface End {
  readonly isGood: boolean;
  /** Goes on with what follows the name of a program. */
  readonly text: string;
}

/** A gate for each command line: it must end with 0, in time. */
export function commandGates(commands: readonly string[]): readonly Gate[] {
  return commands.map((command, index) => async (plan, { commandSeconds }, tools) => {
    const label = labelOf(command, index + 1, commands.length);
    const start = performance.now();
    const env = gateEnvironment(tools.env, plan);
    const { isGood, text } = await run(command, commandSeconds, { ...tools, env });
    const seconds = Math.round((performance.now() - start) / 1000);
    return isGood ? passed(GATE, `${label} ${text} after ${seconds} s`) : failed(GATE, `${label} ${text}`);
  });
}

/** The program alone: verdicts are published, and arguments or variables may be secrets. */
function labelOf(command: string, number: number, all: number): string {
  const [program = ''] = command.trim().split(/\s/);
  if (!/^[\w./+-]{1,100}$/.test(program)) return `command ${number} of ${all}`;
  return all === 1 ? `\`${program}\`` : `\`${program}\` (${number} of ${all})`;
}

/** Runs a command line in a process group of its own, none of which is left. */
async function run(command: string, seconds: number, { directory, env, signal, show }: GateTools): Promise<End> {
  const { execa } = await import('execa');
  const shell = execa('/bin/sh', ['-c', command], {
    ...{ cwd: directory, env, extendEnv: false, detached: true, cleanup: false },
    ...{ stdin: 'ignore', buffer: false, reject: false },
  });
  const showing = Promise.all([shell.stdout, shell.stderr].map((output) => show(output)));
  const endGroup = (name: NodeJS.Signals) => killGroup(shell.pid, name);
  const kill = () => endGroup('SIGKILL');
  let isLate = false;
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    endGroup('SIGTERM');
    killer = setTimeout(kill, GRACE_MS);
  };
  const timer = setTimeout(() => {
    isLate = true;
    stop();
  }, seconds * 1000);
  signal.addEventListener('abort', stop, { once: true });
  process.once('exit', kill);
  try {
    // All of it ends later, or never: what the shell has left behind may hold its output open.
    const end = await Promise.race([exitOf(shell), notStarted(shell)]);
    signal.throwIfAborted();
    return isLate ? { isGood: false, text: `took longer than ${seconds} s, and was ended` } : end;
  } finally {
    for (const each of [timer, killer]) clearTimeout(each);
    signal.removeEventListener('abort', stop);
    process.off('exit', kill);
    kill();
    await Promise.race([showing, pause(GRACE_MS, undefined, { ref: false })]);
    for (const output of [shell.stdout, shell.stderr]) output.destroy();
  }
}

function exitOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) =>
    child.once('exit', (exitCode, signal) =>
      resolve({ isGood: exitCode === 0, text: `ended with ${exitCode ?? signal}` }),
    ),
  );
}

async function notStarted(running: Promise<{ readonly originalMessage?: string | undefined }>): Promise<End> {
  const { originalMessage } = await running;
  return { isGood: false, text: `did not run: ${originalMessage}` };
}

function killGroup(leader: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (leader !== undefined) process.kill(-leader, signal);
  } catch {
    // All of it has ended.
  }
}
