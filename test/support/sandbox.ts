import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { renderPublicKey, renderSecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { type Output, runInProcess, type Surroundings } from './in-process.js';

export const CARPORT = fileURLToPath(new URL('../../dist/bin/carport.js', import.meta.url));

/** Programs that carport may run; everything else of the system is hidden from it, Nix first of all. */
const PROGRAMS = ['xz'];

/** A directory of its own, with settings and data of nobody, for running carport in. */
export interface Sandbox {
  readonly root: string;
  /** The whole environment of the programs that run here. `nix` is not on its PATH. */
  readonly env: Readonly<Record<string, string>>;
  path(...parts: readonly string[]): string;
  /** Runs carport; never throws for an exit code. No secret of a key of `makeKey` may be in what it prints. */
  carport(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Runs carport, which must succeed. */
  succeed(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Makes a secret key, in a file. */
  makeKey(name: string): Promise<KeyFile>;
  remove(): Promise<void>;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout, line by line. */
  readonly lines: readonly string[];
  readonly bytes: Uint8Array;
}

export interface KeyFile {
  readonly file: string;
  /** `NAME:BASE64`. */
  readonly publicKey: string;
}

export async function createSandbox(): Promise<Sandbox> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'carport-test-')));
  const path = (...parts: readonly string[]) => join(root, ...parts);
  await Promise.all(['bin', 'home', 'work', 'tmp'].map((name) => mkdir(path(name))));
  for (const program of PROGRAMS) await linkProgram(program, path('bin', program));
  const env = {
    PATH: path('bin'),
    HOME: path('home'),
    TMPDIR: path('tmp'),
    XDG_DATA_HOME: path('data'),
    XDG_CONFIG_HOME: path('config'),
    XDG_STATE_HOME: path('state'),
    XDG_CACHE_HOME: path('cache-home'),
    NO_COLOR: '1',
  };
  const secrets: string[] = [];
  const carport: Sandbox['carport'] = async (args, { env: more, input = '', cwd = path('work') } = {}) => {
    const surroundings = { cwd, env: { ...env, ...more }, input };
    const inProcess = needsProcess(args, surroundings.env) ? undefined : await runInProcess(args, surroundings);
    const { exitCode, stdout, stderr } = inProcess ?? (await runProcess(args, surroundings));
    const [out, err] = [stdout, stderr].map((bytes) => Buffer.from(bytes).toString('utf8')) as [string, string];
    for (const secret of secrets) expect(out + err, 'a secret was printed').not.toContain(secret);
    return { exitCode, stdout: out, stderr: err, lines: out.split('\n').slice(0, -1), bytes: stdout };
  };
  const succeed: Sandbox['succeed'] = async (args, options) => {
    const ran = await carport(args, options);
    expect(ran.exitCode, `carport ${args.join(' ')}: ${ran.stderr}`).toBe(0);
    return ran;
  };
  return {
    ...{ root, env, path, carport, succeed },
    async makeKey(name) {
      const key = secretKeyFromSeed(name, randomBytes(32));
      const text = renderSecretKey(key);
      const secret = text.slice(name.length + 1);
      secrets.push(secret, secret.slice(0, 40));
      await writeFile(path(`${name}.sec`), `${text}\n`, { mode: 0o600 });
      return { file: path(`${name}.sec`), publicKey: renderPublicKey(key.publicKey) };
    },
    remove: () => removeAll(root),
  };
}

/**
 * A program that carport runs writes to the process's own output; Node's variables are read when a process starts, and the
 * AWS SDK reads files of profiles once in a process.
 */
function needsProcess([command = '']: readonly string[], env: Readonly<Record<string, string>>): boolean {
  if (['run', 'shell'].includes(command)) return true;
  return Object.keys(env).some((name) => name.startsWith('NODE_')) || existsSync(join(env.HOME ?? '', '.aws'));
}

async function runProcess(args: readonly string[], { cwd, env, input }: Surroundings): Promise<Output> {
  const { exitCode, signal, stdout, stderr } = await execa(process.execPath, [CARPORT, ...args], {
    ...{ cwd, input, env, extendEnv: false, reject: false, stripFinalNewline: false, encoding: 'buffer' },
  });
  if (exitCode === undefined) throw new Error(`carport was ended by ${signal}: ${stderr}`);
  return { exitCode, stdout, stderr };
}

/** A sandbox of its own for each test (or one for all) of the file or `describe` that calls this. */
export function useSandbox(scope: 'each' | 'all' = 'each'): () => Sandbox {
  let sandbox: Sandbox | undefined;
  const [before, after] = scope === 'each' ? [beforeEach, afterEach] : [beforeAll, afterAll];
  before(async () => {
    sandbox = await createSandbox();
  });
  after(async () => {
    await sandbox?.remove();
  });
  return () => sandbox!;
}

/** Removes a tree of which parts may be read-only. */
export async function removeAll(path: string): Promise<void> {
  if (existsSync(path)) await makeWritable(path);
  await rm(path, { recursive: true, force: true });
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name));
  }
}

async function linkProgram(name: string, link: string): Promise<void> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const found = await realpath(join(directory, name)).catch(() => undefined);
    if (found) return symlink(found, link);
  }
  throw new Error(`the tests need the program ${name}`);
}
