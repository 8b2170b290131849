/** Which keys follow those that a reader trusts, as far as these vouch for them in one cache. Pure. */

import { type PublicKey, parsePublicKey, renderPublicKey } from '../../lib/signing/key.js';
import type { KeyStatements, Statement } from './statement.js';

/** Links of a chain of successors that are followed. */
const MAX_LINKS = 8;

/** A clock may be wrong by this much: what is signed later than that is not believed yet. */
const CLOCK_SKEW_MS = 24 * 60 * 60 * 1000;

/** A key vouches for no longer than this from its signature on, whatever it says. */
export const MAX_VOUCHING_MS = 366 * 24 * 60 * 60 * 1000;

/** A key that follows a trusted one. */
export interface Followed {
  readonly key: PublicKey;
  /** The name of the key that vouches for it. */
  readonly by: string;
  /** From then on it is not trusted by this: the earliest end of its chain. */
  readonly until: string;
}

/** Why what a trusted key says of its successors does not count. */
export type NotFollowed =
  | { readonly kind: 'expired'; readonly key: string; readonly by: string; readonly until: string }
  /** It is about other caches: a statement from elsewhere. */
  | { readonly kind: 'elsewhere'; readonly by: string; readonly caches: readonly string[] }
  /** A newer one was seen, of this time. */
  | { readonly kind: 'older'; readonly by: string; readonly newest: string }
  | { readonly kind: 'from-the-future'; readonly by: string; readonly updatedAt: string }
  /** There was one, of this time: it is gone now, or its signature is not right. */
  | { readonly kind: 'gone'; readonly by: string; readonly newest: string };

/** What follows from the statements of a cache. */
export interface Chain {
  readonly followed: readonly Followed[];
  readonly notFollowed: readonly NotFollowed[];
  /** Those that count, so that older ones are noticed from now on. */
  readonly counted: readonly Statement[];
}

/** Where, when and after what statements are read. */
export interface Surroundings {
  /** The cache's address. */
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** When the newest statement was signed that was seen of a key in this cache. */
  readonly newest: ReadonlyMap<string, string>;
}

/**
 * Follows trusted keys to their successors: each link signed by a key that is trusted by then, about this very cache, not older
 * than what was seen, before its end. A chain ends no later than any of its links.
 */
export function followKeys(
  trusted: readonly PublicKey[],
  { statements }: KeyStatements,
  surroundings: Surroundings,
): Chain {
  const byKey = new Map(statements.map(({ value }) => [value.key, value]));
  const reached = new Map<string, number>(trusted.map((key) => [renderPublicKey(key), Number.POSITIVE_INFINITY]));
  const followed = new Map<string, Followed>();
  const notFollowed: NotFollowed[] = [];
  const counted: Statement[] = [];
  let level = [...reached.keys()];
  for (let link = 0; link < MAX_LINKS && level.length > 0; link++) {
    const next = new Set<string>();
    for (const key of level) {
      const statement = byKey.get(key);
      const by = parsePublicKey(key).name;
      const seen = surroundings.newest.get(key);
      if (statement === undefined && seen !== undefined) notFollowed.push({ kind: 'gone', by, newest: seen });
      if (statement === undefined) continue;
      const refusal = refusalOf(statement, by, surroundings);
      if (refusal) {
        notFollowed.push(refusal);
        continue;
      }
      counted.push(statement);
      const latest = Date.parse(statement.updatedAt) + MAX_VOUCHING_MS;
      for (const successor of statement.successors) {
        const until = Math.min(Date.parse(successor.until), latest, reached.get(key)!);
        if (reached.has(successor.key)) continue;
        if (until <= surroundings.now) {
          notFollowed.push({ kind: 'expired', key: successor.key, by, until: new Date(until).toISOString() });
          continue;
        }
        reached.set(successor.key, until);
        followed.set(successor.key, {
          ...{ key: parsePublicKey(successor.key), by, until: new Date(until).toISOString() },
        });
        next.add(successor.key);
      }
    }
    level = [...next];
  }
  return { followed: [...followed.values()], notFollowed, counted };
}

function refusalOf(
  { key, caches, updatedAt }: Statement,
  by: string,
  { address, now, newest }: Surroundings,
): NotFollowed | undefined {
  if (!caches.includes(address)) return { kind: 'elsewhere', by, caches };
  if (Date.parse(updatedAt) > now + CLOCK_SKEW_MS) return { kind: 'from-the-future', by, updatedAt };
  const seen = newest.get(key);
  return seen !== undefined && updatedAt < seen ? { kind: 'older', by, newest: seen } : undefined;
}
