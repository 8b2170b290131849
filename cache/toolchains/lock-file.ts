/** `carport.lock`: which store paths a project's toolchains are. It names them, and vouches for nothing. */

import { lstat } from 'node:fs/promises';
import * as v from 'valibot';
import { CarportError, hasCode, isErrno } from '../../lib/errors.js';
import { writeBytesAtomically } from '../../lib/filesystem/atomic-write.js';
import { readSmallFile } from '../../lib/filesystem/small-files.js';
import { formatHash, type Hash, parseHash } from '../../lib/nix/hash.js';
import { parseStrictJson } from '../../lib/strict-json.js';
import { isPinName, PIN_LIMITS, StorePathText, TimeText } from '../pins/pin.js';

/** A path of a toolchain, and what its content must be. */
export interface LockedPath {
  readonly storePath: string;
  readonly narHash: Hash;
}

/** What a toolchain stood for when it was locked. */
export interface LockedToolchain {
  /** The pin as `carport.toml` names it. */
  readonly pin: string;
  /** The cache that had the pin: as `carport.toml` names it where it does; without secrets. */
  readonly cache: string;
  /** Since when the pin stood for these paths; UTC with milliseconds. */
  readonly since: string;
  /** When the pin was written. */
  readonly updatedAt: string;
  /** In the order of the pin. */
  readonly paths: readonly LockedPath[];
}

/** The toolchains of a project by their names. */
export type Lock = ReadonlyMap<string, LockedToolchain>;

/** Bounds of what is read: a lock is a short document. */
export const LOCK_LIMITS = { bytes: 4 * 1024 * 1024, toolchains: 100, text: 2000 } as const;

const Sha256 = v.pipe(v.string(), v.check(isSha256, 'is not a SHA-256 as `sha256-…`'));
const Text = v.pipe(v.string(), v.maxLength(LOCK_LIMITS.text));
const Path = v.strictObject({ storePath: StorePathText, narHash: Sha256 });
const LOCK_JSON = v.strictObject({
  version: v.literal(1),
  toolchains: v.pipe(
    v.record(
      v.pipe(v.string(), v.check(isPinName, 'is not one that a toolchain may have')),
      v.strictObject({
        pin: Text,
        cache: Text,
        since: TimeText,
        updatedAt: TimeText,
        paths: v.pipe(v.array(Path), v.minLength(1), v.maxLength(PIN_LIMITS.paths)),
      }),
    ),
    v.check((all) => Object.keys(all).length <= LOCK_LIMITS.toolchains, 'has too many toolchains'),
    v.check((all) => hasOneHashEach(Object.values(all).flatMap(({ paths }) => paths)), 'has two NAR hashes for a path'),
  ),
});

/** The lock in a file; `undefined` where there is none. Throws `E_FORMAT` for one that is not as it should be. */
export async function readLock(file: string): Promise<Lock | undefined> {
  try {
    // What it leads to is perhaps no lock, and errors would tell of it.
    const there = await lstat(file).catch(() => undefined);
    if (there?.isDirectory()) {
      throw new CarportError('E_FORMAT', `\`${file}\` is a directory`, {
        hint: 'move it away, and run `carport lock`',
      });
    }
    if (there?.isSymbolicLink()) {
      throw new CarportError('E_FORMAT', `\`${file}\` is a link`, { hint: 'put the lock itself there' });
    }
    const bytes = await readSmallFile(file, LOCK_LIMITS.bytes);
    return bytes && parseLock(bytes.toString('utf8'), file);
  } catch (cause) {
    if (isErrno(cause, 'EACCES', 'EPERM')) throw new CarportError('E_IO', `\`${file}\` cannot be read`, { cause });
    throw cause;
  }
}

/** Parses a lock; `file` is for errors. Throws `E_FORMAT`. */
export function parseLock(text: string, file: string): Lock {
  try {
    const { toolchains } = parseStrictJson(`\`${file}\``, text, LOCK_JSON);
    return new Map(
      Object.entries(toolchains).map(([name, { paths, ...rest }]) => [
        name,
        { ...rest, paths: paths.map(({ storePath, narHash }) => ({ storePath, narHash: parseHash(narHash) })) },
      ]),
    );
  } catch (cause) {
    if (!hasCode(cause, 'E_FORMAT') || cause.hint) throw cause;
    const version = newerVersionOf(text);
    if (version !== undefined) {
      throw new CarportError('E_FORMAT', `\`${file}\` is of version ${version}: a newer carport wrote it`, {
        hint: 'use a newer carport; `carport version --check` looks for one',
      });
    }
    const isMerge = /^(<<<<<<<|>>>>>>>) /m.test(text);
    const hint = isMerge
      ? 'git has left both sides of a merge in it: take either, then `carport lock --update`'
      : 'take it from git again, or remove it and run `carport lock`; a newer carport may have written it';
    throw new CarportError('E_FORMAT', cause.message, { cause: cause.cause, hint });
  }
}

/** The version of a lock that says it is of a later one than ours. */
function newerVersionOf(text: string): number | undefined {
  try {
    const { version } = JSON.parse(text);
    return Number.isSafeInteger(version) && version > 1 ? version : undefined;
  } catch {
    return undefined;
  }
}

/** The text of a lock: the same for the same toolchains, and a changed path is a changed line. */
export function renderLock(lock: Lock): string {
  const names = [...lock.keys()].sort();
  const toolchains = names.map((name) => {
    const { pin, cache, since, updatedAt, paths } = lock.get(name)!;
    const rendered = paths.map(({ storePath, narHash }) => ({ storePath, narHash: formatHash(narHash, 'sri') }));
    return [name, { pin, cache, since, updatedAt, paths: rendered }] as const;
  });
  return `${JSON.stringify({ version: 1, toolchains: Object.fromEntries(toolchains) }, undefined, 2)}\n`;
}

/** Writes a lock, so that it is there whole or as it was before. */
export async function writeLock(file: string, lock: Lock): Promise<void> {
  await writeBytesAtomically(file, renderLock(lock));
}

function hasOneHashEach(paths: readonly v.InferOutput<typeof Path>[]): boolean {
  const hashes = new Map(paths.map(({ storePath, narHash }) => [storePath, narHash]));
  return paths.every(({ storePath, narHash }) => hashes.get(storePath) === narHash);
}

function isSha256(text: string): boolean {
  try {
    return text.startsWith('sha256-') && parseHash(text).algorithm === 'sha256';
  } catch {
    return false;
  }
}
