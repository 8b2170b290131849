/** Store paths: check, take apart, make. */

import { CarportError, formatError } from '../errors.js';
import { encodeNix32, NIX32_ALPHABET } from './base32.js';
import { type Hash, hashBytes, toHex } from './hash.js';

export const DEFAULT_STORE_DIR = '/nix/store';

/** Length of a store path's hash part: 160 bits in nix32. */
export const HASH_PART_LENGTH = 32;

const HASH_PART = new RegExp(`^[${NIX32_ALPHABET}]{${HASH_PART_LENGTH}}$`);
const NAME = /^[0-9A-Za-z+\-._?=]{1,211}$/;
const RESERVED_NAME = /^\.\.?(-|$)/;

/** True for 32 characters of nix32, and nothing else. */
export function isHashPart(text: string): boolean {
  return HASH_PART.test(text);
}

/** True for a name that Nix allows in a store path (libstore/path.cc). */
export function isStorePathName(name: string): boolean {
  return NAME.test(name) && !RESERVED_NAME.test(name);
}

/** True for `<hash part>-<name>`. */
export function isStoreBaseName(text: string): boolean {
  return (
    text[HASH_PART_LENGTH] === '-' &&
    isHashPart(text.slice(0, HASH_PART_LENGTH)) &&
    isStorePathName(text.slice(HASH_PART_LENGTH + 1))
  );
}

/** True for the target of a link to a store path, wherever that store is. */
export function leadsToStorePath(target: string): boolean {
  return isStoreBaseName(target.slice(target.lastIndexOf('/') + 1));
}

/** True for `<store dir>/<hash part>-<name>`. */
export function isStorePath(text: string, storeDir: string): boolean {
  return text.startsWith(`${storeDir}/`) && isStoreBaseName(text.slice(storeDir.length + 1));
}

/** Returns `text` when it is a store path, and throws otherwise. */
export function parseStorePath(text: string, storeDir: string): string {
  if (!isStorePath(text, storeDir)) throw formatError(`store path \`${text}\``, reasonAgainst(text, storeDir));
  return text;
}

/** Makes a store path of its last component, which is checked. */
export function storePathOf(baseName: string, storeDir: string): string {
  return parseStorePath(`${storeDir}/${baseName}`, storeDir);
}

/** `<hash part>-<name>` of a store path. */
export function baseNameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The 32 characters that name the path in a cache. */
export function hashPartOf(path: string): string {
  return baseNameOf(path).slice(0, HASH_PART_LENGTH);
}

export function nameOf(path: string): string {
  return baseNameOf(path).slice(HASH_PART_LENGTH + 1);
}

/** The directory that a store path lies in. */
export function storeDirOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/**
 * The store path of a type, a hash and a name (doc/manual store-path.md): nix32 of the folded sha256 of
 * `<type>:<algorithm>:<hex>:<store dir>:<name>`.
 */
export function makeStorePath(type: string, hash: Hash, name: string, storeDir: string): string {
  if (!isStorePathName(name)) {
    throw new CarportError('E_USAGE', `\`${name}\` cannot be the name of a store path`, {
      hint: 'use 1 to 211 of the characters A-Z a-z 0-9 + - . _ ? =',
    });
  }
  const text = `${type}:${hash.algorithm}:${toHex(hash.digest)}:${storeDir}:${name}`;
  return `${storeDir}/${encodeNix32(fold(hashBytes('sha256', text).digest, 20))}-${name}`;
}

/** The store path of a derivation's output; its name gets a suffix unless the output is `out`. */
export function makeOutputPath(output: string, hash: Hash, drvName: string, storeDir: string): string {
  return makeStorePath(`output:${output}`, hash, outputName(drvName, output), storeDir);
}

/** The name of an output's store path. */
export function outputName(drvName: string, output: string): string {
  return output === 'out' ? drvName : `${drvName}-${output}`;
}

function fold(digest: Uint8Array, size: number): Uint8Array {
  const folded = new Uint8Array(size);
  for (let index = 0; index < digest.length; index++) folded[index % size]! ^= digest[index]!;
  return folded;
}

function reasonAgainst(text: string, storeDir: string): string {
  if (!text.startsWith(`${storeDir}/`)) return `is not in \`${storeDir}\``;
  return 'is not a hash part of 32 nix32 characters, a dash and a name';
}
