/** A real index of Python packages, pypiserver, for as long as this process lives. */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from './free-ports.js';
import { startWatchdog } from './watchdog.js';

/** As `.ci/run` installs it. */
const PROGRAM = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'carport/peers/bin/pypi-server');

/** An index that takes the uploads of one user. It ends with this process. */
export interface PypiServer {
  /** `http://127.0.0.1:PORT/`: where uploads go; `simple/` is below. */
  readonly url: string;
  /** The files that it has. */
  readonly directory: string;
  close(): Promise<void>;
}

/** Starts one: a second. */
export async function startPypiServer(user: string, password: string): Promise<PypiServer> {
  const top = await mkdtemp(join(tmpdir(), 'carport-pypi-'));
  const watchdog = startWatchdog(top);
  const [port] = await findFreePorts(1);
  const passwords = join(top, 'htpasswd');
  await writeFile(passwords, `${user}:{SHA}${createHash('sha1').update(password).digest('base64')}\n`);
  const directory = await mkdtemp(join(top, 'packages-'));
  const args = ['run', '-i', '127.0.0.1', '-p', `${port}`, '-P', passwords, '-a', 'update', directory];
  const child = spawn(PROGRAM, args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  ended.catch(() => {});
  if (child.pid === undefined) await ended;
  else watchdog.watch([child.pid]);
  const url = `http://127.0.0.1:${port}/`;
  while (!(await answers(url))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('pypi-server has ended');
    await sleep(50);
  }
  return {
    ...{ url, directory },
    async close() {
      child.kill('SIGKILL');
      await ended;
      await watchdog.release();
      await rm(top, { recursive: true, force: true });
    },
  };
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
}
