/** Settings in files: a project's `carport.toml`, and the user's own. */

import { lstat, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CarportError, isErrno } from '../../lib/errors.js';
import { xdgDirectory } from '../../lib/home-directory.js';
import { suggestion } from '../../lib/suggestion.js';
import { SETTINGS, type SettingKey, type SettingSpec } from './table.js';

/** What is no setting but a table of a project's own, which who uses it reads: `bin/settings/tables` has those without a command. */
const TABLES = ['toolchains', 'bump', 'retention', 'image', 'registries'] as const;

export type TableName = (typeof TABLES)[number];

/** The texts of a file's settings, by their keys, and the file. */
export interface FileSettings {
  readonly file: string;
  /** All of it, for errors that name a line. */
  readonly text: string;
  readonly texts: ReadonlyMap<SettingKey, readonly string[]>;
  /** The tables, as they are there. */
  readonly tables: Readonly<Partial<Record<TableName, unknown>>>;
}

/** Where a user's own settings are. */
export function userConfigFile(env: NodeJS.ProcessEnv): string {
  return join(xdgDirectory(env, 'XDG_CONFIG_HOME', '.config'), 'carport/config.toml');
}

/** The settings of the user's own file; nothing where there is none. Throws `E_USAGE` for one that is not as it should be. */
export async function readUserFile(env: NodeJS.ProcessEnv): Promise<FileSettings | undefined> {
  const settings = await readConfigFile(userConfigFile(env));
  const [foreign] = settings
    ? TABLES.filter((name) => name !== 'retention' && settings.tables[name] !== undefined)
    : [];
  if (foreign === undefined) return settings;
  throw new CarportError('E_USAGE', `\`${settings!.file}\` has \`[${foreign}]\`, which is a project's`, {
    hint: 'put it into the `carport.toml` of the project',
  });
}

/**
 * The settings of the nearest `carport.toml` of the checkout that `directory` is in; outside of one, of that in `directory`
 * itself. Throws `E_USAGE` for one that is not as it should be.
 */
export async function readProjectFile(directory: string): Promise<FileSettings | undefined> {
  for (const at of await projectDirectories(resolve(directory))) {
    const file = join(at, 'carport.toml');
    const settings = await readConfigFile(file);
    if (!settings) continue;
    await checkOwner(file, directory);
    for (const [key, texts] of settings.texts) checkProjectSetting(file, key, texts);
    return settings;
  }
  return undefined;
}

/** The directories up to the top of the checkout, and no further: who may write to `/tmp` must not choose settings below it. */
async function projectDirectories(directory: string): Promise<readonly string[]> {
  const directories: string[] = [];
  for (let at = directory; ; at = dirname(at)) {
    directories.push(at);
    if (await lstat(join(at, '.git')).catch(() => undefined)) return directories;
    if (dirname(at) === at) return [directory];
  }
}

/** Whether a URL names a secret key, by its parameters as the reader of URLs decodes them. */
export function namesSecretKey(url: string): boolean {
  const parameters = new URLSearchParams(url.slice(url.indexOf('?') + 1));
  return parameters.has('secret-key') || parameters.has('secret-keys');
}

/** Refuses, as git does, a file of somebody else: above the directory it was not put there for its owner. */
async function checkOwner(file: string, directory: string): Promise<void> {
  const [{ uid }, { uid: directoryOwner }] = await Promise.all([stat(file), stat(directory)]);
  if ([0, process.getuid?.(), directoryOwner].includes(uid)) return;
  throw new CarportError('E_USAGE', `\`${file}\` belongs to another user`, {
    hint: 'if you trust it, make it yours with `chown`; otherwise run carport elsewhere',
  });
}

function checkProjectSetting(file: string, key: SettingKey, texts: readonly string[]): void {
  const naming = (key === 'cache' || key === 'to' || key === 'from') && texts.some(namesSecretKey);
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
    if (isErrno(error, 'ENOENT', 'ENOTDIR') || (await isOutOfSight(file, error))) return undefined;
    throw new CarportError('E_USAGE', `the settings in \`${file}\` cannot be read`, {
      cause: error,
      hint: 'make the file readable; for settings elsewhere set XDG_CONFIG_HOME, or HOME, to a directory of yours',
    });
  }
  const { parse } = await import('smol-toml');
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (cause) {
    throw new CarportError('E_USAGE', `\`${file}\` is not TOML`, { cause });
  }
  const isTable = ([key]: readonly [string, unknown]) => TABLES.some((name) => name === key);
  const entries = Object.entries(table);
  const texts = entries
    .filter((entry) => !isTable(entry))
    .map(([key, value]) => [checkKey(file, key), textsOf(file, key, value)] as const);
  return { file, text, texts: new Map(texts), tables: Object.fromEntries(entries.filter(isTable)) };
}

/** Whether a directory above a file lets nobody look: as with the HOME of somebody else, which `sudo -u` and containers leave. */
async function isOutOfSight(file: string, error: unknown): Promise<boolean> {
  if (!isErrno(error, 'EACCES', 'EPERM')) return false;
  return stat(file).then(
    () => false,
    (cause: unknown) => isErrno(cause, 'EACCES', 'EPERM'),
  );
}

function checkKey(file: string, key: string): SettingKey {
  if (Object.hasOwn(SETTINGS, key)) return key as SettingKey;
  throw new CarportError('E_USAGE', `\`${file}\` has the unknown setting \`${key}\``, {
    hint: suggestion(key, [...Object.keys(SETTINGS), ...TABLES]),
  });
}

function textsOf(file: string, key: string, value: unknown): readonly string[] {
  const { list, number }: SettingSpec = SETTINGS[key as SettingKey];
  const values = Array.isArray(value) && list ? value : [value];
  if (values.every((item) => typeof item === (number ? 'number' : 'string'))) return values.map(String);
  const wanted = number ? 'a number' : list ? 'a text or a list of texts' : 'a text';
  throw new CarportError('E_USAGE', `\`${key}\` in \`${file}\` is not ${wanted}`);
}
