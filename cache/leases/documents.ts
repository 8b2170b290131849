/**
 * Leases and sweeps: documents that tell others of a push or a garbage collection that is under way. Nobody signs them: who may
 * write them may also remove what they protect. One that nobody renews is void after a time, by the clock of the store.
 */

import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import * as v from 'valibot';
import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { createTemporaryNames, makerOf } from '../../lib/filesystem/temporary.js';
import { encodeNix32 } from '../../lib/nix/base32.js';
import { HASH_PART_LENGTH, isHashPart } from '../../lib/nix/store-path.js';
import { type DocumentPlace, documentKey, readDocument } from '../../lib/object-store/documents.js';
import { listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { DocumentKind, DocumentOf } from '../../lib/signing/document.js';
import { LEASES, SWEEPS } from '../layout.js';

/** Paths that one document names at most: 33 MB. */
export const MOST_NAMED = 1_000_000;

/** Bytes that are read of one. */
const MAX_BYTES = 40 * 1024 * 1024;

/** A day: who claims more is not believed. */
const MAX_SECONDS = 86_400;

/** Clocks of several servers of one store may differ so much. */
const SKEW_MS = 15_000;

/** A process that is gone has no request under way any more when it has not renewed for so long. */
const GONE_MS = 60_000;

/** Documents that are read at a time. */
const AT_ONCE = 16;

const Id = v.pipe(v.string(), v.check(isHashPart, 'is not 32 characters of nix32'));

/** Hash parts, one after the other: a closure of 100,000 paths is 3 MB so, and not that many objects. */
const HashParts = v.pipe(
  v.string(),
  v.regex(/^[0-9a-df-np-sv-z]*$/, 'has characters that are not of nix32'),
  v.check((text) => text.length % HASH_PART_LENGTH === 0, 'is not made of whole hash parts'),
);

const COMMON = {
  id: Id,
  /** It is void so long after it was written last. */
  seconds: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(MAX_SECONDS)),
  /** The process that holds it, as temporary names tell it: on its own machine it is known when it is gone. */
  process: v.pipe(v.string(), v.maxLength(200)),
  hashParts: HashParts,
};

/** A push that is under way. */
const LEASE = {
  what: 'lease',
  tag: 'carport-lease',
  maxBytes: MAX_BYTES,
  entries: {
    ...COMMON,
    /** Sweeps that the push has seen and waits for: it has not looked yet what is there, and relies on nothing. */
    waitsFor: v.pipe(v.array(Id), v.maxLength(1000), v.readonly()),
  },
} satisfies DocumentKind<v.ObjectEntries>;

/** A garbage collection that is under way. */
const SWEEP = {
  what: 'sweep',
  tag: 'carport-sweep',
  maxBytes: MAX_BYTES,
  entries: {
    ...COMMON,
    /** It also removes NARs, which it does not name: nobody may rely on one that no narinfo names. */
    removesNars: v.boolean(),
  },
} satisfies DocumentKind<v.ObjectEntries>;

/** What a push tells: its closure, and which sweeps it waits for. */
export type Lease = DocumentOf<typeof LEASE>;

/** What a garbage collection tells: which paths it may remove. */
export type Sweep = DocumentOf<typeof SWEEP>;

/** Where leases are. */
export const LEASE_PLACE: DocumentPlace<typeof LEASE.entries> = {
  kind: LEASE,
  keyOf: ({ id }) => documentKey(LEASES, id),
};

/** Where sweeps are. */
export const SWEEP_PLACE: DocumentPlace<typeof SWEEP.entries> = {
  kind: SWEEP,
  keyOf: ({ id }) => documentKey(SWEEPS, id),
};

/** Who holds something: models have names that are the same each time. */
export interface Identity {
  /** A name that nobody else has. */
  newId(): string;
  /** This process, as others on this machine know it. */
  process(): Promise<string>;
}

let known: Promise<string> | undefined;

/** As it ships. */
export const OWN_IDENTITY: Identity = {
  newId: () => encodeNix32(randomBytes(20)),
  process() {
    known ??= createTemporaryNames('.').then((name) => basename(name()));
    return known;
  },
};

/** The hash parts that a document names. */
export function* hashPartsIn({ hashParts }: Pick<Lease, 'hashParts'>): Generator<string> {
  for (let at = 0; at < hashParts.length; at += HASH_PART_LENGTH) yield hashParts.slice(at, at + HASH_PART_LENGTH);
}

/** What there is of leases or sweeps. */
export interface Claims<Value> {
  /** Those that count. */
  readonly live: readonly Value[];
  /** Keys of those whose owners are gone. */
  readonly expired: readonly string[];
}

/** The leases of a cache. */
export function readLeases(objects: ObjectStore): Promise<Claims<Lease>> {
  return readClaims(objects, LEASE_PLACE, LEASES);
}

/** The sweeps of a cache, but for one's own. */
export async function readSweeps(objects: ObjectStore, own?: string): Promise<Claims<Sweep>> {
  const { live, expired } = await readClaims(objects, SWEEP_PLACE, SWEEPS);
  return { live: live.filter(({ id }) => id !== own), expired };
}

/**
 * Reads what claims something. The time is asked for before the listing, so that what is renewed meanwhile is never too old.
 * One that vanishes while it is read belongs to work that has finished. What cannot be read counts as one that claims
 * everything: `E_INTEGRITY`, unless its time has passed.
 */
async function readClaims<Entries extends typeof LEASE.entries | typeof SWEEP.entries>(
  objects: ObjectStore,
  { kind }: DocumentPlace<Entries>,
  directory: string,
): Promise<Claims<DocumentOf<DocumentKind<Entries>>>> {
  // Mostly there are none, and then the time does not matter.
  if ((await listAll(objects, directory)).length === 0) return { live: [], expired: [] };
  const now = (await objects.now()).getTime();
  const listed = await listAll(objects, directory);
  const read = await mapAtMost(AT_ONCE, listed, async ({ key, modified }) => {
    const age = now - modified.getTime() - SKEW_MS;
    try {
      const value = (await readDocument(objects, kind, key))?.value;
      return { key, value, isExpired: value !== undefined && (await isVoid(value as unknown as Held, age)) };
    } catch (cause) {
      if (!hasCode(cause, 'E_FORMAT')) throw cause;
      if (age > MAX_SECONDS * 1000) return { key, value: undefined, isExpired: true };
      throw damaged(kind.what, key, objects.url, cause);
    }
  });
  return {
    live: read.flatMap(({ value, isExpired }) => (value && !isExpired ? [value] : [])),
    expired: read.flatMap(({ key, isExpired }) => (isExpired ? [key] : [])),
  };
}

/**
 * What a lease or a sweep at a key is worth, which was written `age` milliseconds ago by the store's clock. What cannot be read is
 * the error that says why.
 */
export async function readClaim<Entries extends typeof LEASE.entries | typeof SWEEP.entries>(
  objects: ObjectStore,
  { kind, keyOf }: DocumentPlace<Entries>,
  key: string,
  age: number,
): Promise<'live' | 'expired' | 'gone' | CarportError> {
  try {
    const value = (await readDocument(objects, kind, key))?.value;
    if (value === undefined) return 'gone';
    if (keyOf(value) !== key) return new CarportError('E_FORMAT', `it is that of \`${keyOf(value)}\``);
    return (await isVoid(value as unknown as Held, age - SKEW_MS)) ? 'expired' : 'live';
  } catch (cause) {
    if (hasCode(cause, 'E_FORMAT')) return cause;
    throw cause;
  }
}

type Held = Pick<Lease, 'seconds' | 'process'>;

async function isVoid({ seconds, process }: Held, age: number): Promise<boolean> {
  return age > seconds * 1000 || (age > GONE_MS - SKEW_MS && (await makerOf(process)) === 'gone');
}

async function listAll(objects: ObjectStore, prefix: string) {
  const listed: { readonly key: string; readonly modified: Date }[] = [];
  for await (const { key, modified } of listObjects(objects, { prefix })) listed.push({ key, modified });
  return listed;
}

function damaged(what: string, key: string, url: string, cause: unknown): CarportError {
  return new CarportError('E_INTEGRITY', `the ${what} \`${key}\` in \`${url}\` cannot be read`, {
    cause,
    hint: 'a newer carport may have written it; if nothing is under way there, remove the object, which is void after a day in any case',
  });
}
