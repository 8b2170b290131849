/** Looks at one narinfo: whether it can be read, is what it says, and names what is there. */

import { isWebPage } from '../../../lib/compression/format-of.js';
import { CarportError, hasCode } from '../../../lib/errors.js';
import { checkedContentAddress } from '../../../lib/nix/content-address.js';
import { formatHash } from '../../../lib/nix/hash.js';
import { type NarInfo, parseNarInfo } from '../../../lib/nix/narinfo.js';
import { hashPartOf, nameOf } from '../../../lib/nix/store-path.js';
import type { ReadStore, WriteStore } from '../../../lib/object-store/object-store.js';
import { signatureKeyName, verifyPath } from '../../../lib/signing/signature.js';
import type { TrustPolicy } from '../../../lib/signing/trust.js';
import { PACKED, pack } from '../../gc/hash-parts.js';
import type { NarInfoFacts } from '../../gc/survey.js';
import { NAR_ENDINGS, narInfoKey, narKey } from '../../layout.js';
import type { Finding } from '../finding.js';

/** Bytes of a narinfo that are read. */
const LIMIT = 4 * 1024 * 1024;

/** What is there in place of a narinfo. */
export type ReadNarInfo =
  | { readonly state: 'gone' }
  | { readonly state: 'bad'; readonly finding: Finding }
  | { readonly state: 'read'; readonly info: NarInfo };

/** Reads the narinfo of a hash part, whatever is there. */
export async function readAnyNarInfo(objects: ReadStore, hashPart: string): Promise<ReadNarInfo> {
  const key = narInfoKey(hashPart);
  const bad = (kind: 'narinfo-damaged' | 'unreadable', message: string, hint?: string): ReadNarInfo => {
    return { state: 'bad', finding: { kind, key, message, ...(hint !== undefined && { hint }) } };
  };
  let bytes: Buffer | undefined;
  try {
    bytes = await objects.read(key, LIMIT);
  } catch (error) {
    if (hasCode(error, 'E_FORMAT')) return bad('narinfo-damaged', error.message);
    const why = whyUnreadable(error, key);
    return { state: 'bad', finding: why };
  }
  if (bytes === undefined) return { state: 'gone' };
  if (bytes.length === 0) return bad('narinfo-damaged', 'the narinfo is empty');
  try {
    const info = parseNarInfo(bytes.toString('latin1'));
    if (hashPartOf(info.path) === hashPart) return { state: 'read', info };
    return bad('narinfo-damaged', `the narinfo is about another path, \`${info.path}\``);
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT')) throw error;
    const why = isWebPage(bytes) ? 'it is a web page' : error.message;
    return bad('narinfo-damaged', `the narinfo cannot be read: ${why}`);
  }
}

const READ_AS_OWNER =
  'nothing tells that the cache is damaged: run this as the user whose files they are, or let this one read them';

/** What keeps this user from an object; throws what is no matter of one object. */
export function whyUnreadable(error: unknown, key: string): Finding {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (error instanceof CarportError && error.code !== 'E_IO' && error.code !== 'E_CREDENTIALS') throw error;
  if (!(error instanceof CarportError) && !['EACCES', 'EPERM', 'EIO', 'ELOOP'].includes(code)) throw error;
  const cause = error instanceof CarportError && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return {
    kind: 'unreadable',
    key,
    message: `it cannot be read: ${(error as Error).message}${cause}`,
    hint: code === 'EIO' ? 'the disk or its file system fails: see the log of the system' : READ_AS_OWNER,
  };
}

/** What a collection of garbage would know of it. */
export function factsOf(info: NarInfo): NarInfoFacts {
  const hashPart = hashPartOf(info.path);
  const others = info.references.map(hashPartOf).filter((reference) => reference !== hashPart);
  const references = new Uint8Array(others.length * PACKED);
  for (const [index, reference] of others.entries()) pack(reference, references, index * PACKED);
  const deriver = info.deriver === undefined ? undefined : hashPartOf(info.deriver);
  return { name: nameOf(info.path), narKey: narKeyIn(info) ?? '', narSize: info.narSize, references, deriver };
}

/** Of a narinfo that says nothing: it refers to nothing, and nothing is known of it. */
export const NO_FACTS: NarInfoFacts = {
  ...{ name: '', narKey: '', narSize: 0 },
  ...{ references: new Uint8Array(0), deriver: undefined },
};

/** The key of its NAR; `undefined` where its URL leads outside of the cache. */
export function narKeyIn(info: NarInfo): string | undefined {
  try {
    return narKey(info);
  } catch (error) {
    if (hasCode(error, 'E_FORMAT')) return undefined;
    throw error;
  }
}

/** What is there of a cache, as a listing tells it. */
export interface Surroundings {
  /** Whether the narinfo of a hash part was listed. */
  readonly hasPath: (hashPart: string) => boolean;
  /** Bytes of a NAR that was listed. */
  readonly sizeOfNar: (key: string) => number | undefined;
  readonly trust: TrustPolicy;
  /** Where pushes leave paths out that other caches have: those that are known so far. Else nothing may be missing. */
  readonly elsewhere: Set<string> | undefined;
}

/** What is the matter with a narinfo that can be read, but for its NAR. */
export async function judgeNarInfo(
  objects: ReadStore,
  info: NarInfo,
  { hasPath, trust, elsewhere }: Surroundings,
): Promise<readonly Finding[]> {
  const { path } = info;
  const about = { key: narInfoKey(hashPartOf(path)), path };
  const found: Finding[] = [];
  const verdict = trust.keys.length === 0 ? undefined : verifyPath(info, trust.keys);
  if (verdict) found.push(...signatureFindings(info, verdict, trust));
  // Of what was changed since it was signed that has been said.
  if (verdict?.state !== 'invalid' && info.ca !== undefined && checkedContentAddress(info) === undefined) {
    const message = `its content address \`${info.ca}\` is not that of its name and content`;
    found.push({ ...about, kind: 'content-address', message });
  }
  for (const reference of info.references) {
    if (reference === path || hasPath(hashPartOf(reference))) continue;
    // A push may have brought it since the listing.
    if ((await objects.stat(narInfoKey(hashPartOf(reference)))) !== undefined) continue;
    const message = `it refers to \`${reference}\`, which is not there`;
    if (elsewhere === undefined) found.push({ ...about, kind: 'reference-missing', missing: reference, message });
    else if (!elsewhere.has(reference)) {
      elsewhere.add(reference);
      const why = `${message}: pushes to this cache leave out what other caches have`;
      found.push({ ...about, kind: 'reference-elsewhere', missing: reference, message: why });
    }
  }
  return found;
}

function signatureFindings(
  info: NarInfo,
  verdict: ReturnType<typeof verifyPath>,
  { allowUnsigned }: TrustPolicy,
): readonly Finding[] {
  const about = { key: narInfoKey(hashPartOf(info.path)), path: info.path };
  const sign = 'it is not removed for that: `carport cache sign CACHE --secret-key FILE --contents` signs it';
  if (verdict.state === 'invalid') {
    const message = `its signature by \`${verdict.keyName}\` is wrong: what it says is not what was signed`;
    return [{ ...about, kind: 'signature-wrong', keyName: verdict.keyName, message }];
  }
  if (verdict.state === 'valid' || allowUnsigned) return [];
  if (info.signatures.length === 0) {
    return [{ ...about, kind: 'signature-missing', message: 'nobody has signed it', hint: sign }];
  }
  const names = info.signatures.map((text) => `\`${signatureKeyName(text)}\``).join(', ');
  const message = `no trusted key has signed it, but ${names}`;
  const hint = `if that key is right, give it as \`--trusted-key\`; if not, ${sign}`;
  return [{ ...about, kind: 'signature-untrusted', message, hint }];
}

/** What is the matter with the NAR of a narinfo, as far as its listing tells. */
export async function judgeNar(
  objects: WriteStore,
  info: NarInfo,
  { sizeOfNar }: Surroundings,
): Promise<Finding | undefined> {
  const { path, url, compression, narSize, fileSize = compression === 'none' ? narSize : undefined } = info;
  const about = { key: narInfoKey(hashPartOf(path)), path };
  const key = narKeyIn(info);
  if (key === undefined) {
    return { ...about, kind: 'nar-outside', message: `its NAR is named \`${url}\`, which is not in the cache` };
  }
  const fits = (size: number | undefined) => size !== undefined && (fileSize === undefined || size === fileSize);
  if (fits(sizeOfNar(key)) && sizeOfNar(key) !== 0) return undefined;
  const size = (await objects.stat(key))?.size;
  if (Number.isNaN(size)) {
    const message = `its NAR \`${key}\` cannot be looked at: this user may not read the directory that it is in`;
    return { kind: 'unreadable', key, path, message, hint: READ_AS_OWNER };
  }
  if (size === undefined) {
    return { ...about, kind: 'nar-missing', missing: key, message: `its NAR \`${key}\` is missing` };
  }
  if (size === 0) return { ...about, kind: 'nar-size', missing: key, message: `its NAR \`${key}\` is empty` };
  if (fits(size)) return undefined;
  const message = `its NAR \`${key}\` has ${size} bytes, and not the ${fileSize} that it says`;
  return { ...about, kind: 'nar-size', missing: key, message };
}

/** Whether the words of a narinfo do not fit each other, so that its NAR is to be read: nothing is proven by that. */
export function isSuspicious(info: NarInfo): boolean {
  const match = /(?:^|\/)(?<hash>[0-9a-df-np-sv-z]{52})\.nar(?<ending>\.[a-z0-9]+)?$/.exec(narKeyIn(info) ?? '');
  const ending = NAR_ENDINGS[info.compression];
  if (ending === undefined) return true;
  if (!match?.groups) return false;
  const { hash, ending: named = '' } = match.groups;
  const known = [info.fileHash, info.narHash].map((one) => one && formatHash(one, 'nix32'));
  const isOther = Object.values(NAR_ENDINGS).includes(named) && named !== ending;
  return isOther || (info.fileHash !== undefined && !known.includes(hash));
}
