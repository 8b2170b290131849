/** Writes what keys say of themselves into a cache. */

import { CarportError, insteadOf } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { type PublicKey, parsePublicKey, renderPublicKey, type SecretKey } from '../../lib/signing/key.js';
import { signatureKeyName, verifyPath } from '../../lib/signing/signature.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { CACHE_KEYS } from '../layout.js';
import type { SeenTimes } from '../pins/seen.js';
import { cacheAddress } from './address.js';
import { MAX_VOUCHING_MS } from './chain.js';
import { newestSeen, noteStatements } from './seen.js';
import { readStatements, type Statement, type Successor, signStatement, writeStatements } from './statement.js';

/** Paths whose signatures by a name are looked at. */
const MOST_LOOKS = 64;

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

/** How it is written. */
export interface PublishWork {
  /** How new the statements were that were seen: an older one is not signed anew with what it says of successors. */
  readonly seen: SeenTimes;
  readonly emit: Emit<WarningEvent>;
  /** Carry on with an older statement all the same. */
  readonly allowRollback?: boolean;
  readonly dryRun?: boolean;
}

/** What a cache tells of its keys after that. */
export interface PublishedKeys {
  readonly statements: readonly Statement[];
  readonly changed: boolean;
}

/**
 * Has keys say where they are used, and which keys follow them. Addresses and successors that a key has named before stay;
 * statements of other keys stay as they are. Two that do this at the same time may lose what the other has written.
 * Throws `E_INTEGRITY` where somebody has put back an older statement of a key, unless it is to name no successors.
 */
export async function publishKeys(
  objects: ObjectStore,
  { keys, urls, successors, now }: KeysRequest,
  { seen, emit, allowRollback = false, dryRun = false }: PublishWork,
): Promise<PublishedKeys> {
  const there = (await readStatements(objects))?.statements ?? [];
  const address = requireAddress(objects.url);
  const addresses = [address, ...urls.map(requireAddress)];
  const statements = new Map(there.map((each) => [each.value.key, each]));
  const names = keys.map(({ publicKey }) => renderPublicKey(publicKey));
  let changed = false;
  for (const [index, key] of keys.entries()) {
    const name = names[index]!;
    const before = statements.get(name)?.value;
    const newest = (await newestSeen(seen, name, address)) ?? '';
    const isOlder = before !== undefined && before.updatedAt < newest;
    if (isOlder && successors !== 'none' && !allowRollback) throw olderStatement(objects, key.publicKey, newest);
    const next = {
      caches: [...new Set([...(before?.caches ?? []), ...addresses])],
      successors: successorsOf(name, before?.successors ?? [], successors, now),
    };
    if (before && !isOlder && isSame(next.caches, before.caches) && isSame(next.successors, before.successors))
      continue;
    // Later than what is there or was, whatever this clock says: readers refuse what is older.
    const after = [before?.updatedAt, newest].map((time) => (time ? Date.parse(time) + 1 : 0));
    const updatedAt = new Date(Math.max(now, ...after)).toISOString();
    statements.set(name, signStatement(key, { ...next, updatedAt }));
    changed = true;
  }
  const all = [...statements.values()];
  if (changed && !dryRun) await writeStatements(objects, all);
  const values = all.map(({ value }) => value);
  const own = values.filter(({ key }) => names.includes(key));
  if (!dryRun) await noteStatements(seen, own, { objects, address }, emit);
  return { statements: values, changed };
}

function olderStatement({ url }: ObjectStore, { name }: PublicKey, newest: string): CarportError {
  return new CarportError(
    'E_INTEGRITY',
    `what \`${name}\` says in \`${url}\` is older than what was seen there before`,
    {
      cause: new Error(`a statement of ${newest} was seen; successors that were taken back since may be in this one`),
      hint: 'somebody has put it back: `carport key publish --no-successors` vouches for nobody, `--allow-rollback` signs it anew as it is',
    },
  );
}

/**
 * Takes the statements of keys along to a copy of their cache, of those that have signed what was copied, and of their successors,
 * where nothing is said of these keys yet, or something older. They count there for readers of addresses that they name. What
 * cannot be read stays; what stays behind is told.
 */
export async function copyStatements(
  from: ObjectStore,
  to: ObjectStore,
  copied: Iterable<NarInfo>,
  emit: Emit<WarningEvent>,
): Promise<void> {
  const quiet = insteadOf('E_INTEGRITY', undefined);
  const theirs = (await readStatements(from).catch(quiet))?.statements ?? [];
  const ours = await readStatements(to).catch(insteadOf('E_INTEGRITY', 'damaged' as const));
  if (theirs.length === 0 || ours === 'damaged') return;
  const warn = (message: string) => emit({ type: 'warning', message: `\`${CACHE_KEYS}\`: ${message}` });
  const wanted = keysOfCopy(
    theirs.map(({ value }) => value),
    [...copied],
  );
  const left = theirs.filter(({ value }) => !wanted.has(value.key)).length;
  if (left > 0) warn(`what ${left} keys say of themselves stays behind: they have signed nothing that was copied`);
  const all = new Map((ours?.statements ?? []).map((each) => [each.value.key, each]));
  const newer = theirs.filter(
    ({ value }) => wanted.has(value.key) && (all.get(value.key)?.value.updatedAt ?? '') < value.updatedAt,
  );
  for (const each of newer) all.set(each.value.key, each);
  if (newer.length === 0) return;
  await writeStatements(to, [...all.values()]).catch((error: unknown) => {
    if (!(error instanceof CarportError) || error.code !== 'E_USAGE') throw error;
    warn(`nothing of it is copied: ${error.message}`);
  });
}

/** Those that have signed one of these paths, and those that these vouch for. */
function keysOfCopy(statements: readonly Statement[], infos: readonly NarInfo[]): ReadonlySet<string> {
  const wanted = new Set(statements.map(({ key }) => key).filter((key) => hasSigned(parsePublicKey(key), infos)));
  // A set shows what is added while it is gone through.
  for (const key of wanted) {
    for (const successor of statements.find((each) => each.key === key)?.successors ?? []) wanted.add(successor.key);
  }
  return wanted;
}

function hasSigned(key: PublicKey, infos: readonly NarInfo[]): boolean {
  let looks = 0;
  for (const info of infos) {
    if (!info.signatures.some((signature) => signatureKeyName(signature) === key.name)) continue;
    if (verifyPath(info, [key]).state === 'valid') return true;
    // Who has taken the name of a key for signatures of nothing does not make this long.
    if (++looks === MOST_LOOKS) return false;
  }
  return false;
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

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function requireAddress(url: string): string {
  const address = cacheAddress(url);
  if (address !== undefined) return address;
  throw new CarportError('E_USAGE', `\`${url}\` is no URL of a cache that a key can name`, {
    hint: 'it looks like `https://nix.example.org`, `s3://bucket?endpoint=…` or `file:///srv/cache`',
  });
}
