/** Runs command lines within this process: a process of its own costs a third of a second before it does anything. */

import { Readable, Writable } from 'node:stream';
import { runCommandLine } from '#bin/program.js';
import { forgetSecrets } from '#lib/known-secrets.js';

export interface Surroundings {
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly input: string | Uint8Array;
}

export interface Output {
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/** Command lines that are at work; all of them have the same directory and environment, since a process has one of each. */
let shared: { readonly key: string; count: number; restore(): void } | undefined;

/** Runs a command line; `undefined` when one with another directory or environment is at work. */
export async function runInProcess(
  args: readonly string[],
  { cwd, env, input }: Surroundings,
): Promise<Output | undefined> {
  const key = JSON.stringify([cwd, env]);
  if (shared && shared.key !== key) return undefined;
  shared ??= { key, count: 0, restore: enter(cwd, env) };
  const own = shared;
  own.count++;
  const [stdout, stderr] = [createCollector(), createCollector()];
  const stdin = Readable.from(input.length === 0 ? [] : [Buffer.from(input)]);
  try {
    const exitCode = await runCommandLine(args, { env: { ...env }, stdin, stdout, stderr, cwd: () => cwd });
    return { exitCode, stdout: stdout.bytes(), stderr: stderr.bytes() };
  } finally {
    if (--own.count === 0) {
      shared = undefined;
      own.restore();
    }
  }
}

function enter(cwd: string, env: Readonly<Record<string, string>>): () => void {
  const before = { cwd: process.cwd(), env: { ...process.env } };
  process.chdir(cwd);
  replaceEnvironment(env);
  forgetSecrets();
  return () => {
    process.chdir(before.cwd);
    replaceEnvironment(before.env);
  };
}

/** What libraries look at, `os.tmpdir()` for one; the object itself cannot be exchanged. */
function replaceEnvironment(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
}

function createCollector(): Writable & { bytes(): Uint8Array } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(bytes: Buffer, _encoding, done) {
      chunks.push(bytes);
      done();
    },
  });
  return Object.assign(stream, { bytes: () => Buffer.concat(chunks) });
}
