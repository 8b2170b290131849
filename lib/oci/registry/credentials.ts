/** Passwords of registries: where docker, podman and CI systems keep them. Source: docker's config.json, containers-auth.json(5). */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { CarportError, formatError, isErrno } from '../../errors.js';
import { homeDirectory } from '../../home-directory.js';
import { rememberSecret } from '../../known-secrets.js';
import { askHelper } from './helper.js';
import type { Login } from './login.js';

const text = v.optional(v.string());
const config = v.object({
  auths: v.nullish(
    v.record(
      v.string(),
      v.object({ auth: text, username: text, password: text, identitytoken: text, registrytoken: text }),
    ),
  ),
  credsStore: v.nullish(v.string()),
  credHelpers: v.nullish(v.record(v.string(), v.string())),
});
type Config = v.InferOutput<typeof config>;

/** A place of passwords, for messages, and what is there. */
interface Source {
  readonly place: string;
  readonly config: Config;
}

/** The name that docker's own registry has in files. */
const DOCKER_KEY = 'https://index.docker.io/v1/';

/** Variables that hold what such a file holds: GitLab's, and Garage's. */
const VARIABLES = ['DOCKER_AUTH_CONFIG', 'DOCKER_AUTH'];

const FILE_LIMIT = 1024 * 1024;

/**
 * Finds who one is at a registry, in variables first and then in files; `undefined` for nobody. Helpers are programs, and are run with
 * this environment. `registry` as it is written in names of images.
 */
export function createCredentials(
  env: NodeJS.ProcessEnv,
): (registry: string, repository: string) => Promise<Login | undefined> {
  let sources: Promise<readonly Source[]> | undefined;
  return async (registry, repository) => {
    sources ??= readSources(env);
    for (const source of await sources) {
      const login = await loginIn(source, keysOf(registry, repository), env);
      if (login === undefined) continue;
      rememberSecret(login.kind === 'password' ? login.password : login.token);
      return login;
    }
    return undefined;
  };
}

/** The names under which a registry may be kept, the narrowest first. */
function keysOf(registry: string, repository: string): readonly string[] {
  const parts = repository.split('/');
  const paths = parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`);
  const hosts =
    registry === 'docker.io' ? [DOCKER_KEY, 'index.docker.io', 'docker.io', 'registry-1.docker.io'] : [registry];
  return [...paths, ...hosts];
}

async function loginIn(
  { place, config }: Source,
  keys: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Login | undefined> {
  for (const key of keys) {
    const helper = config.credHelpers?.[key];
    const given = helper === undefined ? undefined : await askHelper(helper, key, place, env);
    if (given) return given;
  }
  const auths = new Map(Object.entries(config.auths ?? {}).map(([key, auth]) => [plainKey(key), auth]));
  for (const key of keys) {
    const login = loginOf(auths.get(plainKey(key)), place);
    if (login) return login;
  }
  if (!config.credsStore) return undefined;
  // Of a repository it knows nothing.
  const [host] = keys.filter((key) => key === DOCKER_KEY || !key.includes('/'));
  return askHelper(config.credsStore, host!, place, env);
}

/** Docker wrote addresses in earlier days: `https://ghcr.io/v2/` is `ghcr.io`. */
function plainKey(key: string): string {
  return key
    .replace(/^https?:\/\//, '')
    .replace(/\/(v1|v2)?\/?$/, '')
    .replace(/\/+$/, '');
}

type Auth = NonNullable<Config['auths']>[string];

function loginOf(auth: Auth | undefined, place: string): Login | undefined {
  if (auth === undefined) return undefined;
  if (auth.registrytoken) return { kind: 'token', token: auth.registrytoken };
  if (auth.identitytoken) return { kind: 'identity', token: auth.identitytoken };
  if (auth.username && auth.password) return { kind: 'password', user: auth.username, password: auth.password };
  if (!auth.auth) return undefined;
  const decoded = Buffer.from(auth.auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon > 0)
    return { kind: 'password', user: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, '') };
  throw new CarportError('E_CREDENTIALS', `an \`auth\` in ${place} is not the base64 of \`user:password\``, {
    hint: '`docker login` or `podman login` writes it anew',
  });
}

async function readSources(env: NodeJS.ProcessEnv): Promise<readonly Source[]> {
  const given = VARIABLES.filter((name) => env[name]).map((name) => ({ place: name, config: parse(name, env[name]!) }));
  const home = homeDirectory(env);
  const files = [
    env.DOCKER_CONFIG ? join(env.DOCKER_CONFIG, 'config.json') : join(home, '.docker', 'config.json'),
    ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
    ...(env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, 'containers', 'auth.json')] : []),
    join(env.XDG_CONFIG_HOME || join(home, '.config'), 'containers', 'auth.json'),
  ];
  const read = await Promise.all(files.map(readSource));
  return [...given, ...read.flat()];
}

async function readSource(file: string): Promise<readonly Source[]> {
  const place = `\`${file}\``;
  try {
    const bytes = await readFile(file);
    if (bytes.length > FILE_LIMIT) throw formatError(place, 'is too large');
    return bytes.toString('utf8').trim() === '' ? [] : [{ place, config: parse(place, bytes.toString('utf8')) }];
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return [];
    if (cause instanceof CarportError) throw cause;
    throw new CarportError('E_CREDENTIALS', `${place} cannot be read`, { cause, hint: 'check its permissions' });
  }
}

/** Without what is in it, in what goes wrong: it holds passwords. */
function parse(place: string, json: string): Config {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw wrong(place, 'is not JSON');
  }
  const parsed = v.safeParse(config, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw wrong(place, 'is not as docker writes it');
}

function wrong(place: string, why: string): CarportError {
  return new CarportError('E_CREDENTIALS', `${place} ${why}`, {
    hint: 'it is `{"auths": {"ghcr.io": {"auth": "…"}}}`, with the base64 of `user:password`',
  });
}
