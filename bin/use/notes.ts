/** Which keys came into a user's settings with which cache, so that they go with it. */

import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { writeAtomically } from '../../lib/filesystem/atomic-write.js';
import { namesIn } from '../../lib/filesystem/exists.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { readSmallFile } from '../../lib/filesystem/small-files.js';
import { isTemporaryName } from '../../lib/filesystem/temporary.js';
import { encodeNix32 } from '../../lib/nix/base32.js';
import { stateDirectory } from '../../lib/state-directory.js';

const MAX_SIZE = 64 * 1024;

const Note = v.strictObject({ version: v.literal(1), url: v.string(), keys: v.array(v.string()) });

/** The keys that were written with a cache. */
export interface UsedKeys {
  readonly url: string;
  readonly keys: readonly string[];
}

/** Notes the keys of a cache. */
export async function noteKeys(env: NodeJS.ProcessEnv, { url, keys }: UsedKeys): Promise<void> {
  const directory = directoryOf(env);
  await makeDirectory(directory);
  const text = `${JSON.stringify({ version: 1, url, keys })}\n`;
  await writeAtomically(fileOf(env, url), (temporary) => writeFile(temporary, text, { flag: 'wx' }));
}

/** What was noted of all caches; what cannot be read counts as not noted. */
export async function notedKeys(env: NodeJS.ProcessEnv): Promise<readonly UsedKeys[]> {
  const directory = directoryOf(env);
  const names = (await namesIn(directory)).filter((name) => name.endsWith('.json') && !isTemporaryName(name));
  const notes = await Promise.all(names.map((name) => readNote(join(directory, name))));
  return notes.flat();
}

/** Forgets a cache. */
export function forgetKeys(env: NodeJS.ProcessEnv, url: string): Promise<void> {
  return rm(fileOf(env, url), { force: true });
}

async function readNote(file: string): Promise<readonly UsedKeys[]> {
  try {
    const bytes = await readSmallFile(file, MAX_SIZE);
    return bytes === undefined ? [] : [v.parse(Note, JSON.parse(bytes.toString('utf8')))];
  } catch {
    return [];
  }
}

function directoryOf(env: NodeJS.ProcessEnv): string {
  return join(stateDirectory(env), 'uses');
}

function fileOf(env: NodeJS.ProcessEnv, url: string): string {
  return join(directoryOf(env), `${encodeNix32(createHash('sha256').update(url).digest().subarray(0, 20))}.json`);
}
