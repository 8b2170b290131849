/** A real registry of container images, docker's, for as long as this process lives. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from './free-ports.js';
import { startWatchdog } from './watchdog.js';

/** A registry with its images in a directory. It ends with this process. */
export interface Registry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Ends it, as `kill -9` does. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one; with a line of htpasswd it wants that login. */
export async function startRegistry(htpasswd?: string): Promise<Registry> {
  // While carport runs in this process the PATH is another one.
  const env = { ...process.env };
  const directory = await mkdtemp(join(tmpdir(), 'carport-registry-'));
  const watchdog = startWatchdog(directory);
  const [port] = await findFreePorts(1);
  const passwords = join(directory, 'htpasswd');
  if (htpasswd !== undefined) await writeFile(passwords, `${htpasswd}\n`);
  const config = {
    ...{ version: '0.1', log: { level: 'error' }, http: { addr: `127.0.0.1:${port}`, secret: 'always the same' } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
    ...(htpasswd !== undefined && { auth: { htpasswd: { realm: 'test', path: passwords } } }),
  };
  // JSON is YAML.
  await writeFile(join(directory, 'config.yml'), JSON.stringify(config));
  const host = `127.0.0.1:${port}`;
  let stop = async () => {};
  const start = async () => {
    const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore', env });
    const ended = once(child, 'exit');
    ended.catch(() => {});
    if (child.pid === undefined) await ended;
    else watchdog.watch([child.pid]);
    stop = async () => {
      child.kill('SIGKILL');
      await ended;
    };
    while (!(await answers(host))) {
      if (child.exitCode !== null) throw new Error('the registry has ended');
      await sleep(20);
    }
  };
  await start();
  return {
    ...{ host, url: `http://${host}`, start, kill: () => stop() },
    async close() {
      await stop();
      await watchdog.release();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function answers(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = send(`http://${host}/v2/`, (response) => {
      response.resume();
      resolve(true);
    });
    request.on('error', () => resolve(false)).end();
  });
}
