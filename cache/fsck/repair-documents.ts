/** Repairs what lies beside paths: `nix-cache-info`, pins, leases and sweeps of the dead, records. */

import { CarportError, hasCode } from '../../lib/errors.js';
import type { CacheInfo } from '../../lib/nix/cache-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { judgeStored, putDocument, readDocument } from '../../lib/object-store/documents.js';
import type { ObjectStore, WriteStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { writeCacheInfo } from '../binary-cache.js';
import { CACHE_INFO_KEY, narInfoKey } from '../layout.js';
import { PIN, PIN_LIMITS, PIN_PLACE } from '../pins/pin.js';
import type { Finding, Repair } from './finding.js';
import type { Look } from './look/look.js';
import { isOfPlace, reasonOf } from './mend-path.js';
import type { Oddities } from './oddities.js';

/** What it works with. */
export interface DocumentTools {
  readonly objects: WriteStore;
  readonly from: ObjectStore | undefined;
  readonly trust: TrustPolicy;
  readonly oddities: Oddities;
  /** Keeps a copy of a document that goes. */
  readonly keep: (key: string, bytes: Uint8Array) => Promise<void>;
}

/** Repairs one of them; `undefined` for what is not repaired here. */
export async function repairDocument(finding: Finding, look: Look, tools: DocumentTools): Promise<Repair | undefined> {
  try {
    return await repairOne(finding, look, tools);
  } catch (error) {
    if (!isOfPlace(error)) throw error;
    return { did: 'refused', key: finding.key, message: `it is not mended: ${reasonOf(error)}` };
  }
}

async function repairOne(finding: Finding, look: Look, tools: DocumentTools): Promise<Repair | undefined> {
  const { kind, key } = finding;
  const { objects } = tools;
  switch (kind) {
    case 'cache-info-missing':
    case 'cache-info-damaged':
    case 'cache-info-store-dir':
      return mendCacheInfo(objects, look);
    case 'pin-damaged':
    case 'pin-wrong-signature':
      return mendPin(finding, look, tools);
    case 'pin-misplaced':
      return movePin(finding, tools);
    case 'lease-damaged':
    case 'sweep-damaged':
      return (await isOfFuture(objects, key))
        ? { did: 'refused', key, message: 'a newer carport has written it: it is void a day later' }
        : remove(objects, key, 'nobody can read it: whoever works renews what is theirs');
    case 'lease-expired':
    case 'sweep-expired':
      return remove(objects, key, 'its owner is gone');
    case 'keys-damaged':
      return { did: 'refused', key, message: 'only who has the keys can write it anew: `carport key publish`' };
    case 'pin-list-damaged':
      return remove(objects, key, 'nobody can read it, and the next pin that is set writes it anew');
    case 'record-damaged':
      return remove(objects, key, 'nobody can read it, and nothing needs it');
    case 'batch-damaged':
      return remove(objects, key, 'nobody can read it, and readers ask for each of its narinfos');
    case 'batch-orphaned':
      return remove(objects, key, 'none of its paths is there');
    case 'temporary':
      return (await tools.oddities.repair(finding)) ?? (await remove(objects, key, 'nobody has finished it'));
    case 'not-a-file':
    case 'unreadable':
    case 'upload-unfinished':
      return tools.oddities.repair(finding);
    default:
      return undefined;
  }
}

async function remove(objects: WriteStore, key: string, message: string): Promise<Repair> {
  await objects.remove([key]);
  return { did: 'removed', key, message };
}

/** What can still be read of its settings stays. */
async function mendCacheInfo(objects: WriteStore, { storeDir }: Look): Promise<Repair> {
  const text = (await objects.read(CACHE_INFO_KEY, PIN_LIMITS.bytes).catch(() => undefined))?.toString('latin1') ?? '';
  const priority = /^Priority: *([0-9]{1,9})\s*$/m.exec(text)?.[1];
  const wantMassQuery = /^WantMassQuery: *([01])\s*$/m.exec(text)?.[1];
  const info: CacheInfo = {
    storeDir,
    ...(priority !== undefined && { priority: Number(priority) }),
    ...(wantMassQuery !== undefined && { wantMassQuery: wantMassQuery === '1' }),
  };
  await writeCacheInfo(objects, info);
  const message = `written for \`${storeDir}\`: see its other settings with \`carport cache config\``;
  return { did: 'mended', key: CACHE_INFO_KEY, message };
}

/** Takes the pin of the other cache, where it is right; else removes what nobody can read, or what is signed wrongly for sure. */
async function mendPin({ kind, key }: Finding, look: Look, tools: DocumentTools): Promise<Repair> {
  const { objects, from, trust } = tools;
  const there = from && (await readGoodPin(from, key, trust));
  if (there) {
    await putDocument(objects, PIN_PLACE, there);
    return { did: 'mended', key, message: `taken from \`${from.url}\`` };
  }
  if (kind === 'pin-wrong-signature' && !(await isProven(objects, key, look, trust))) {
    const message = 'nothing proves that the trusted key of its name is the right one: it stays';
    return { did: 'refused', key, message };
  }
  if (await isOfFuture(objects, key)) return { did: 'refused', key, message: 'a newer carport has written it' };
  return removePin(tools, key, 'no reader takes it, and there is no other of it');
}

async function readGoodPin(objects: ObjectStore, key: string, trust: TrustPolicy) {
  const document = await readDocument(objects, PIN, key).catch((error) => {
    if (hasCode(error, 'E_FORMAT')) return undefined;
    throw error;
  });
  return document && judgeStored(PIN_PLACE, key, document, trust) === undefined ? document : undefined;
}

/** Whether the key that it names has signed other things of this cache. */
async function isProven(objects: WriteStore, key: string, { provenKeys }: Look, trust: TrustPolicy): Promise<boolean> {
  const document = await readDocument(objects, PIN, key);
  const doubt = document && judgeStored(PIN_PLACE, key, document, trust);
  return doubt?.kind === 'wrong-signature' && provenKeys.has(doubt.keyName);
}

/** Removes a pin that stands for what is not there, unless it has been set anew, or what it stands for has been pushed. */
export async function removeDangling(
  tools: DocumentTools,
  { key, missing = '', message }: Finding,
): Promise<Repair | undefined> {
  const { objects } = tools;
  const pin = await readDocument(objects, PIN, key).catch(() => undefined);
  const isFor = pin && [...pin.value.storePaths, ...pin.value.derivations].includes(missing);
  if (!isFor || (await objects.stat(narInfoKey(hashPartOf(missing)))) !== undefined) return undefined;
  return removePin(tools, key, `${message}, and is not to be had`);
}

/** Removes a pin, of which a copy stays on this machine: nothing else has its history. */
async function removePin({ objects, keep }: DocumentTools, key: string, why: string): Promise<Repair> {
  const bytes = await objects.read(key, PIN_LIMITS.bytes).catch((error) => {
    if (error instanceof CarportError) return undefined;
    throw error;
  });
  if (bytes) await keep(key, bytes);
  return remove(objects, key, why);
}

/** A pin under another name: it goes where it belongs, if there is none and a trusted key has signed it. */
async function movePin({ key }: Finding, tools: DocumentTools): Promise<Repair> {
  const { objects, trust } = tools;
  const document = await readDocument(objects, PIN, key);
  if (document === undefined) return { did: 'removed', key, message: 'it is not there any more' };
  const right = PIN_PLACE.keyOf(document.value);
  const isGood = judgeStored(PIN_PLACE, right, document, trust) === undefined;
  const isMissing = isGood && (await objects.stat(right)) === undefined;
  if (isMissing) await putDocument(objects, PIN_PLACE, document);
  const own = tools.from && (await readGoodPin(tools.from, key, trust));
  if (own) {
    await putDocument(objects, PIN_PLACE, own);
    return { did: 'mended', key, message: `taken from \`${tools.from!.url}\`` };
  }
  if (!isMissing) return removePin(tools, key, `it is the pin \`${document.value.name}\` under another name`);
  await objects.remove([key]);
  return { did: 'mended', key, message: `it is where it belongs now, at \`${right}\`` };
}

/** Whether what cannot be read is a document of a format that comes after ours. */
async function isOfFuture(objects: ObjectStore, key: string): Promise<boolean> {
  try {
    const bytes = await objects.read(key, PIN_LIMITS.bytes);
    const json: unknown = bytes && JSON.parse(bytes.toString('utf8'));
    const { schema, version } = (json ?? {}) as { readonly schema?: unknown; readonly version?: unknown };
    return [schema, version].some((format) => typeof format === 'number' && format > 1);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof CarportError) return false;
    throw error;
  }
}
