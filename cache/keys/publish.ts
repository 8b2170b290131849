/** Writes what keys say of themselves into a cache. */

import { CarportError, insteadOf } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { type PublicKey, renderPublicKey, type SecretKey } from '../../lib/signing/key.js';
import { cacheAddress } from './address.js';
import { MAX_VOUCHING_MS } from './chain.js';
import { readStatements, type Statement, type Successor, signStatement, writeStatements } from './statement.js';

/** What keys are to say. */
export interface KeysRequest {
  /** Each makes a statement. */
  readonly keys: readonly SecretKey[];
  /** URLs of the cache for its readers, beside the one that it is written by. */
  readonly urls: readonly string[];
  /** A key that all others of these vouch for until a time, or that none are vouched for any more. */
  readonly successors?: { readonly add: PublicKey; readonly until: string } | 'none';
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What a cache tells of its keys after that. */
export interface PublishedKeys {
  readonly statements: readonly Statement[];
  readonly changed: boolean;
}

/**
 * Has keys say where they are used, and which keys follow them. Addresses and successors that a key has named before stay;
 * statements of other keys stay as they are. Two that do this at the same time may lose what the other has written.
 */
export async function publishKeys(
  objects: ObjectStore,
  { keys, urls, successors, now }: KeysRequest,
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<PublishedKeys> {
  const there = (await readStatements(objects))?.statements ?? [];
  const addresses = [objects.url, ...urls].map(requireAddress);
  const statements = new Map(there.map((each) => [each.value.key, each]));
  let changed = false;
  for (const key of keys) {
    const name = renderPublicKey(key.publicKey);
    const before = statements.get(name)?.value;
    const next = {
      caches: [...new Set([...(before?.caches ?? []), ...addresses])],
      successors: successorsOf(name, before?.successors ?? [], successors, now),
    };
    if (
      before &&
      JSON.stringify(next.caches) === JSON.stringify(before.caches) &&
      isSame(next.successors, before.successors)
    )
      continue;
    // Later than what is there, whatever this clock says: readers refuse what is older.
    const updatedAt = new Date(Math.max(now, before ? Date.parse(before.updatedAt) + 1 : 0)).toISOString();
    statements.set(name, signStatement(key, { ...next, updatedAt }));
    changed = true;
  }
  const all = [...statements.values()];
  if (changed && !dryRun) await writeStatements(objects, all);
  return { statements: all.map(({ value }) => value), changed };
}

/**
 * Takes the statements of keys along to a copy of their cache, where nothing is said of these keys yet, or something older. They
 * count there for readers of addresses that they name. What cannot be read stays.
 */
export async function copyStatements(from: ObjectStore, to: ObjectStore): Promise<void> {
  const quiet = insteadOf('E_INTEGRITY', undefined);
  const theirs = (await readStatements(from).catch(quiet))?.statements ?? [];
  const ours = await readStatements(to).catch(insteadOf('E_INTEGRITY', 'damaged' as const));
  if (theirs.length === 0 || ours === 'damaged') return;
  const all = new Map((ours?.statements ?? []).map((each) => [each.value.key, each]));
  const newer = theirs.filter(({ value }) => (all.get(value.key)?.value.updatedAt ?? '') < value.updatedAt);
  for (const each of newer) all.set(each.value.key, each);
  if (newer.length > 0) await writeStatements(to, [...all.values()]);
}

function successorsOf(
  own: string,
  before: readonly Successor[],
  wanted: KeysRequest['successors'],
  now: number,
): readonly Successor[] {
  if (wanted === 'none') return [];
  if (wanted === undefined || renderPublicKey(wanted.add) === own) return before;
  const key = renderPublicKey(wanted.add);
  if (Date.parse(wanted.until) > now + MAX_VOUCHING_MS) {
    throw new CarportError('E_USAGE', 'a key vouches for another for a year at most', {
      hint: 'give an earlier `--until`; by then readers have the new key themselves',
    });
  }
  const others = before.filter((each) => each.key !== key && Date.parse(each.until) > now);
  return [...others, { key, until: wanted.until }];
}

function isSame(a: readonly Successor[], b: readonly Successor[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function requireAddress(url: string): string {
  const address = cacheAddress(url);
  if (address !== undefined) return address;
  throw new CarportError('E_USAGE', `\`${url}\` is no URL of a cache that a key can name`, {
    hint: 'it looks like `https://nix.example.org`, `s3://bucket?endpoint=…` or `file:///srv/cache`',
  });
}
