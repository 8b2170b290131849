/** Starts child processes whose streams and signals somebody takes care of. Nothing else imports `node:child_process`. */

import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';

/** Where input, output and errors of a child lead. */
export type ChildStreams = 'inherit' | readonly ['ignore' | 'pipe', 'ignore' | 'pipe', 'pipe'];

export interface ChildRequest {
  readonly program: string;
  readonly arguments: readonly string[];
  /** Its whole environment; without one it has that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly directory?: string;
  readonly streams: ChildStreams;
  /** What it reads on its standard input, where that is a pipe. */
  readonly text?: string;
  /** What it reads from file descriptor 3; then it also has one to tell something, 4. */
  readonly input?: Uint8Array;
  /** Whether it leads a process group, and a session, of its own. */
  readonly leadsGroup?: boolean;
}

export interface Child {
  /** Absent when it could not be started. */
  readonly processId: number | undefined;
  /** `null`, as the next one, also where no descriptor was left to start it with. */
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** What it tells through file descriptor 4. */
  readonly status: Readable | undefined;
  /** When the process is gone; others may still hold its output open. Rejects when it cannot be executed. */
  readonly exited: Promise<ChildEnd>;
  /** When its output has ended, too. Rejects in the same way. */
  readonly closed: Promise<ChildEnd>;
}

/** How a child ended: one of the two is `null`. */
export interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Starts a program. */
export function startChild(request: ChildRequest): Child {
  const { program, arguments: args, env, directory, streams, text, input, leadsGroup } = request;
  const standard = streams === 'inherit' ? (['inherit', 'inherit', 'inherit'] as const) : streams;
  const child = spawn(program, args, {
    stdio: [...standard, ...(input === undefined ? [] : (['pipe', 'pipe'] as const))],
    ...(env && { env }),
    ...(directory !== undefined && { cwd: directory }),
    ...(leadsGroup && { detached: true }),
  });
  // First: what follows may fail, and an error that nobody listens to ends this process.
  const [exited, closed] = [endOf(child, 'exit'), endOf(child, 'close')];
  // Node leaves out all streams where no descriptor was left (EMFILE, ENFILE).
  const { stdin = null, stdout = null, stderr = null, stdio = [] } = child as Partial<ChildProcess>;
  giveTo(stdin, text ?? '');
  giveTo(stdio[3] as Writable | undefined, input);
  return { processId: child.pid, stdout, stderr, status: stdio[4] as Readable | undefined, exited, closed };
}

function giveTo(stream: Writable | null | undefined, content: Uint8Array | string | undefined): void {
  // A program that failed does not read it.
  stream?.on('error', () => undefined);
  stream?.end(content);
}

function endOf(child: ChildProcess, event: 'exit' | 'close'): Promise<ChildEnd> {
  const end = new Promise<ChildEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once(event, (exitCode, signal) => resolve({ exitCode, signal }));
  });
  // Nobody may wait for it.
  end.catch(() => undefined);
  return end;
}

/** A program that goes on when this one has ended. */
export interface DetachedProgram {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly directory: string;
  /** A file to which what it prints is added. */
  readonly log: string;
}

/** Starts it in a session of its own, and does not wait for it. That it cannot be started is in nobody's way. */
export async function startDetached(request: DetachedProgram): Promise<void> {
  const { program, arguments: args, env, directory, log } = request;
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  const output = await open(log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  try {
    const stdio = ['ignore', output.fd, output.fd] as const;
    const child = spawn(program, args, { stdio: [...stdio], env, cwd: directory, detached: true });
    child.on('error', () => undefined);
    child.unref();
  } finally {
    await output.close();
  }
}

/** Sends a signal to a process, or with a negative id to a group; it may have ended. */
export function sendSignal(processId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(processId, signal);
  } catch {
    // It has just ended.
  }
}
