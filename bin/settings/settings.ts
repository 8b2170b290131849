/** Every setting, and where it is from. */

import { lstat, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CarportError, isErrno } from '../../lib/errors.js';
import { xdgDirectory } from '../../lib/home-directory.js';
import { suggestion } from '../../lib/suggestion.js';

/** One setting: its key in `carport.toml`, its environment variable, and the option that stands before both. */
export interface SettingSpec {
  readonly env: string;
  readonly option: string;
  readonly list: boolean;
  /** A list whose values have white space in them: in the environment each has a line. */
  readonly lines?: boolean;
  readonly number?: boolean;
  /** Kept out of a project's file: whoever writes that must not choose whom its users trust or what they sign with. */
  readonly personal: boolean;
  readonly description: string;
}

export const SETTINGS = {
  to: { env: 'CARPORT_TO', option: '--to', list: false, personal: false, description: 'cache to push to' },
  from: { env: 'CARPORT_FROM', option: '--from', list: true, personal: false, description: 'caches to pull from' },
  'trusted-keys': {
    env: 'CARPORT_TRUSTED_KEYS',
    option: '--trusted-key',
    list: true,
    personal: true,
    description: 'public keys whose signatures are accepted',
  },
  'secret-key-files': {
    env: 'CARPORT_SECRET_KEY_FILES',
    option: '--secret-key',
    list: true,
    personal: true,
    description: 'files of the keys to sign with',
  },
  store: {
    env: 'CARPORT_STORE',
    option: '--store',
    list: false,
    personal: true,
    description: "root of carport's own store, or `nix`",
  },
  compression: {
    env: 'CARPORT_COMPRESSION',
    option: '--compression',
    list: false,
    personal: false,
    description: 'compression of NARs: zstd, xz or none',
  },
  level: {
    env: 'CARPORT_LEVEL',
    option: '--level',
    list: false,
    number: true,
    personal: false,
    description: 'level of compression',
  },
  jobs: {
    env: 'CARPORT_JOBS',
    option: '--jobs',
    list: false,
    number: true,
    personal: false,
    description: 'worker threads',
  },
  'skip-signed-by': {
    env: 'CARPORT_SKIP_SIGNED_BY',
    option: '--skip-signed-by',
    list: true,
    personal: false,
    description: 'leave out paths that a key of this name has signed: another cache has them',
  },
  'retry-seconds': {
    env: 'CARPORT_RETRY_SECONDS',
    option: '--retry-seconds',
    list: false,
    number: true,
    personal: false,
    description: 'how long a server may be gone before it is given up',
  },
  'stable-pattern': {
    env: 'CARPORT_STABLE_PATTERN',
    option: '--stable-pattern',
    list: false,
    personal: false,
    description: 'regular expression of the tags that are stable releases; the whole tag must match',
  },
  'base-url': {
    env: 'CARPORT_BASE_URL',
    option: '--base-url',
    list: false,
    personal: false,
    description: "where the bucket's objects are for users",
  },
  title: {
    env: 'CARPORT_TITLE',
    option: '--title',
    list: false,
    personal: false,
    description: 'heading of the page of releases',
  },
  forge: {
    env: 'CARPORT_FORGE',
    option: '--forge',
    list: false,
    personal: false,
    description: "address of the project's sources, for links",
  },
  'forge-kind': {
    env: 'CARPORT_FORGE_KIND',
    option: '--forge-kind',
    list: false,
    personal: false,
    description: 'what runs there: gitea (also for Forgejo), github or gitlab',
  },
  'required-targets': {
    env: 'CARPORT_REQUIRED_TARGETS',
    option: '--required-target',
    list: true,
    personal: false,
    description: 'targets without which a release is not complete',
  },
  'minimum-age': {
    env: 'CARPORT_MINIMUM_AGE',
    option: '--minimum-age',
    list: false,
    personal: false,
    description: 'how old a release must be to be promoted, such as `3d`',
  },
  'ancestor-of': {
    env: 'CARPORT_ANCESTOR_OF',
    option: '--ancestor-of',
    list: false,
    personal: false,
    description: 'a branch that must have the commit of a release that is promoted',
  },
  'gate-commands': {
    env: 'CARPORT_GATE_COMMANDS',
    option: '--gate-command',
    list: true,
    lines: true,
    personal: false,
    description: 'a command line that must succeed before a release is promoted',
  },
  'gate-seconds': {
    env: 'CARPORT_GATE_SECONDS',
    option: '--gate-seconds',
    list: false,
    number: true,
    personal: false,
    description: 'how long each of these commands may take',
  },
} as const satisfies Record<string, SettingSpec>;

export type SettingKey = keyof typeof SETTINGS;

/** A setting's values (at most one unless it is a list), and where they are from. */
export interface Setting {
  readonly values: readonly string[];
  readonly origin: string;
}

export type Settings = Readonly<Record<SettingKey, Setting>>;

const NOTHING: Setting = { values: [], origin: 'default' };

/**
 * Every setting, from the first place that has it: options, `CARPORT_*`, the checkout's `carport.toml`, then
 * `$XDG_CONFIG_HOME/carport/config.toml`. An unknown key in a file is an error.
 */
export async function readSettings(
  options: Partial<Record<SettingKey, readonly string[]>>,
  env: NodeJS.ProcessEnv,
  directory: string,
): Promise<Settings> {
  const [project, user] = await Promise.all([readProjectFile(directory), readConfigFile(userConfigFile(env))]);
  const entries = (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const spec = SETTINGS[key];
    const setting = fromOptions(spec, options[key]) ?? fromEnv(spec, env) ?? project?.get(key) ?? user?.get(key);
    return [key, setting ?? NOTHING] as const;
  });
  return Object.fromEntries(entries) as Settings;
}

/** Where a user's own settings are. */
export function userConfigFile(env: NodeJS.ProcessEnv): string {
  return join(xdgDirectory(env, 'XDG_CONFIG_HOME', '.config'), 'carport/config.toml');
}

/** The value of a setting that is not a list. */
export function singleValue({ values }: Setting): string | undefined {
  return values.at(-1);
}

function fromOptions(spec: SettingSpec, values: readonly string[] | undefined): Setting | undefined {
  return values && values.length > 0 ? { values, origin: spec.option } : undefined;
}

/** Lists are separated by white space, as Nix's `trusted-public-keys` are, unless their values have some. */
function fromEnv(spec: SettingSpec, env: NodeJS.ProcessEnv): Setting | undefined {
  const text = env[spec.env];
  if (!text) return undefined;
  const separator = spec.lines ? /\n/ : /\s+/;
  return { values: spec.list ? text.split(separator).filter((part) => part.trim() !== '') : [text], origin: spec.env };
}

type FileSettings = ReadonlyMap<SettingKey, Setting>;

/** The nearest `carport.toml` of the checkout that `directory` is in; outside of one, that of `directory` itself. */
async function readProjectFile(directory: string): Promise<FileSettings | undefined> {
  for (const at of await projectDirectories(resolve(directory))) {
    const file = join(at, 'carport.toml');
    const settings = await readConfigFile(file);
    if (settings) await checkOwner(file, directory);
    for (const key of settings?.keys() ?? []) checkProjectSetting(file, key, settings!.get(key)!);
    if (settings) return settings;
  }
  return undefined;
}

/** Up to the top of the checkout, and no further: who may write to `/tmp` must not choose settings below it. */
async function projectDirectories(directory: string): Promise<readonly string[]> {
  const directories: string[] = [];
  for (let at = directory; ; at = dirname(at)) {
    directories.push(at);
    if (await lstat(join(at, '.git')).catch(() => undefined)) return directories;
    if (dirname(at) === at) return [directory];
  }
}

/** By the names of the parameters as the URL's reader decodes them. */
function namesSecretKey(url: string): boolean {
  const parameters = new URLSearchParams(url.slice(url.indexOf('?') + 1));
  return parameters.has('secret-key') || parameters.has('secret-keys');
}

/** As git does: a file of somebody else above the directory was not put there for its owner. */
async function checkOwner(file: string, directory: string): Promise<void> {
  const [{ uid }, { uid: directoryOwner }] = await Promise.all([stat(file), stat(directory)]);
  if ([0, process.getuid?.(), directoryOwner].includes(uid)) return;
  throw new CarportError('E_USAGE', `\`${file}\` belongs to another user`, {
    hint: 'if you trust it, make it yours with `chown`; otherwise run carport elsewhere',
  });
}

function checkProjectSetting(file: string, key: SettingKey, { values }: Setting): void {
  const naming = (key === 'to' || key === 'from') && values.some(namesSecretKey);
  if (!SETTINGS[key].personal && !naming) return;
  throw new CarportError('E_USAGE', `\`${file}\` may not set \`${naming ? 'secret-key' : key}\``, {
    hint: `a project must not choose whom you trust, what you sign with, or your store: use \`${SETTINGS[key].option}\`, ${SETTINGS[key].env} or your own config.toml`,
  });
}

async function readConfigFile(file: string): Promise<FileSettings | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new CarportError('E_USAGE', `the settings in \`${file}\` cannot be read`, { cause: error });
  }
  const { parse } = await import('smol-toml');
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (cause) {
    throw new CarportError('E_USAGE', `\`${file}\` is not TOML`, { cause });
  }
  return new Map(Object.entries(table).map(([key, value]) => [checkKey(file, key), parseValue(file, key, value)]));
}

function checkKey(file: string, key: string): SettingKey {
  if (Object.hasOwn(SETTINGS, key)) return key as SettingKey;
  throw new CarportError('E_USAGE', `\`${file}\` has the unknown setting \`${key}\``, {
    hint: suggestion(key, Object.keys(SETTINGS)),
  });
}

function parseValue(file: string, key: string, value: unknown): Setting {
  const { list, number }: SettingSpec = SETTINGS[key as SettingKey];
  const values = Array.isArray(value) && list ? value : [value];
  if (values.every((item) => typeof item === (number ? 'number' : 'string'))) {
    return { values: values.map(String), origin: file };
  }
  const wanted = number ? 'a number' : list ? 'a text or a list of texts' : 'a text';
  throw new CarportError('E_USAGE', `\`${key}\` in \`${file}\` is not ${wanted}`);
}
