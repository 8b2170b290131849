/** What a directory of shims says of itself, and which there are: for renewing and removing them. */

import { createHash } from 'node:crypto';
import { mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import * as v from 'valibot';
import { hasCode } from '../../lib/errors.js';
import { writeAtomically, writeBytesAtomically } from '../../lib/filesystem/atomic-write.js';
import { isThere, namesIn } from '../../lib/filesystem/exists.js';
import { readSmallFile } from '../../lib/filesystem/small-files.js';
import { isTemporaryName } from '../../lib/filesystem/temporary.js';
import { encodeNix32 } from '../../lib/nix/base32.js';
import { stateDirectory } from '../../lib/state-directory.js';
import { parseStrictJson } from '../../lib/strict-json.js';
import { ownPlaces } from './own.js';

const MAX_SIZE = 4 * 1024 * 1024;

const RECORD = v.strictObject({
  version: v.literal(1),
  /** What was named. */
  names: v.array(v.string()),
  /** The directory of the project whose toolchains these are. */
  project: v.nullable(v.string()),
  storePaths: v.array(v.string()),
  /** Where the first of them is. */
  realPath: v.string(),
  /** Whether the programs are in their place, and no namespace is entered. */
  inPlace: v.boolean(),
  /** The names of the scripts. */
  programs: v.array(v.string()),
});

/** What a directory of shims says of itself. */
export type ShimsRecord = Omit<v.InferOutput<typeof RECORD>, 'version'>;

/** The record of a directory; `undefined` where there is none, or none that this version knows. */
export async function readRecord(directory: string): Promise<ShimsRecord | undefined> {
  const file = ownPlaces(directory).record;
  const bytes = await readSmallFile(file, MAX_SIZE);
  if (bytes === undefined) return undefined;
  try {
    const { version: _, ...record } = parseStrictJson(`\`${file}\``, bytes.toString('utf8'), RECORD);
    return record;
  } catch (error) {
    if (hasCode(error, 'E_FORMAT')) return undefined;
    throw error;
  }
}

/** Writes the record of a directory. */
export async function writeRecord(directory: string, record: ShimsRecord): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify({ version: 1, ...record }, undefined, 2)}\n`);
  await writeBytesAtomically(ownPlaces(directory).record, bytes);
}

/** Notes for this user that a directory has shims. */
export async function noteDirectory(directory: string, env: NodeJS.ProcessEnv): Promise<void> {
  const note = noteOf(directory, env);
  await mkdir(notesDirectory(env), { recursive: true });
  await writeAtomically(note, (temporary) => symlink(directory, temporary));
}

/** Takes the note back. */
export async function forgetDirectory(directory: string, env: NodeJS.ProcessEnv): Promise<void> {
  await rm(noteOf(directory, env), { force: true });
}

/** Directories with shims that this user has made, and their records. */
export async function knownShims(env: NodeJS.ProcessEnv): Promise<readonly (readonly [string, ShimsRecord])[]> {
  const names = (await namesIn(notesDirectory(env))).filter((name) => !isTemporaryName(name));
  const found = names.map(async (name) => {
    const directory = await readlink(join(notesDirectory(env), name)).catch(() => undefined);
    const record = directory && (await readRecord(directory).catch(() => undefined));
    return directory && record ? [[directory, record] as const] : [];
  });
  return (await Promise.all(found)).flat();
}

/** Where the shims of `carport env` are, which renews them itself. */
export function envDirectory(env: NodeJS.ProcessEnv): string {
  return join(stateDirectory(env), 'env');
}

/** An environment whose PATH has no shims: for programs that enter a namespace, or that shims need. */
export async function withoutShims(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const directories = (env.PATH ?? '').split(delimiter);
  const areShims = await Promise.all(
    directories.map(async (directory) => directory !== '' && (await isThere(ownPlaces(directory).record))),
  );
  return { ...env, PATH: directories.filter((_, index) => !areShims[index]).join(delimiter) };
}

function notesDirectory(env: NodeJS.ProcessEnv): string {
  return join(stateDirectory(env), 'shims');
}

function noteOf(directory: string, env: NodeJS.ProcessEnv): string {
  return join(notesDirectory(env), nameFor(directory));
}

/** A name for what other text says. */
export function nameFor(text: string): string {
  return encodeNix32(createHash('sha1').update(text).digest());
}
