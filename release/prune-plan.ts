import type { Fragment, Pruning } from './documents.js';
import { FILES, FRAGMENTS } from './layout.js';
import type { Found, ListedFile, ReleaseSources } from './sources.js';
import { type Channel, type ChannelRule, isVersion } from './version.js';

/** Stable releases are never pruned. */
export type PrunableChannel = Exclude<Channel, 'stable'>;

/** Which releases stay. Spans are in milliseconds. */
export interface PruneRules {
  readonly channel: PrunableChannel;
  /** The newest so many. */
  readonly keep: number;
  /** Those that are younger. */
  readonly keepWithin: number;
  /** How long a release is out of the index before it is deleted. */
  readonly grace: number;
}

/** A release as the index shows it, or would if it were not hidden. */
export interface IndexedRelease {
  readonly version: string;
  /** RFC 3339 in UTC. */
  readonly time: string;
}

/** The mark of a release that is out of the index, by somebody who is trusted. */
export interface PruningMark extends Pruning {
  /** When it was written, by the store's clock. */
  readonly modified: Date;
}

/** All that a plan depends on. */
export interface PruneFacts {
  readonly sources: ReleaseSources;
  /** In the order of the index, also those that are hidden. */
  readonly releases: readonly IndexedRelease[];
  /** Versions that `latest` leads to. */
  readonly latest: ReadonlySet<string>;
  readonly channelOf: ChannelRule;
  readonly marks: readonly PruningMark[];
  /** The names of pins by the store paths that they stand for, or stood for. */
  readonly pinned: ReadonlyMap<string, string>;
  /** What the index shows that is published; `undefined` when that is not known. */
  readonly published: ReadonlySet<string> | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What a bucket holds of one version: objects by the directory they are in, whatever they say. */
export interface HeldVersion {
  readonly files: readonly ListedFile[];
  readonly fragments: readonly Found<Fragment>[];
}

/** A release that something is done with. */
export interface PrunedRelease extends IndexedRelease {
  /** Bytes of its files. */
  readonly size: number;
  readonly held: HeldVersion;
  readonly mark: PruningMark | undefined;
}

/** Why a release stays. */
export type KeptReason = 'newest' | 'young' | 'latest' | 'promotion' | 'pin' | 'being-put' | 'name';

export interface KeptRelease {
  readonly version: string;
  readonly reason: KeptReason;
  /** The same for people. */
  readonly why: string;
}

export interface PrunePlan {
  /** Out of the index from its next publication on. */
  readonly hide: readonly PrunedRelease[];
  /** Gone for good. */
  readonly delete: readonly PrunedRelease[];
  /** They were out, and are back. */
  readonly restore: readonly PrunedRelease[];
  /** Out of the index, and not long enough. */
  readonly waiting: readonly PrunedRelease[];
  /** Out of the index for long enough, but the one that is published shows them still. */
  readonly published: readonly PrunedRelease[];
  /** Also those of `restore`. */
  readonly kept: readonly KeptRelease[];
}

/** What was put so lately may be a part of what is being put now. */
const BEING_PUT_MS = 60 * 60 * 1000;

type Verdict = Exclude<keyof PrunePlan, 'kept'>;

interface Candidate extends PrunedRelease {
  /** Place in the index, from 0; none for what has no files any more. */
  readonly place: number | undefined;
}

/**
 * Decides what is done with each release of a channel. Whatever is asked, it leaves alone: stable ones, the latest of the
 * channel, what a promotion or a pin refers to, and what may be being put just now. Deleting comes after hiding: when the
 * grace is over, the release is still to go, and the index that is published does not show it any more. A deletion that
 * has begun is always completed.
 */
export function planPruning(facts: PruneFacts, rules: PruneRules): PrunePlan {
  const plan: Record<Verdict, PrunedRelease[]> = { hide: [], delete: [], restore: [], waiting: [], published: [] };
  const kept: KeptRelease[] = [];
  const protections = findProtections(facts);
  for (const { place, ...release } of findCandidates(facts, rules)) {
    const { mark } = release;
    const keeping = keepingOf({ ...release, place }, facts, rules, protections);
    if (keeping) kept.push({ version: release.version, ...keeping });
    const verdicts = keeping
      ? verdictsOfKept(mark, keeping.reason)
      : mark
        ? [verdictOfHidden(release, mark, facts, rules)]
        : verdictsOfVisible(release.version, facts, rules);
    for (const verdict of verdicts) plan[verdict].push(release);
  }
  return { ...plan, kept };
}

function verdictsOfKept(mark: PruningMark | undefined, reason: KeptReason): readonly Verdict[] {
  if (!mark) return [];
  if (!mark.deleting) return ['restore'];
  // Some of it is gone already.
  return reason === 'being-put' ? [] : ['delete'];
}

function verdictsOfVisible(version: string, { published }: PruneFacts, { grace }: PruneRules): readonly Verdict[] {
  return grace === 0 && published?.has(version) === false ? ['hide', 'delete'] : ['hide'];
}

function verdictOfHidden(
  { version, held }: PrunedRelease,
  mark: PruningMark,
  { published, now }: PruneFacts,
  { grace }: PruneRules,
): Verdict {
  if (mark.deleting) return 'delete';
  if (timesOf(held).some((time) => time >= mark.time)) return 'restore';
  // Both clocks: a mark cannot be older than its object, nor than whoever signed it says.
  const hiddenAt = Math.max(Date.parse(mark.time), mark.modified.getTime());
  if (now - hiddenAt < grace) return 'waiting';
  return published?.has(version) === false ? 'delete' : 'published';
}

/** Releases of the channel, then versions of it of which a mark is left but no files. */
function findCandidates(facts: PruneFacts, { channel }: PruneRules): readonly Candidate[] {
  const { sources, releases, marks, channelOf } = facts;
  const held = holdByVersion(sources);
  const markOf = new Map(marks.map((mark) => [mark.version, mark]));
  const listed = new Set(releases.map(({ version }) => version));
  const isOfChannel = ({ version }: { readonly version: string }) => channelOf(version) === channel;
  const all = [
    ...releases.filter(isOfChannel).map(({ version, time }, place) => ({ version, time, place })),
    ...marks
      .filter((mark) => isOfChannel(mark) && !listed.has(mark.version))
      .map(({ version, time }) => ({ version, time, place: undefined })),
  ];
  return all.map((each) => {
    const here = held.get(each.version) ?? { files: [], fragments: [] };
    const size = here.files.reduce((sum, file) => sum + file.size, 0);
    return { ...each, size, held: here, mark: markOf.get(each.version) };
  });
}

/** By the directories of the keys. */
function holdByVersion({ files, fragments }: ReleaseSources): ReadonlyMap<string, HeldVersion> {
  const held = new Map<string, { readonly files: ListedFile[]; readonly fragments: Found<Fragment>[] }>();
  const at = (version: string) => {
    const here = held.get(version) ?? { files: [], fragments: [] };
    held.set(version, here);
    return here;
  };
  for (const file of files) at(directoryOf(file.key, FILES)).files.push(file);
  for (const fragment of fragments) at(directoryOf(fragment.key, FRAGMENTS)).fragments.push(fragment);
  return held;
}

function directoryOf(key: string, root: string): string {
  return key.slice(root.length).split('/', 1)[0]!;
}

interface Protections {
  /** What was or is being promoted, and what it becomes. */
  readonly promoted: ReadonlyMap<string, string>;
  /** The pin that stands for a path of a version. */
  readonly pins: ReadonlyMap<string, string>;
  /** When something of a version was put last. */
  readonly lastPut: ReadonlyMap<string, string>;
}

/** Nothing is asked about signatures here: to believe too much keeps too much. */
function findProtections({ sources, pinned }: PruneFacts): Protections {
  const promoted = new Map<string, string>();
  for (const { value } of sources.promotions) {
    promoted.set(value.from, value.version);
    promoted.set(value.version, value.version);
  }
  const pins = new Map<string, string>();
  const lastPut = new Map<string, string>();
  const put = (version: string, time: string) => {
    if (time > (lastPut.get(version) ?? '')) lastPut.set(version, time);
  };
  for (const { key, time } of sources.files) put(directoryOf(key, FILES), time);
  for (const { key, value } of sources.fragments) {
    if (value.promotion) promoted.set(value.promotion.from, value.version);
    for (const version of [directoryOf(key, FRAGMENTS), value.version]) {
      put(version, value.time);
      for (const { storePath } of value.files) {
        const pin = storePath === null ? undefined : pinned.get(storePath);
        if (pin !== undefined) pins.set(version, pin);
      }
    }
  }
  return { promoted, pins, lastPut };
}

function keepingOf(
  { version, time, place }: Candidate,
  { latest, now }: PruneFacts,
  { keep, keepWithin }: PruneRules,
  { promoted, pins, lastPut }: Protections,
): Omit<KeptRelease, 'version'> | undefined {
  const lastTime = lastPut.get(version);
  const becomes = promoted.get(version);
  const pin = pins.get(version);
  if (lastTime !== undefined && now - Date.parse(lastTime) < BEING_PUT_MS) {
    return { reason: 'being-put', why: 'something of it was put within the last hour' };
  }
  if (!isVersion(version)) return { reason: 'name', why: 'no version of carport is called so' };
  if (becomes !== undefined) {
    const why = becomes === version ? 'it is being made of another' : `\`${becomes}\` was made of it`;
    return { reason: 'promotion', why };
  }
  if (pin !== undefined) return { reason: 'pin', why: `the pin \`${pin}\` has a path of it` };
  if (place === undefined) return undefined;
  if (place < keep) return { reason: 'newest', why: `it is one of the newest ${keep}` };
  if (now - Date.parse(time) < keepWithin) return { reason: 'young', why: 'it is young enough' };
  if (place === 0 || latest.has(version)) return { reason: 'latest', why: 'it is the latest of its channel' };
  return undefined;
}

/** When something of a version was put, by the store and by whoever put it. */
function timesOf({ files, fragments }: HeldVersion): readonly string[] {
  return [...files.map(({ time }) => time), ...fragments.map(({ value }) => value.time)];
}
