import pLimit from 'p-limit';
import type { ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { PublicKey, SecretKey } from '../lib/signing/key.js';
import { formatMinisignId, MAX_MINISIG_SIZE, minisignKey, parseMinisig } from '../lib/signing/minisign.js';
import type { Doubt } from './doubt.js';
import type { Publication } from './publication.js';

/** What would be lost if somebody went on who does not know the keys that signed it. */

/** Keys that are named, of each signer. */
const NAMED = 3;

/** Signers that are told of. */
const MAX_GROUPS = 4;

/** Signatures that are read at a time. */
const AT_ONCE = 64;

/**
 * Of these signatures of files, those that would go, or be exchanged for another key's: where nobody signs
 * that is all of them, else those that no trusted key has made. What is no signature is none that could be lost.
 */
export async function findForeignSignatures(
  objects: ObjectStore,
  signatures: readonly { readonly key: string }[],
  { trusted, signing }: { readonly trusted: readonly PublicKey[]; readonly signing: readonly SecretKey[] },
): Promise<readonly Doubt[]> {
  const known = signing.length === 0 ? [] : trusted;
  const names = new Map(trusted.map((key) => [formatMinisignId(minisignKey(key).id), key.name]));
  const ids = new Set(known.map((key) => formatMinisignId(minisignKey(key).id)));
  const found = await pLimit(AT_ONCE).map(signatures, async ({ key }): Promise<readonly Doubt[]> => {
    const id = await readKeyId(objects, key);
    if (id === undefined || ids.has(id)) return [];
    const by = names.has(id) ? `\`${names.get(id)}\`` : `the minisign key ${id}`;
    const why = names.has(id) ? 'nothing is signed any more' : 'no trusted key has made it';
    return [{ key, why, what: `signed by ${by}`, isSigned: true }];
  });
  return found.flat();
}

/** Whether a key is that of a signature of a file that an index owns. */
export function isSignatureOf({ owns }: Pick<Publication, 'owns'>, key: string): boolean {
  return key.endsWith('.minisig') && owns(key);
}

async function readKeyId(objects: ObjectStore, key: string): Promise<string | undefined> {
  try {
    const bytes = await objects.read(key, MAX_MINISIG_SIZE);
    return bytes && formatMinisignId(parseMinisig(bytes).keyId);
  } catch (error) {
    if (error instanceof CarportError && error.code === 'E_FORMAT') return undefined;
    throw error;
  }
}

/** Throws where something would be lost (`E_SIGNATURE`), unless that is allowed; then it is what to warn of. */
export function refuseLosses(
  where: string,
  losses: readonly Doubt[],
  { allowLost, goesOn }: { readonly allowLost: boolean; readonly goesOn: string },
): readonly string[] {
  if (losses.length === 0) return [];
  const many = losses.length === 1 ? '1 document or signature' : `${losses.length} documents and signatures`;
  if (allowLost) return [`${many} in \`${where}\` that no trusted key has made are lost: ${listed(losses)}`];
  throw new CarportError(
    'E_SIGNATURE',
    `\`${where}\` has ${many} that no trusted key has made, and that would be lost`,
    {
      cause: new Error(listed(losses)),
      hint: hintOf(losses, goesOn),
    },
  );
}

function hintOf(losses: readonly Doubt[], goesOn: string): string {
  const isSigned = losses.some((each) => each.isSigned);
  const isOther = losses.some((each) => !each.isSigned);
  return [
    ...(isSigned ? ['sign with the key that did, or trust it with `--trusted-key NAME:BASE64`'] : []),
    ...(isOther ? ["remove what is damaged or a stranger's; `carport release put` signs a release again"] : []),
    `\`--allow-lost-signatures\` ${goesOn}`,
  ].join('; ');
}

/** By whom they are, and the first of each. */
function listed(losses: readonly Doubt[]): string {
  const groups = new Map<string, string[]>();
  for (const { what, key } of losses) {
    const group = groups.get(what);
    if (group) group.push(key);
    else groups.set(what, [key]);
  }
  const told = [...groups].slice(0, MAX_GROUPS).map(([what, keys]) => {
    const more = keys.length - NAMED;
    const first = keys.slice(0, NAMED).map((key) => `\`${key}\``);
    return `${what}: ${first.join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
  });
  return `${told.join('; ')}${groups.size > MAX_GROUPS ? '; and others' : ''}`;
}
