/**
 * Asks Nix what a push will ask it, before the program is there that pushes: both take as long. This has nothing that it does not
 * need.
 */

import { access, fstat } from 'node:fs';
import { isStorePath, storeDirOf } from '../../lib/nix/store-path.js';
import { askAhead, type NixAnswer } from '../../lib/store/nix/ahead.js';
import { isInCi } from '../reporters/ci-log.js';
import { takeKeys } from '../settings/held-key.js';

/** With one of them a push asks something else, or nothing. */
const OTHERWISE = /^(?:--closure|--toolchain-only|--help|-h)(?:=|$)/;

/** With one of them a push looks at the closure in any case. */
const WHOLE = /^(?:--print|--dry-run|--json|--check-all|--pin|--skip-in)(?:=|$)/;

const DESCRIPTOR = /fd:\d|\/fd\//;

/** What can be known of a push before the program is there. */
export interface Ahead {
  /** What Nix was asked. */
  readonly answers?: readonly NixAnswer[];
  /** Whether it may have nothing to do, and a directory of this machine can tell. */
  readonly isLikelyDone: boolean;
}

const NOTHING: Ahead = { isLikelyDone: false };

/**
 * Starts Nix for a command line and environment, where that is surely of use; the push that asks the same takes the answers. A guess:
 * what it does not foresee is asked when it is known.
 */
export async function startAhead(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ahead> {
  const [command, ...words] = args;
  if (command !== 'push' || words.some((word) => OTHERWISE.test(word)) || !isOfNix(words)) return NOTHING;
  if (hasDescriptor(words, env)) return NOTHING;
  const paths = [...new Set(words.filter((word) => word.startsWith('/') && isStorePath(word, storeDirOf(word))))];
  // A derivation is asked for in another way.
  if (paths.length === 0 || paths.some((path) => path.endsWith('.drv'))) return NOTHING;
  const directory = directoryOf(words);
  const isThere = directory !== undefined && (await hasCache(directory));
  const isWhole =
    words.some((word) => WHOLE.test(word)) || (await isListed(env)) || (directory !== undefined && !isThere);
  const answers = askAhead(isWhole ? 'closure' : 'paths', paths, takeKeys(env).env);
  return { answers, isLikelyDone: isThere && !isWhole };
}

/** Whether a key may come through a descriptor, which programs would have that are started before it is read and closed. */
function hasDescriptor(words: readonly string[], env: NodeJS.ProcessEnv): boolean {
  const settings = Object.keys(env).filter((name) => name.startsWith('CARPORT_'));
  return [...words, ...settings.map((name) => env[name])].some((text) => text && DESCRIPTOR.test(text));
}

/** Whether the store is that of Nix, as far as the command line says. */
function isOfNix(words: readonly string[]): boolean {
  const at = words.findIndex((word) => /^--store(?:=|$)/.test(word));
  return at < 0 || words[at] === '--store=nix' || (words[at] === '--store' && words[at + 1] === 'nix');
}

/** The directory that is pushed into, as far as the command line says. */
function directoryOf(words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => /^--to(?:=|$)/.test(word));
  const url = words[at]?.slice('--to='.length) || words[at + 1];
  return at < 0 ? undefined : /^(?:file:\/\/)?(\/[^?]*)/.exec(url ?? '')?.[1];
}

/** Whether a directory says that it is a cache. */
export function hasCache(directory: string): Promise<boolean> {
  return new Promise((resolve) => access(`${directory}/nix-cache-info`, (error) => resolve(!error)));
}

/** Whether the push prints the closure, or counts it. */
async function isListed(env: NodeJS.ProcessEnv): Promise<boolean> {
  if (env.GITHUB_STEP_SUMMARY) return true;
  return !isInCi(env) && !(await isDevice(1));
}

/** Whether a descriptor is a terminal or another device, and no file or pipe. */
export function isDevice(descriptor: number): Promise<boolean> {
  return new Promise((resolve) => fstat(descriptor, (error, stats) => resolve(!error && stats.isCharacterDevice())));
}
