/** Looks at what a cache and carport keep beside paths: `nix-cache-info`, pins, leases and sweeps, records. */

import { mapAtMost } from '../../../lib/concurrency.js';
import { CarportError, hasCode } from '../../../lib/errors.js';
import { TEMPORARY } from '../../../lib/filesystem/temporary.js';
import type { CacheInfo } from '../../../lib/nix/cache-info.js';
import { hashPartOf } from '../../../lib/nix/store-path.js';
import { documentKey, readDocument } from '../../../lib/object-store/documents.js';
import type { WriteStore } from '../../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../../lib/signing/trust.js';
import { READ_AT_ONCE } from '../../batches/document.js';
import { readCacheInfo } from '../../binary-cache.js';
import { readStatements } from '../../keys/statement.js';
import {
  BATCHES,
  CACHE_INFO_KEY,
  CACHE_KEYS,
  isKeyOfCache,
  LEASES,
  narInfoKey,
  PIN_LIST,
  PINS,
  STATS,
  SWEEPS,
  UPSTREAM_KEYS,
  upstreamKeyKey,
} from '../../layout.js';
import { LEASE_PLACE, readClaim, SWEEP_PLACE } from '../../leases/documents.js';
import { judgeOrigin, refusalError } from '../../pins/check.js';
import { readPinList } from '../../pins/list.js';
import { PIN, type Pin, toPin } from '../../pins/pin.js';
import { isSnapshot } from '../../stats/snapshots.js';
import type { Finding } from '../finding.js';
import { lookAtBatch } from './batches.js';
import { whyUnreadable } from './narinfo.js';

/** Documents that are read at a time. */
const AT_ONCE = 32;

/** Bytes of a record that are read. */
const LIMIT = 64 * 1024;

/** What temporary copies of a bucket are at least as old as, in milliseconds, before nobody works on them. */
const DAY = 24 * 60 * 60 * 1000;

/** Reads `nix-cache-info`. */
export async function lookAtCacheInfo(
  objects: WriteStore,
): Promise<{ readonly info: CacheInfo | undefined; readonly finding?: Finding }> {
  const key = CACHE_INFO_KEY;
  try {
    const info = await readCacheInfo(objects);
    if (info) return { info };
    return { info, finding: { kind: 'cache-info-missing', key, message: 'it is missing: readers see no cache' } };
  } catch (error) {
    if (!hasCode(error, 'E_INTEGRITY', 'E_FORMAT')) return { info: undefined, finding: whyUnreadable(error, key) };
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    return { info: undefined, finding: { kind: 'cache-info-damaged', key, message: `it cannot be read: ${why}` } };
  }
}

/** What documents are judged by. */
export interface DocumentSurroundings {
  readonly hasPath: (hashPart: string) => boolean;
  readonly trust: TrustPolicy;
  /** The store's time, in milliseconds. */
  readonly time: number;
  /** When an object was written, in milliseconds. */
  readonly modified: ReadonlyMap<string, number>;
}

/** Looks at all that carport keeps at these keys. */
export async function lookAtDocuments(
  objects: WriteStore,
  keys: readonly string[],
  surroundings: DocumentSurroundings,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const look = async (key: string): Promise<readonly Finding[]> => {
    try {
      return await lookAtDocument(objects, key, surroundings);
    } catch (error) {
      return [whyUnreadable(error, key)];
    }
  };
  const isBatch = (key: string) => key.startsWith(BATCHES);
  const others = keys.filter((key) => !isBatch(key));
  const found = (await mapAtMost(AT_ONCE, others, look, signal)).flat();
  return [...found, ...(await mapAtMost(READ_AT_ONCE, keys.filter(isBatch), look, signal)).flat()];
}

async function lookAtDocument(
  objects: WriteStore,
  key: string,
  surroundings: DocumentSurroundings,
): Promise<readonly Finding[]> {
  if (key === CACHE_KEYS) return lookAtKeys(objects);
  if (key === PIN_LIST) return lookAtPinList(objects);
  if (key.startsWith(PINS)) return lookAtPin(objects, key, surroundings);
  if (key.startsWith(LEASES) || key.startsWith(SWEEPS)) return lookAtClaim(objects, key, surroundings);
  if (key.startsWith(STATS)) return lookAtSnapshot(objects, key);
  if (key.startsWith(UPSTREAM_KEYS)) return lookAtRecord(objects, key);
  if (key.startsWith(BATCHES)) return lookAtBatch(objects, key, surroundings);
  if (key.startsWith(TEMPORARY)) {
    const age = surroundings.time - (surroundings.modified.get(key) ?? surroundings.time);
    return age < DAY ? [] : [{ kind: 'temporary', key, message: 'a copy that nobody has finished' }];
  }
  return isKeyOfCache(key) ? [{ kind: 'foreign', key, message: 'no carport of this version knows it' }] : [];
}

async function lookAtKeys(objects: WriteStore): Promise<readonly Finding[]> {
  try {
    const { refused = 0 } = (await readStatements(objects)) ?? {};
    if (refused === 0) return [];
    return [
      { kind: 'keys-damaged', key: CACHE_KEYS, message: `${refused} of its statements were not signed by their key` },
    ];
  } catch (error) {
    if (!hasCode(error, 'E_INTEGRITY')) throw error;
    const hint = error.hint;
    return [{ kind: 'keys-damaged', key: CACHE_KEYS, message: error.message, ...(hint !== undefined && { hint }) }];
  }
}

async function lookAtPinList(objects: WriteStore): Promise<readonly Finding[]> {
  try {
    await readPinList(objects);
    return [];
  } catch (error) {
    if (!hasCode(error, 'E_INTEGRITY')) throw error;
    return [{ kind: 'pin-list-damaged', key: PIN_LIST, message: error.message }];
  }
}

async function lookAtPin(
  objects: WriteStore,
  key: string,
  { hasPath, trust }: DocumentSurroundings,
): Promise<readonly Finding[]> {
  const name = key.slice(PINS.length).replace(/\.json$/, '');
  if (documentKey(PINS, name) !== key) return [{ kind: 'foreign', key, message: 'it is no pin' }];
  let pin: Pin | undefined;
  try {
    const document = await readDocument(objects, PIN, key);
    pin = document && toPin(document);
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT')) throw error;
    const hint = 'set it anew: `carport pin set NAME … --discard-history`';
    return [{ kind: 'pin-damaged', key, message: `the pin cannot be read: ${error.message}`, hint }];
  }
  if (pin === undefined) return [];
  // Without a key nothing can be said of who has signed it.
  const doubt = judgeOrigin(pin, name, trust.keys.length === 0 ? { ...trust, allowUnsigned: true } : trust);
  const dangling = await danglingOf(objects, pin, key, hasPath);
  return [...(doubt ? [doubtFinding(doubt, pin, { key, name, objects })] : []), ...dangling];
}

function doubtFinding(
  doubt: NonNullable<ReturnType<typeof judgeOrigin>>,
  pin: Pin,
  { key, name, objects }: { readonly key: string; readonly name: string; readonly objects: WriteStore },
): Finding {
  const { message, hint } = refusalError(doubt, pin, name, objects.url);
  const kinds = {
    damaged: 'pin-damaged',
    misplaced: 'pin-misplaced',
    'wrong-signature': 'pin-wrong-signature',
  } as const;
  const kind = doubt.kind in kinds ? kinds[doubt.kind as keyof typeof kinds] : 'pin-untrusted';
  return { kind, key, message, ...(hint !== undefined && { hint }) };
}

async function danglingOf(
  objects: WriteStore,
  pin: Pin,
  key: string,
  hasPath: (hashPart: string) => boolean,
): Promise<readonly Finding[]> {
  const missingIn = ({ storePaths, derivations }: Pick<Pin, 'storePaths' | 'derivations'>) =>
    [...storePaths, ...derivations].filter((path) => !hasPath(hashPartOf(path)));
  // Who has set it meanwhile has pushed before what it stands for.
  const isMissing = async (path: string) => (await objects.stat(narInfoKey(hashPartOf(path)))) === undefined;
  const missing = await mapAtMost(AT_ONCE, missingIn(pin), async (path) => ((await isMissing(path)) ? [path] : []));
  const now = missing.flat().map((missing): Finding => {
    const message = `the pin \`${pin.name}\` stands for \`${missing}\`, which is not there`;
    return { kind: 'pin-dangling', key, missing, message };
  });
  const before = pin.history.filter((value) => missingIn(value).length > 0);
  if (before.length === 0) return now;
  const message = `${before.length} of the values that the pin \`${pin.name}\` had before are not there any more`;
  return [...now, { kind: 'pin-history', key, message }];
}

async function lookAtClaim(
  objects: WriteStore,
  key: string,
  { time, modified }: DocumentSurroundings,
): Promise<readonly Finding[]> {
  const isLease = key.startsWith(LEASES);
  const what = isLease ? 'lease' : 'sweep';
  const age = time - (modified.get(key) ?? time);
  const state = await (isLease ? readClaim(objects, LEASE_PLACE, key, age) : readClaim(objects, SWEEP_PLACE, key, age));
  if (state === 'live' || state === 'gone') return [];
  if (state === 'expired') {
    const whose = isLease ? 'a push' : 'a garbage collection';
    return [{ kind: `${what}-expired`, key, message: `the ${what} of ${whose} that has ended without removing it` }];
  }
  const message = `the ${what} cannot be read, and keeps garbage collections from running: ${state.message}`;
  return [{ kind: `${what}-damaged`, key, message }];
}

async function lookAtSnapshot(objects: WriteStore, key: string): Promise<readonly Finding[]> {
  const bytes = await readRecord(objects, key);
  if (bytes === undefined || (bytes !== 'too large' && isSnapshot(bytes.toString('utf8')))) return [];
  return [{ kind: 'record-damaged', key, message: 'the totals of a day cannot be read' }];
}

async function lookAtRecord(objects: WriteStore, key: string): Promise<readonly Finding[]> {
  const bytes = await readRecord(objects, key);
  if (bytes === undefined) return [];
  try {
    const { name } = JSON.parse(bytes.toString()) as { readonly name?: unknown };
    if (typeof name === 'string' && upstreamKeyKey(name) === key) return [];
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
  }
  return [{ kind: 'record-damaged', key, message: 'the record of a key whose paths were left out cannot be read' }];
}

async function readRecord(objects: WriteStore, key: string): Promise<Buffer | 'too large' | undefined> {
  try {
    return await objects.read(key, LIMIT);
  } catch (error) {
    if (error instanceof CarportError && error.code === 'E_FORMAT') return 'too large';
    throw error;
  }
}
