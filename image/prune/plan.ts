/** Which tags of a repository stay, and what is removed, in which order. */

import type { RepositoryFacts, TagFact } from './facts.js';

/** What stays. */
export interface PruneRules {
  /** Only these tags are looked at, each pattern by itself; all of them where there is none. */
  readonly patterns: readonly string[];
  /** The newest images of each pattern, so many. */
  readonly keep: number | undefined;
  /** Those that are younger, in milliseconds. */
  readonly within: number | undefined;
  readonly now: number;
  /** Why a tag stays whatever its age. */
  staysFor(tag: string): KeptReason | undefined;
  matches(pattern: string, tag: string): boolean;
  /** For images whose times are not known; below 0 where the first is older, and nothing where tags are no versions. */
  compare(a: string, b: string): number | undefined;
}

export type KeptReason =
  | 'pattern'
  | 'latest'
  | 'stable'
  | 'release'
  | 'newest'
  | 'young'
  | 'no-age'
  | 'not-named'
  | 'changed'
  | 'referrer';

export interface KeptTag extends TagFact {
  readonly reason: KeptReason;
}

/** A manifest that goes, with all that names it. */
export interface Removal {
  readonly digest: string;
  readonly tags: readonly string[];
}

export interface PrunePlan {
  /** Tags whose images stay since others refer to them: only the tag can go. */
  readonly untag: readonly TagFact[];
  /** Indexes before what is in them, and images before what is about them. */
  readonly remove: readonly Removal[];
  readonly kept: readonly KeptTag[];
  /** Digests of what stays, and of all that this refers to. */
  readonly needed: ReadonlySet<string>;
}

/** `sha256-…`, `sha256-….sig`: what is about a digest, where the registry does not list it. */
const REFERRER = /^sha256-([0-9a-f]{64})(?:\..*)?$/;

/** Decides by rules. What a tag that stays refers to stays: images of an index, and what a signature is about. */
export function planPrune(facts: RepositoryFacts, rules: PruneRules): PrunePlan {
  return planWith(facts, (named) => reasonsOf(named, facts, rules));
}

/** What of a plan may still go by what is found now: tags that came or moved since stay, and all that they refer to. */
export function planAgain(facts: RepositoryFacts, { untag, remove, kept }: PrunePlan): PrunePlan {
  const nameOf = ({ tag, digest }: TagFact) => `${tag}@${digest}`;
  const going = new Set([
    ...untag.map(nameOf),
    ...remove.flatMap(({ digest, tags }) => tags.map((tag) => nameOf({ tag, digest }))),
  ]);
  const before = new Map(kept.map((each) => [nameOf(each), each.reason]));
  return planWith(facts, (named) => {
    const staying = named.filter((each) => !going.has(nameOf(each)));
    return new Map(staying.map((each) => [each.tag, before.get(nameOf(each)) ?? 'changed']));
  });
}

function planWith(
  facts: RepositoryFacts,
  reasonsFor: (named: readonly TagFact[]) => ReadonlyMap<string, KeptReason>,
): PrunePlan {
  const about = facts.tags.filter(({ tag }) => REFERRER.test(tag));
  const named = facts.tags.filter(({ tag }) => !REFERRER.test(tag));
  const reasons = reasonsFor(named);
  const stay = named.filter(({ tag }) => reasons.has(tag));
  const go = named.filter(({ tag }) => !reasons.has(tag));
  const goingDigests = new Set(go.map(({ digest }) => digest));
  const isGone = (digest: string) => goingDigests.has(digest) && !kept.has(digest);
  const kept = closureOf(
    stay.map(({ digest }) => digest),
    facts,
  );
  // Of what is about an image goes what is about one that goes, or about one in it; the rest is not ours to judge.
  const going = closureOf([...goingDigests].filter(isGone), facts);
  const aboutGone = about.filter(({ tag }) => {
    const subject = `sha256:${REFERRER.exec(tag)![1]}`;
    return going.has(subject) && !kept.has(subject);
  });
  const aboutKept = about.filter((each) => !aboutGone.includes(each));
  for (const digest of closureOf(
    aboutKept.map(({ digest }) => digest),
    facts,
  ))
    kept.add(digest);
  const all = [...go, ...aboutGone];
  const gone = inOrder(all, facts).filter((digest) => !kept.has(digest));
  return {
    needed: kept,
    untag: all.filter(({ digest }) => kept.has(digest)),
    remove: gone.map((digest) => ({
      digest,
      tags: all.filter((each) => each.digest === digest).map(({ tag }) => tag),
    })),
    kept: [
      ...stay.map((each) => ({ ...each, reason: reasons.get(each.tag)! })),
      ...aboutKept.map((each): KeptTag => ({ ...each, reason: 'referrer' })),
    ],
  };
}

function reasonsOf(
  tags: readonly TagFact[],
  facts: RepositoryFacts,
  rules: PruneRules,
): ReadonlyMap<string, KeptReason> {
  const { patterns, keep, within, now } = rules;
  const reasons = new Map<string, KeptReason>();
  const set = (tag: string, reason: KeptReason) => {
    if (!reasons.has(tag)) reasons.set(tag, reason);
  };
  const judged: TagFact[] = [];
  for (const each of tags) {
    const reason = rules.staysFor(each.tag);
    if (reason !== undefined) set(each.tag, reason);
    else if (patterns.length > 0 && !patterns.some((pattern) => rules.matches(pattern, each.tag)))
      set(each.tag, 'not-named');
    else judged.push(each);
  }
  const createdOf = ({ digest }: TagFact) => facts.nodes.get(digest)?.created;
  for (const pattern of patterns.length === 0 ? [undefined] : patterns) {
    const own = judged.filter(({ tag }) => pattern === undefined || rules.matches(pattern, tag));
    const order = newestFirst(own, createdOf, rules);
    const newest = new Set([...new Set(order.map(({ digest }) => digest))].slice(0, keep ?? 0));
    for (const each of own) {
      const created = createdOf(each);
      if (newest.has(each.digest)) set(each.tag, 'newest');
      else if (within !== undefined && created !== undefined && now - created < within) set(each.tag, 'young');
      else if (created === undefined && (within !== undefined || !order.includes(each))) set(each.tag, 'no-age');
    }
  }
  return reasons;
}

/** Those whose order is known: by their times, or where none has one, by their versions. */
function newestFirst(
  tags: readonly TagFact[],
  createdOf: (tag: TagFact) => number | undefined,
  { compare }: PruneRules,
): readonly TagFact[] {
  const timed = tags.filter((each) => createdOf(each) !== undefined);
  if (timed.length > 0) return timed.sort((a, b) => createdOf(b)! - createdOf(a)! || (a.tag < b.tag ? 1 : -1));
  return tags.filter(({ tag }) => compare(tag, tag) !== undefined).sort((a, b) => compare(b.tag, a.tag)!);
}

/** Digests, and what they refer to. */
function closureOf(digests: readonly string[], { nodes }: RepositoryFacts): Set<string> {
  const closure = new Set<string>();
  const open = [...digests];
  while (open.length > 0) {
    const digest = open.pop()!;
    if (closure.has(digest)) continue;
    closure.add(digest);
    const node = nodes.get(digest);
    if (node) open.push(...node.children, ...(node.subject === undefined ? [] : [node.subject]));
  }
  return closure;
}

/** What goes, each digest once: an index before what is in it, and images before what is about them. */
function inOrder(tags: readonly TagFact[], facts: RepositoryFacts): readonly string[] {
  const isReferrer = ({ tag }: TagFact) => REFERRER.test(tag);
  const parts = [tags.filter((each) => !isReferrer(each)), tags.filter(isReferrer)];
  return [...new Set(parts.flatMap((part) => byHeight(part, facts)))];
}

function byHeight(tags: readonly TagFact[], { nodes }: RepositoryFacts): readonly string[] {
  const heights = new Map<string, number>();
  const heightOf = (digest: string): number => {
    const known = heights.get(digest);
    if (known !== undefined) return known;
    // Until it is known, so that an index of itself ends.
    heights.set(digest, 0);
    const height = 1 + (nodes.get(digest)?.children ?? []).reduce((most, each) => Math.max(most, heightOf(each)), 0);
    heights.set(digest, height);
    return height;
  };
  for (const { digest } of tags) heightOf(digest);
  return [...heights].sort(([, a], [, b]) => b - a).map(([digest]) => digest);
}
