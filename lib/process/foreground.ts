/** Runs another program in this one's place: with its terminal, and its signals are passed on. */

import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { type ChildEnd, sendSignal, startChild } from './child.js';
import { takeInterrupts } from './interrupts.js';

/** A program to run in this one's place: with its input, output, errors, and terminal. */
export interface ForegroundProgram {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** What it reads from file descriptor 3. */
  readonly input?: Uint8Array;
  /** Reads what it tells through file descriptor 4: the process that signals are for, when that is another one. */
  readonly processIdIn?: (status: string) => number | undefined;
}

/** How a program in the foreground ended. */
export interface Ended {
  /** As a shell has it: of a signal, 128 and its number. */
  readonly exitCode: number;
  /** What came through file descriptor 4. */
  readonly status: string;
  /** A signal that ended it, or was passed on to it. */
  readonly signal: NodeJS.Signals | undefined;
  /** Whether the terminal interrupted it meanwhile. */
  readonly interrupted: boolean;
}

/** Sent to this process alone, they are for the program. Those that stop and continue are left to the system. */
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGPWR'] as const;

/** A terminal sends them to the program, too. */
const BY_TERMINAL = ['SIGINT', 'SIGQUIT'] as const;

/** Runs a program and waits for it. Throws when it cannot be executed. */
export async function runInForeground(request: ForegroundProgram): Promise<Ended> {
  let status = '';
  let signal: NodeJS.Signals | undefined;
  let interrupted = false;
  let processId: number | undefined;
  const waiting: NodeJS.Signals[] = [];
  const passOn = (name: NodeJS.Signals) => {
    signal = name;
    if (processId === undefined) waiting.push(name);
    else sendSignal(processId, name);
  };
  let asking: Promise<void> = Promise.resolve();
  const askTerminal = async (name: NodeJS.Signals) => {
    if (!(await isInForeground())) return passOn(name);
    interrupted ||= name === 'SIGINT';
  };
  const onTerminal = (name: NodeJS.Signals) => {
    asking = asking.then(() => askTerminal(name));
  };
  const setProcessId = (id: number | undefined) => {
    processId ??= id;
    if (processId !== undefined) for (const name of waiting.splice(0)) sendSignal(processId, name);
  };

  const giveBack = takeInterrupts();
  for (const name of PASSED_ON) process.on(name, passOn);
  for (const name of BY_TERMINAL) process.on(name, onTerminal);
  try {
    const child = startChild({ ...request, streams: 'inherit' });
    if (request.processIdIn === undefined) setProcessId(child.processId);
    child.status?.on('data', (bytes: Buffer) => {
      status += bytes;
      setProcessId(request.processIdIn?.(status));
    });
    const end = await child.closed;
    // The program may have ended of it sooner than it was known where it came from.
    await asking;
    return { exitCode: exitCodeOf(end), signal: end.signal ?? signal, status, interrupted };
  } finally {
    for (const name of PASSED_ON) process.off(name, passOn);
    for (const name of BY_TERMINAL) process.off(name, onTerminal);
    giveBack();
  }
}

function exitCodeOf({ exitCode, signal }: ChildEnd): number {
  return exitCode ?? 128 + constants.signals[signal!];
}

/** Whether a terminal that sends a signal sends it to this process and to the program. */
async function isInForeground(): Promise<boolean> {
  const stat = await readFile('/proc/self/stat', 'latin1').catch(() => '');
  // After the name in brackets: state, parent, process group, session, terminal, the terminal's process group.
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group !== undefined && group === foreground;
}
