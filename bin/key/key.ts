/** The commands `key sign` and `key verify`. */

import { stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CarportError, isErrno } from '../../lib/errors.js';
import { writeAtomically } from '../../lib/filesystem/atomic-write.js';
import { isThere } from '../../lib/filesystem/exists.js';
import { readSmallFile } from '../../lib/filesystem/small-files.js';
import type { SecretKey } from '../../lib/signing/key.js';
import {
  canSignName,
  createMinisignHash,
  formatMinisignId,
  hasSignedComment,
  MAX_MINISIG_SIZE,
  type MinisignKey,
  type MinisignSignature,
  minisignKey,
  parseMinisig,
  signedFileName,
  signMinisign,
  verifyMinisig,
} from '../../lib/signing/minisign.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { openSource } from '../cli/source.js';
import { loadSecretKeys } from '../settings/keys.js';
import { integer } from '../settings/parsers.js';
import type { SignOptions, VerifyOptions } from './command.js';

/** Signs files; prints the names of the signature files. */
export async function sign(files: readonly string[], options: SignOptions, context: Context): Promise<void> {
  const key = await signingKey(options);
  const timestamp = timestampOf(context.env);
  const targets = files.map((file) => targetOf(file, options.out));
  checkTargets(targets);
  if (options.out !== undefined) await checkDirectory(options.out);
  for (const target of targets) await checkReplaceable(target, key);
  // What is missing or unreadable shows before the first is written.
  const digests: Uint8Array[] = [];
  for (const file of files) digests.push(await hashFile(file, context));
  for (const [index, target] of targets.entries()) {
    const text = signMinisign(digests[index]!, { fileName: basename(files[index]!), timestamp }, key);
    await writeAtomically(target, (temporary) => writeFile(temporary, text, { flag: 'wx' }));
  }
  if (!options.json) return writeLines(context.stdout, targets);
  const keyId = formatMinisignId(minisignKey(key.publicKey).id);
  const signatures = targets.map((signature, index) => ({ file: files[index]!, signature }));
  await writeJson(context.stdout, { keyName: key.name, keyId, timestamp, signatures });
}

/** Checks the signature of a file; prints its trusted comment. */
export async function verify(file: string, options: VerifyOptions, context: Context): Promise<void> {
  const keys = trustedKeys(options);
  const signature = options.signature ?? `${file}.minisig`;
  const signed = await readSignature(signature);
  if (signed === undefined) {
    throw new CarportError('E_NOT_FOUND', `the signature \`${signature}\` is not there`, {
      hint: 'fetch it, too, or say where it is with `--signature FILE`',
    });
  }
  const verdict = verifyMinisig(await hashFile(file, context), signed, keys);
  if (verdict.state !== 'valid') throw refusal(file, signature, signed, verdict);
  if (!options.anyName) checkName(file, signature, signed);
  const keyName = verdict.key.publicKey.name;
  const comment = Buffer.from(signed.trustedComment).toString('utf8');
  const keyId = formatMinisignId(signed.keyId);
  note(context, options, `\`${file}\` is as \`${keyName}\` has signed it`);
  if (options.json) await writeJson(context.stdout, { file, signature, keyName, keyId, trustedComment: comment });
  else await writeLines(context.stdout, [printable(comment.replaceAll('\t', '  '))]);
}

/** A signature file holds one signature. */
async function signingKey({ settings }: SignOptions): Promise<SecretKey> {
  const [key, ...more] = await loadSecretKeys(settings['secret-key-files'].value);
  if (key && more.length === 0) return key;
  throw new CarportError('E_USAGE', key ? 'more than one key is given to sign with' : 'no key is given to sign with', {
    hint: 'give one with `--secret-key FILE`; `carport key generate NAME --out FILE` makes one',
  });
}

/** Keys of minisign that are given are asked for alone: whoever names one does not want the keys of the settings, too. */
function trustedKeys({ minisignKey: given = [], settings }: VerifyOptions): readonly MinisignKey[] {
  const trusted = settings['trusted-keys'];
  if (given.length > 0 && trusted.origin.kind !== 'option') return given;
  const keys = [...trusted.value.map(minisignKey), ...given];
  if (keys.length > 0) return keys;
  throw new CarportError('E_USAGE', 'it is not said whose signature is trusted', {
    hint: 'give a key with `--trusted-key NAME:BASE64`, or one of minisign with `--minisign-key BASE64`',
  });
}

/** As other tools have it that make the same bytes again: https://reproducible-builds.org/specs/source-date-epoch/ */
function timestampOf({ SOURCE_DATE_EPOCH: epoch }: NodeJS.ProcessEnv): number {
  if (!epoch) return Math.floor(Date.now() / 1000);
  return sourceDate(epoch, 'SOURCE_DATE_EPOCH');
}

const sourceDate = integer(0, 99_999_999_999, {
  of: 'seconds',
  hint: 'unset it, or set it to seconds since 1970, such as `git log -1 --format=%ct` prints',
});

function targetOf(file: string, out: string | undefined): string {
  const name = basename(file);
  if (canSignName(name)) return join(out ?? dirname(file), `${name}.minisig`);
  throw new CarportError('E_USAGE', `\`${file}\` cannot be signed: its name would not stand on one line`, {
    hint: 'rename it: a name without tabs, newlines and other control characters',
  });
}

function checkTargets(targets: readonly string[]): void {
  const twice = targets.find((target, index) => targets.indexOf(target) !== index);
  if (twice === undefined) return;
  throw new CarportError('E_USAGE', `\`${twice}\` would be the signature of two files`, {
    hint: 'name each file once, and files of one name in several commands, each with its own `--out`',
  });
}

async function checkDirectory(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) return;
  throw new CarportError('E_NOT_FOUND', `\`${path}\` is not a directory`, { hint: 'make it with `mkdir -p`' });
}

/** What is replaced is a signature that the same key has made, and nothing else. */
async function checkReplaceable(target: string, key: SecretKey): Promise<void> {
  if (!(await isThere(target))) return;
  let cause: unknown;
  try {
    const signed = await readSignature(target);
    if (signed && hasSignedComment(signed, minisignKey(key.publicKey))) return;
    cause = new Error(signed ? 'another key has made it' : 'it is not a file');
  } catch (error) {
    cause = error;
  }
  throw new CarportError('E_USAGE', `\`${target}\` is there already, and is not a signature by \`${key.name}\``, {
    cause,
    hint: 'move it away, or have the signature written elsewhere with `--out DIRECTORY`',
  });
}

async function readSignature(file: string): Promise<MinisignSignature | undefined> {
  const bytes = await readSmallFile(file, MAX_MINISIG_SIZE);
  try {
    return bytes && parseMinisig(bytes);
  } catch (cause) {
    const hint = cause instanceof CarportError ? cause.hint : undefined;
    throw new CarportError('E_FORMAT', `\`${file}\` is not a signature of minisign`, { cause, ...(hint && { hint }) });
  }
}

async function hashFile(file: string, context: Context): Promise<Uint8Array> {
  const hash = createMinisignHash();
  try {
    // A whole path: `-` is a file like others.
    for await (const bytes of await openSource(resolve(file), context)) hash.update(bytes as Uint8Array);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) {
      throw new CarportError('E_NOT_FOUND', `\`${file}\` does not exist`, { cause, hint: 'check the path' });
    }
    if (!isErrno(cause, 'EISDIR')) throw cause;
    throw new CarportError('E_USAGE', `\`${file}\` is a directory`, { hint: 'name the files in it' });
  }
  return hash.digest();
}

function refusal(
  file: string,
  signature: string,
  { keyId }: MinisignSignature,
  verdict: Exclude<ReturnType<typeof verifyMinisig>, { state: 'valid' }>,
): CarportError {
  if (verdict.state === 'untrusted') {
    return new CarportError('E_SIGNATURE', `\`${file}\` is not signed by a trusted key`, {
      cause: new Error(`\`${signature}\` is by the key with the id ${formatMinisignId(keyId)}`),
      hint: 'trust a key with `--trusted-key NAME:BASE64`, or one of minisign with `--minisign-key BASE64`',
    });
  }
  const { name } = verdict.key.publicKey;
  const wrong = verdict.wrong === 'file' ? `it is not of \`${file}\` as it is now` : 'its trusted comment was changed';
  return new CarportError('E_SIGNATURE', `the signature \`${signature}\` by \`${name}\` is wrong`, {
    cause: new Error(wrong),
    hint: 'do not use the file: it, or its signature, is damaged or was tampered with. Fetch both again',
  });
}

/** Else an old file with its old signature would pass for a newer one. */
function checkName(file: string, signature: string, signed: MinisignSignature): void {
  const name = signedFileName(signed);
  if (name === basename(file)) return;
  throw new CarportError('E_SIGNATURE', `the signature \`${signature}\` is of a file with another name`, {
    cause: new Error(name === undefined ? 'its trusted comment has no name of a file' : `it is of \`${name}\``),
    hint: 'give the file the name that was signed, or take any with `--any-name`, where you know that it is the right file',
  });
}
