/** A real Gitea, for as long as this process lives. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from './free-ports.js';
import { startWatchdog } from './watchdog.js';

/**
 * A real Gitea with its files in a directory of its own. It answers to everything but pages, for which styles are missing.
 * Gitea wants no root: its setting for that is used here, so that no user is made.
 */
export interface Gitea {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Of `dev`, who may do everything; also a password for git: `http://dev:TOKEN@127.0.0.1:PORT/dev/NAME.git`. */
  readonly token: string;
  /** What carport needs of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Makes a repository of `dev` with one commit, and these tags on it. */
  repository(name: string, tags: readonly string[]): Promise<GiteaRepository>;
  /** Asks the API below `/api/v1/`; gives its JSON, or nothing. */
  api(path: string, method?: string, json?: object): Promise<unknown>;
  close(): Promise<void>;
}

export interface GiteaRepository {
  /** `http://127.0.0.1:PORT/dev/NAME`. */
  readonly address: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** Releases as everybody sees them, or as the token does. */
  releases(as: 'everybody' | 'dev'): Promise<readonly GiteaRelease[]>;
}

export interface GiteaRelease {
  readonly id: number;
  readonly tag_name: string;
  readonly name: string;
  readonly body: string;
  readonly draft: boolean;
  readonly prerelease: boolean;
  readonly assets: readonly {
    readonly id: number;
    readonly name: string;
    readonly size: number;
    readonly browser_download_url: string;
  }[];
}

/** Where `.ci/run` puts it. */
const HOME = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'carport/peers/gitea');
export const GITEA = join(HOME, 'gitea');

/** Starts one: 5 seconds. */
export async function startGitea(): Promise<Gitea> {
  const directory = await mkdtemp(join(tmpdir(), 'carport-gitea-'));
  const watchdog = startWatchdog(directory);
  const [port] = await findFreePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const config = join(directory, 'app.ini');
  await writeFile(config, settings(directory, port!));
  const env = { ...process.env, HOME: directory, GIT_CONFIG_NOSYSTEM: '1' };
  const run = (...args: readonly string[]) =>
    execFileSync(GITEA, ['--config', config, ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  run('migrate');
  run(...USER);
  const token = /^[0-9a-f]{40}$/m.exec(run(...TOKEN))![0];
  const log = join(directory, 'gitea.log');
  const child = spawn('/bin/sh', ['-c', 'exec "$0" --config "$1" web >"$2" 2>&1', GITEA, config, log], {
    env,
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  watchdog.watch([child.pid!]);
  while (!(await isReady(url))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`gitea has ended: ${await readFile(log, 'utf8')}`);
    await sleep(50);
  }
  const api = askApi(url, token);
  return {
    ...{ url, token, api, env: { GITEA_TOKEN: token } },
    repository: (name, tags) => makeRepository({ url, token, api, directory }, name, tags),
    async close() {
      child.kill('SIGKILL');
      await ended;
      await watchdog.release();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const USER = [
  ...['admin', 'user', 'create', '--admin', '--username', 'dev', '--email', 'dev@example.org'],
  ...['--password', 'not-guessed-1', '--must-change-password=false'],
];
const TOKEN = [
  'admin',
  'user',
  'generate-access-token',
  '--username',
  'dev',
  '--token-name',
  'test',
  '--scopes',
  'all',
  '--raw',
];

function settings(directory: string, port: number): string {
  return `
RUN_USER = ${userInfo().username}
RUN_MODE = prod
WORK_PATH = ${directory}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = http://127.0.0.1:${port}/
DISABLE_SSH = true
OFFLINE_MODE = true
STATIC_ROOT_PATH = ${HOME}
[database]
DB_TYPE = sqlite3
PATH = ${join(directory, 'gitea.db')}
[repository]
ROOT = ${join(directory, 'repositories')}
[repository.release]
ALLOWED_TYPES =
[security]
INSTALL_LOCK = true
SECRET_KEY = of-a-test
[log]
LEVEL = Error
`;
}

function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/api/healthz`).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
}

function askApi(url: string, token: string): Gitea['api'] {
  return async (path, method = 'GET', json) => {
    const response = await fetch(`${url}/api/v1/${path}`, {
      method,
      headers: { authorization: `token ${token}`, 'content-type': 'application/json' },
      ...(json && { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`gitea: ${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
}

interface Making {
  readonly url: string;
  readonly token: string;
  readonly api: Gitea['api'];
  readonly directory: string;
}

/** Gitea notes a tag a while after its push, and publishes a draft that has been made for it by then, whatever it has. */
async function untilTagged(page: string, tags: readonly string[]): Promise<void> {
  // The page is made of what was noted; the API asks git.
  for (let looks = 0; looks < 500; looks++) {
    const text = await (await fetch(page)).text();
    if (tags.every((tag) => text.includes(tag))) return;
    await sleep(20);
  }
  throw new Error(`Gitea does not note the tags ${tags.join(', ')}`);
}

async function makeRepository(
  { url, token, api, directory }: Making,
  name: string,
  tags: readonly string[],
): Promise<GiteaRepository> {
  await api('user/repos', 'POST', { name });
  const checkout = join(directory, 'checkouts', name);
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=dev', '-c', 'user.email=dev@example.org', ...args], {
      env: { ...process.env, HOME: directory, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  git('init', '--quiet', '-b', 'main', checkout);
  git('-C', checkout, 'commit', '--quiet', '--allow-empty', '-m', 'begin');
  for (const tag of tags) git('-C', checkout, 'tag', '--annotate', '-m', tag, tag);
  git('-C', checkout, 'push', '--quiet', `${url.replace('://', `://dev:${token}@`)}/dev/${name}.git`, 'main', ...tags);
  await untilTagged(`${url}/dev/${name}/tags`, tags);
  return {
    address: `${url}/dev/${name}`,
    commit: git('-C', checkout, 'rev-parse', 'HEAD').trim(),
    async releases(as) {
      if (as === 'dev') return (await api(`repos/dev/${name}/releases`)) as readonly GiteaRelease[];
      return (await (await fetch(`${url}/api/v1/repos/dev/${name}/releases`)).json()) as readonly GiteaRelease[];
    },
  };
}
