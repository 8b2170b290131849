/** The keys that are trusted in one cache since a trusted key vouches for them there. Asked for where no trusted key has signed. */

import { CarportError, hasCode } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { type PublicKey, parsePublicKey, renderPublicKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { CACHE_KEYS } from '../layout.js';
import type { SeenTimes } from '../pins/seen.js';
import { cacheAddress } from './address.js';
import { type Chain, followKeys, type NotFollowed } from './chain.js';
import { newestSeen, noteStatements } from './seen.js';
import { type KeyStatements, readStatements } from './statement.js';

/** What is accepted from caches: of each also what the successors of trusted keys in it have signed. */
export interface ReaderTrust extends TrustPolicy {
  /** Absent where successors are not asked for. */
  readonly following?: Following;
}

/** Asks caches for the successors of trusted keys, each cache once. */
export interface Following {
  /** The successors in a cache; none where it cannot be asked. Tells of them once. */
  keysOf(objects: ObjectStore, emit: Emit<WarningEvent>): Promise<readonly PublicKey[]>;
  /** Those that have been asked for already. */
  knownOf(objects: ObjectStore): readonly PublicKey[];
  /** Those of all caches. */
  allKnown(): readonly PublicKey[];
  /** What to do about a signature in this cache that nobody trusts. */
  adviceOf(objects: ObjectStore, emit: Emit<WarningEvent>): Promise<string | undefined>;
}

export interface FollowingOptions {
  readonly keys: readonly PublicKey[];
  /** How new the statements were that were seen. */
  readonly seen: SeenTimes;
  /** Milliseconds since 1970. */
  now(): number;
}

/** What a cache told. */
type Told = { readonly chain: Chain; readonly statements: KeyStatements | undefined } | { readonly failure: Error };

/** Follows trusted keys in caches. Nothing of it is remembered but how new it was: trust ends where a statement does, or goes. */
export function createFollowing(options: FollowingOptions): Following {
  const asked = new Map<ObjectStore, Promise<Told>>();
  const known = new Map<ObjectStore, readonly PublicKey[]>();
  const ask = async (objects: ObjectStore, emit: Emit<WarningEvent>): Promise<Told> => {
    try {
      const told = await askCache(objects, options, emit);
      tellOf(objects, told.chain, emit);
      known.set(
        objects,
        told.chain.followed.map(({ key }) => key),
      );
      return told;
    } catch (failure) {
      if (!(failure instanceof CarportError) || hasCode(failure, 'E_INTERRUPTED')) throw failure;
      return { failure };
    }
  };
  const once = (objects: ObjectStore, emit: Emit<WarningEvent>): Promise<Told> => {
    const told = asked.get(objects) ?? ask(objects, emit);
    asked.set(objects, told);
    return told;
  };
  return {
    async keysOf(objects, emit) {
      if (options.keys.length === 0) return [];
      await once(objects, emit);
      return known.get(objects) ?? [];
    },
    knownOf: (objects) => known.get(objects) ?? [],
    allKnown: () => [...known.values()].flat(),
    async adviceOf(objects, emit) {
      return options.keys.length === 0 ? undefined : adviceFor(objects, await once(objects, emit), options.keys);
    },
  };
}

/** What is trusted of a cache as far as it is known now. */
export function trustNow<T extends ReaderTrust>(trust: T, objects: ObjectStore | undefined): T {
  const known = objects === undefined ? [] : (trust.following?.knownOf(objects) ?? []);
  return known.length === 0 ? trust : { ...trust, keys: [...trust.keys, ...known] };
}

/** The keys that are trusted in any cache, for what was checked with those of its own already. */
export function allKeys({ keys, following }: ReaderTrust): readonly PublicKey[] {
  return [...keys, ...(following?.allKnown() ?? [])];
}

/**
 * Does what throws `E_SIGNATURE` where no trusted key has signed: with the trusted keys, and where that is not enough with their
 * successors in this cache. The error says what to do.
 */
export async function withSuccessors<R, T extends ReaderTrust>(
  trust: T,
  objects: ObjectStore,
  emit: Emit<WarningEvent>,
  check: (trust: T) => R,
): Promise<R> {
  try {
    return check(trustNow(trust, objects));
  } catch (error) {
    const { following } = trust;
    if (following === undefined || !hasCode(error, 'E_SIGNATURE')) throw error;
    if ((await following.keysOf(objects, emit)).length > 0) {
      try {
        return check(trustNow(trust, objects));
      } catch (still) {
        if (!hasCode(still, 'E_SIGNATURE')) throw still;
      }
    }
    const hint = await following.adviceOf(objects, emit);
    throw hint === undefined ? error : new CarportError(error.code, error.message, { cause: error.cause, hint });
  }
}

async function askCache(objects: ObjectStore, { keys, seen, now }: FollowingOptions, emit: Emit<WarningEvent>) {
  const statements = await readStatements(objects);
  const address = cacheAddress(objects.url);
  if (address === undefined) return { statements, chain: NOTHING };
  const newest = new Map<string, string>();
  const there = statements?.statements.map(({ value }) => value.key) ?? [];
  for (const key of new Set([...there, ...keys.map(renderPublicKey)])) {
    const time = await newestSeen(seen, key, address);
    if (time !== undefined) newest.set(key, time);
  }
  const chain = followKeys(keys, statements ?? { statements: [], refused: 0 }, { address, now: now(), newest });
  await noteStatements(seen, chain.counted, { objects, address }, emit);
  return { statements, chain };
}

const NOTHING: Chain = { followed: [], notFollowed: [], counted: [] };

function tellOf({ url }: ObjectStore, { followed }: Chain, emit: Emit<WarningEvent>): void {
  for (const { key, by, until } of followed) {
    const message = `\`${key.name}\` signs \`${url}\` now: \`${by}\`, which is trusted, vouches for it there until ${until}; trust it yourself before that: \`carport use '${url}' --key ${renderPublicKey(key)}\``;
    emit({ type: 'warning', message });
  }
}

/** What to do where trust cannot be followed; `undefined` where the cache tells nothing that helps. */
function adviceFor({ url }: ObjectStore, told: Told, trusted: readonly PublicKey[]): string | undefined {
  const compare = `ask the maintainer for the key by a way that you trust, then \`carport use '${url}'\``;
  if ('failure' in told)
    return `\`${CACHE_KEYS}\`, which may tell of a new key, cannot be read (${told.failure.message}): ${compare}`;
  const { statements, chain } = told;
  const [why] = chain.notFollowed;
  if (why) return `${whyNot(why, url)}: ${compare}`;
  if (statements === undefined) return undefined;
  const others = statements.statements
    .map(({ value }) => value.key)
    .filter((key) => !trusted.some((each) => renderPublicKey(each) === key));
  const [mute] = chain.counted;
  if (others.length === 0 && mute)
    return `\`${parsePublicKey(mute.key).name}\`, which is trusted, vouches for no other key there: ${compare}`;
  if (others.length === 0) return undefined;
  const names = others.map((key) => `\`${key.slice(0, key.indexOf(':'))}\``).join(', ');
  return `the cache tells of ${names}, and no key that is trusted vouches for that: ${compare}`;
}

function whyNot(why: NotFollowed, url: string): string {
  switch (why.kind) {
    case 'expired':
      return `\`${why.by}\` vouched for \`${why.key.slice(0, why.key.indexOf(':'))}\` until ${why.until}, which is over`;
    case 'elsewhere':
      return `what \`${why.by}\` says of its successors there is about ${why.caches.map((each) => `\`${each}\``).join(', ')}, and not about this address (the maintainer can add it: \`carport key publish … --url '${url}'\`)`;
    case 'older':
      return `what \`${why.by}\` says of its successors there is older than what was seen before, of ${why.newest}: somebody serves what was replaced, or the cache was put back`;
    case 'from-the-future':
      return `what \`${why.by}\` says of its successors there was signed on ${why.updatedAt}, which is to come: this clock or the maintainer's is wrong`;
    case 'gone':
      return `what \`${why.by}\` said of its successors there, on ${why.newest}, is gone from \`${CACHE_KEYS}\`, or its signature is wrong: somebody took it away, or the cache is another`;
  }
}
