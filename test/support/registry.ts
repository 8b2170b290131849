import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as send } from 'node:http';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '#lib/process/find-program.js';
import { findFreePorts } from '../../dev/free-ports.js';
import { missingProgram } from './programs.js';

/** A real registry, docker's, with its images in a directory. */
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

/** Where `.ci/run` puts it, where it is not on PATH. */
const INSTALLED = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'carport/peers/bin/crane');
export const CRANE = existsSync(INSTALLED) ? INSTALLED : 'crane';

/** Why tests with registries cannot run here. */
export function missingForImages(): string | undefined {
  const missing = missingProgram('docker-registry', 'skopeo', 'bwrap', 'gcc');
  return missing ?? (existsSync(INSTALLED) ? undefined : '`crane` is not where `.ci/run` puts it');
}

/** Starts one; with a line of htpasswd it wants that login. */
export async function startRegistry(htpasswd?: string): Promise<Registry> {
  const directory = await mkdtemp(join(tmpdir(), 'carport-registry-'));
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
  // While carport runs in this process the PATH is another one.
  const program = await findProgram('docker-registry', process.env.PATH);
  let stop = async () => {};
  const start = async () => {
    const child = spawn(program!, ['serve', join(directory, 'config.yml')], { stdio: 'ignore' });
    const ended = once(child, 'exit');
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
