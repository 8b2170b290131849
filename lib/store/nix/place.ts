/** Where the store lies that Nix uses: its environment and its settings, wherever they are, name it. */

import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { insteadOf } from '../../errors.js';
import { isThere } from '../../filesystem/exists.js';
import { xdgDirectory } from '../../home-directory.js';
import { DEFAULT_STORE_DIR } from '../../nix/store-path.js';
import { answerTo, type NixAnswer, STORE_SETTING } from './ahead.js';
import { NIX_COMMAND, runNix } from './program.js';

/** Where a store of Nix lies. */
export interface NixPlace {
  /** What its paths begin with. */
  readonly storeDir: string;
  /** Where that is on disk. */
  readonly realStoreDir: string;
}

/**
 * Asks Nix for its setting `store`, of which `NIX_REMOTE` is the default, unless one of `answers` is for that, and takes it apart;
 * `undefined` when `nix` is not on PATH.
 */
export async function placeOfNix(
  env: NodeJS.ProcessEnv,
  answers: readonly NixAnswer[] = [],
): Promise<NixPlace | undefined> {
  const setting = await storeSetting(env, answers);
  if (setting === undefined) return undefined;
  if (setting !== '' && setting !== 'auto') return placeOfUri(setting, env);
  // Who cannot make `/nix` gets a store in the home directory (Nix 2.10 and later).
  const own = join(xdgDirectory(env, 'XDG_DATA_HOME', '.local/share'), 'nix/root');
  const isElsewhere = !env.NIX_STORE_DIR && !env.NIX_STATE_DIR && !(await isThere(STATE));
  return placeOfUri(isElsewhere && (await isThere(own + STATE)) ? own : setting, env);
}

const STATE = '/nix/var/nix';

/** Nix 2.20 and later print one setting, earlier ones all. */
async function storeSetting(env: NodeJS.ProcessEnv, answers: readonly NixAnswer[]): Promise<string | undefined> {
  const known = await answerTo(STORE_SETTING, answers);
  if (known !== undefined) return known.trim();
  const shown = await runNix('nix', STORE_SETTING, env).catch(insteadOf('E_PROGRAM', FAILED));
  if (shown !== FAILED) return shown?.trim();
  const all = await runNix('nix', [...NIX_COMMAND, 'show-config', '--json'], env).catch(insteadOf('E_PROGRAM', FAILED));
  if (all === undefined) return undefined;
  const settings = v.safeParse(SettingsJson, all);
  return settings.success ? settings.output.store.value : (env.NIX_REMOTE ?? '');
}

const FAILED = Symbol('failed');

const SettingsJson = v.pipe(v.string(), v.parseJson(), v.object({ store: v.object({ value: v.string() }) }));

/**
 * The place of `/root`, `local`, `local://`, `local:///root`, each with or without `?root=`, `real=` and `store=`; of all
 * others, a daemon's first of all, that of the system.
 */
export function placeOfUri(uri: string, env: NodeJS.ProcessEnv): NixPlace {
  const [address, parameters] = splitUri(uri);
  const path = pathOf(address);
  const isLocal = path !== undefined;
  const storeDir = (isLocal && parameters.get('store')) || env.NIX_STORE_DIR || DEFAULT_STORE_DIR;
  const root = (isLocal && (path || parameters.get('root'))) || '';
  const real = isLocal && parameters.get('real');
  return { storeDir, realStoreDir: real || (root === '' ? '' : resolve(root).replace(/\/$/, '')) + storeDir };
}

/** The path of a local store, empty where none is named; `undefined` for stores of other kinds. */
function pathOf(address: string): string | undefined {
  const named = /^local(?::\/\/(.*))?$/s.exec(address);
  if (named) return named[1] ?? '';
  return address.includes('/') && !address.includes('://') ? address : undefined;
}

function splitUri(uri: string): readonly [string, ReadonlyMap<string, string>] {
  const at = uri.indexOf('?');
  if (at < 0) return [uri, new Map()];
  const pairs = uri
    .slice(at + 1)
    .split('&')
    .map((text): [string, string] => {
      const equals = text.indexOf('=');
      return [text.slice(0, Math.max(equals, 0)), decoded(text.slice(equals + 1))];
    });
  return [uri.slice(0, at), new Map(pairs)];
}

/** Nix decodes `%` and leaves `+` as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
