import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { findFreePorts } from '#dev/free-ports.js';

/** As `.ci/run` installs them. */
const INSTALLED = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'carport/peers/bin');

const PROGRAMS = ['pip', 'uv', 'twine', 'pypi-server'] as const;

/** Why tests with Python's programs cannot run here. */
export const pythonMissing = PROGRAMS.map((name) => join(INSTALLED, name)).find((path) => !existsSync(path));

/** Runs one of them with settings of nobody; never throws for an exit code. */
export function runPython(program: (typeof PROGRAMS)[number], args: readonly string[], home: string) {
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    PIP_CONFIG_FILE: '/dev/null',
    UV_NO_CONFIG: '1',
    UV_CACHE_DIR: join(home, 'uv'),
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_NO_CACHE_DIR: '1',
  };
  return execa(join(INSTALLED, program), args, { env, extendEnv: false, reject: false, all: true });
}

export interface PypiServer {
  readonly url: string;
  /** What it has. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** Starts a server that takes uploads of one user. */
export async function startPypiServer(directory: string, user: string, password: string): Promise<PypiServer> {
  const [port] = await findFreePorts(1);
  await mkdir(directory, { recursive: true });
  const passwords = `${directory}.htpasswd`;
  await writeFile(passwords, `${user}:{SHA}${createHash('sha1').update(password).digest('base64')}\n`);
  const args = ['run', '-i', '127.0.0.1', '-p', String(port), '-P', passwords, '-a', 'update', directory];
  const child = spawn(join(INSTALLED, 'pypi-server'), args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const kill = () => void child.kill();
  process.once('exit', kill);
  const url = `http://127.0.0.1:${port}/`;
  for (let tries = 0; ; tries++) {
    const isReady = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) break;
    if (tries > 600 || child.exitCode !== null) throw new Error('pypi-server does not start');
    await sleep(100);
  }
  return {
    ...{ url, directory },
    async stop() {
      process.off('exit', kill);
      child.kill('SIGTERM');
      await ended;
    },
  };
}
