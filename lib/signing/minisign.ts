/**
 * Signatures of files, as the program minisign makes and checks them, by the ed25519 keys of caches. What is signed
 * is the BLAKE2b hash of a file, and then that signature with the trusted comment: 64 bytes or more that nobody
 * chooses, which no signature of a path or pin covers. Files that are signed themselves (`minisign -S -l`) are not
 * taken.
 */

import { createHash, sign, verify } from 'node:crypto';
import { formatError } from '../errors.js';
import { decodeBase64, toBase64 } from '../nix/hash.js';
import { type PublicKey, parsePublicKey, type SecretKey } from './key.js';

/** A public key that files are checked with. */
export interface MinisignKey {
  /** 8 bytes by which a signature names its key. They prove nothing. */
  readonly id: Uint8Array;
  readonly publicKey: PublicKey;
}

/** What a signature file says. */
export interface MinisignSignature {
  readonly keyId: Uint8Array;
  /** Of the hash of the file. */
  readonly signature: Uint8Array;
  /** Bytes that may be no UTF-8. */
  readonly trustedComment: Uint8Array;
  /** Of the signature and the trusted comment. */
  readonly globalSignature: Uint8Array;
}

export type MinisignVerdict =
  | { readonly state: 'valid'; readonly key: MinisignKey }
  /** Names a trusted key, which has signed another file, or another comment. */
  | { readonly state: 'invalid'; readonly key: MinisignKey; readonly wrong: 'file' | 'comment' }
  /** Names a key that is not trusted. */
  | { readonly state: 'untrusted' };

/** What is signed with a file. */
export interface SignedAbout {
  readonly fileName: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** The release that the file is about: else that of one could be given for that of another. */
  readonly version?: string;
  /** The target of the release, where the file is about that alone. */
  readonly target?: string;
}

/** The largest signature file that minisign reads is smaller. */
export const MAX_MINISIG_SIZE = 16 * 1024;

const PREHASHED = 'ED';
const NOT_HASHED = 'Ed';
const KEY_ALGORITHM = 'Ed';
const ID_SIZE = 8;
const SIGNATURE_SIZE = 64;
const UNTRUSTED = 'untrusted comment: ';
const TRUSTED = 'trusted comment: ';

/** Of a key's name in a comment: minisign reads lines of up to 1,024 bytes. */
const MAX_NAME = 512;

/** The hash of a file that is signed. */
export function createMinisignHash(): ReturnType<typeof createHash> {
  return createHash('blake2b512');
}

/**
 * The key as minisign knows it. Minisign's own keys have a random id; this is the beginning of the SHA-256 of the public
 * key, so that it is the same wherever it is asked for.
 */
export function minisignKey(publicKey: PublicKey): MinisignKey {
  return { id: createHash('sha256').update(publicKey.bytes).digest().subarray(0, ID_SIZE), publicKey };
}

/** A key id as minisign prints it: the bytes are a number, the lowest first. */
export function formatMinisignId(id: Uint8Array): string {
  return Buffer.from(id).reverse().toString('hex').toUpperCase();
}

/** What `minisign -P` takes, the second line of a public key file. */
export function renderMinisignKey({ id, publicKey }: MinisignKey): string {
  return toBase64(Buffer.concat([Buffer.from(KEY_ALGORITHM), id, publicKey.bytes]));
}

/** The two lines of a public key file. */
export function minisignKeyLines(key: MinisignKey): readonly string[] {
  return [`${UNTRUSTED}minisign public key ${formatMinisignId(key.id)}`, renderMinisignKey(key)];
}

/** Parses a public key, as a public key file has it or its second line alone. It is given a name to speak of it. */
export function parseMinisignKey(text: string): MinisignKey {
  const what = 'minisign public key';
  const lines = text.trim().split(/\r?\n/);
  if (lines.length === 2 && lines[0]!.startsWith(UNTRUSTED)) lines.shift();
  const bytes = Buffer.from(decodeBase64(lines.join('\n'), what));
  if (bytes.length !== 2 + ID_SIZE + 32) throw formatError(what, `has ${bytes.length} bytes, not 42`);
  if (bytes.toString('latin1', 0, 2) !== KEY_ALGORITHM) throw formatError(what, 'is not for ed25519');
  const id = bytes.subarray(2, 2 + ID_SIZE);
  const publicKey = parsePublicKey(`${formatMinisignId(id)}:${toBase64(bytes.subarray(2 + ID_SIZE))}`);
  return { id, publicKey };
}

/** The signature file of a file with this hash. The same for the same input. */
export function signMinisign(digest: Uint8Array, about: SignedAbout, key: SecretKey): string {
  const { id } = minisignKey(key.publicKey);
  const comment = renderTrustedComment(about);
  const signature = sign(null, digest, key.privateKey);
  const globalSignature = sign(null, Buffer.concat([signature, Buffer.from(comment)]), key.privateKey);
  return [
    `${UNTRUSTED}signature by ${key.name.slice(0, MAX_NAME)}`,
    toBase64(Buffer.concat([Buffer.from(PREHASHED), id, signature])),
    TRUSTED + comment,
    toBase64(globalSignature),
    '',
  ].join('\n');
}

/** Whether the name of a file can stand in a trusted comment: one line, with tabs between its fields. */
export function canSignName(fileName: string): boolean {
  return !/[\x00-\x1f\x7f]/.test(fileName) && fileName !== '';
}

/** Parses a signature file; nothing in it is believed yet. */
export function parseMinisig(bytes: Uint8Array): MinisignSignature {
  const what = 'minisign signature';
  if (bytes.length > MAX_MINISIG_SIZE) throw formatError(what, `is larger than ${MAX_MINISIG_SIZE} bytes`);
  const lines = Buffer.from(bytes)
    .toString('latin1')
    .replace(/\r?\n$/, '')
    .split(/\r?\n/);
  const [untrusted, encoded, trusted, encodedGlobal] = lines as [string, string, string, string];
  if (lines.length !== 4) throw formatError(what, `has ${lines.length} lines, not 4`);
  if (!untrusted.startsWith(UNTRUSTED)) throw formatError(what, `its first line does not begin with \`${UNTRUSTED}\``);
  if (!trusted.startsWith(TRUSTED)) throw formatError(what, `its third line does not begin with \`${TRUSTED}\``);
  const signed = Buffer.from(decodeBase64(encoded, `${what}, second line`));
  const globalSignature = decodeBase64(encodedGlobal, `${what}, fourth line`);
  if (signed.length !== 2 + ID_SIZE + SIGNATURE_SIZE) throw formatError(what, 'its second line has a wrong length');
  if (globalSignature.length !== SIGNATURE_SIZE) throw formatError(what, 'its fourth line has a wrong length');
  checkAlgorithm(what, signed.toString('latin1', 0, 2));
  return {
    keyId: signed.subarray(2, 2 + ID_SIZE),
    signature: signed.subarray(2 + ID_SIZE),
    trustedComment: Buffer.from(trusted.slice(TRUSTED.length), 'latin1'),
    globalSignature,
  };
}

/** Whether one of the keys has signed a file with this hash. */
export function verifyMinisig(
  digest: Uint8Array,
  signed: MinisignSignature,
  keys: readonly MinisignKey[],
): MinisignVerdict {
  const named = keys.filter(({ id }) => Buffer.compare(id, signed.keyId) === 0);
  if (named.length === 0) return { state: 'untrusted' };
  const signers = named.filter(({ publicKey }) => verify(null, digest, publicKey.key, signed.signature));
  const key = signers.find((signer) => hasSignedComment(signed, signer));
  if (key) return { state: 'valid', key };
  return { state: 'invalid', key: named[0]!, wrong: signers.length === 0 ? 'file' : 'comment' };
}

/** Whether a key made this signature, of whatever file. */
export function hasSignedComment(signed: MinisignSignature, { id, publicKey }: MinisignKey): boolean {
  const message = Buffer.concat([signed.signature, signed.trustedComment]);
  return Buffer.compare(id, signed.keyId) === 0 && verify(null, message, publicKey.key, signed.globalSignature);
}

/** The name that the signed file had; none where the comment does not say it once. */
export function signedFileName({ trustedComment }: MinisignSignature): string | undefined {
  const fields = Buffer.from(trustedComment).toString('utf8').split('\t');
  const names = fields.filter((field) => field.startsWith('file:'));
  return names.length === 1 ? names[0]!.slice('file:'.length) : undefined;
}

/** As minisign writes it, and what is ours behind that. */
function renderTrustedComment({ fileName, timestamp, version, target }: SignedAbout): string {
  if (!canSignName(fileName)) throw formatError('minisign signature', 'the name of the file holds control characters');
  const more = Object.entries({ version, target }).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (!canSignName(value)) throw formatError('minisign signature', `the ${name} holds control characters`);
    return [`\t${name}:${value}`];
  });
  return `timestamp:${timestamp}\tfile:${fileName}\thashed${more.join('')}`;
}

function checkAlgorithm(what: string, algorithm: string): void {
  if (algorithm === PREHASHED) return;
  if (algorithm !== NOT_HASHED) throw formatError(what, 'is not by ed25519');
  throw formatError(what, 'is of the old kind, which does not cover a hash', {
    hint: 'ask for a signature that `minisign -S` of version 0.10 or later made, without `-l`',
  });
}
