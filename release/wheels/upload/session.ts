/** Sends wheels and source distributions to an index: what it has already is left alone, and never another under its name. */

import { createReadStream } from 'node:fs';
import { CarportError } from '../../../lib/errors.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import { checkPython } from '../check.js';
import { uploadFields } from './fields.js';
import { formOf } from './form.js';
import { LONGER, type PackageIndex } from './package-index.js';

/** A file that is to be in the index. */
export interface FileToUpload {
  readonly name: string;
  /** The project, in any spelling. */
  readonly project: string;
  readonly size: number;
  readonly sha256: string;
  /** Gives `use` a path of the file, checked, which may be gone afterwards. */
  withFile<T>(use: (path: string) => Promise<T>): Promise<T>;
}

/** What is to be sent. */
export interface UploadRequest {
  /** In this order. */
  readonly files: readonly FileToUpload[];
  /** Take a file of that name for ours where the index does not tell what it has. */
  readonly skipExisting: boolean;
  /** Ask the index, and send nothing. */
  readonly dryRun: boolean;
}

/** What became of a file, or would. */
export interface Uploaded {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly state: 'uploaded' | 'unchanged';
}

/**
 * Sends what the index has not. It is asked before anything is sent, and again where it refuses: a file with this very content is done, also where an
 * answer was lost. So the same request again sends what is left. Throws `E_INTEGRITY` for a file that it has with other bytes.
 */
export async function uploadFiles(
  index: PackageIndex,
  { files, skipExisting, dryRun }: UploadRequest,
  { emit, signal }: Work<ActivityEvent>,
): Promise<readonly Uploaded[]> {
  const there: boolean[] = [];
  for (const file of files) there.push(await hasFile(index, file, skipExisting));
  const bytes = files.reduce((sum, { size }, at) => sum + (there[at] ? 0 : size), 0);
  emit({ type: 'started', verb: 'upload', unit: 'files', items: there.filter((each) => !each).length, bytes });
  const done: Uploaded[] = [];
  for (const [at, file] of files.entries()) {
    signal.throwIfAborted();
    const { name, size, sha256 } = file;
    let state: Uploaded['state'] = there[at] ? 'unchanged' : 'uploaded';
    if (state === 'uploaded' && !dryRun) {
      emit({ type: 'item-started', name, size });
      state = await send(index, file, skipExisting);
      emit({ type: 'progress', bytes: size });
      emit({ type: 'item-finished', name, size });
    }
    done.push({ name, size, sha256, state });
  }
  return done;
}

async function send(index: PackageIndex, file: FileToUpload, skipExisting: boolean): Promise<Uploaded['state']> {
  const { name, size, sha256 } = file;
  const answer = await file.withFile(async (path) => {
    const checked = await checkPython(path, name);
    if (!checked) throw new CarportError('E_FORMAT', `\`${name}\` is neither a wheel nor a source distribution`);
    const fields = uploadFields({ name, sha256, blake2b256: await blake2Of(path), document: checked.document });
    return index.upload(formOf(fields, { name, path, size }));
  });
  if (answer.state === 'taken') return 'uploaded';
  if (await hasFile(index, file, skipExisting)) return 'unchanged';
  if (skipExisting && /already (exist|been taken)/i.test(causeOf(answer.error))) return 'unchanged';
  throw answer.error;
}

/** Whether the index has the very file. */
async function hasFile(index: PackageIndex, file: FileToUpload, skipExisting: boolean): Promise<boolean> {
  const { name, project, sha256 } = file;
  const link = (await index.files(project))?.find((each) => each.name === name);
  if (!link) return false;
  const found = await index.hashOf(link, file.size);
  if (found === sha256) return true;
  if (found === undefined && skipExisting) return true;
  if (found === undefined) {
    throw new CarportError('E_REMOTE', `the index has \`${name}\`, and does not tell what is in it`, {
      hint: '`--skip-existing` takes it for this file',
    });
  }
  throw new CarportError('E_INTEGRITY', `the index has \`${name}\` with other bytes`, {
    cause: new Error(`there: ${found === LONGER ? found : `sha256 ${found}`}; here: sha256 ${sha256}`),
    hint: 'what an index has does not change: publish under another version, or with a build tag',
  });
}

function causeOf({ cause }: Error): string {
  return cause instanceof Error ? cause.message : '';
}

/** PyPI knows files by it, too. Node has BLAKE2b of 512 bits only, and that of 256 is no part of it. */
async function blake2Of(path: string): Promise<string> {
  const { blake2b } = await import('@noble/hashes/blake2.js');
  const hasher = blake2b.create({ dkLen: 32 });
  for await (const piece of createReadStream(path)) hasher.update(piece as Buffer);
  return Buffer.from(hasher.digest()).toString('hex');
}
