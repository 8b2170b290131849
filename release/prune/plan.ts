/** Which releases go, and why others stay. */

import { componentOf } from '../component.js';
import type { Fragment, Pruning } from '../documents/kinds.js';
import { FILES, FRAGMENTS } from '../layout.js';
import { filesOf, releaseFiles } from '../sources/candidate.js';
import type { Found } from '../sources/judged.js';
import type { ListedFile } from '../sources/listed.js';
import { type ReleaseSources, trusted } from '../sources/sources.js';
import { type Channel, type ChannelRule, channelRule, isVersion } from '../version.js';

/** Stable releases are never pruned. */
export type PrunableChannel = Exclude<Channel, 'stable'>;

/** Which releases stay. Spans are in milliseconds. */
export interface PruneRules {
  readonly channel: PrunableChannel;
  /** The newest so many, of the project itself and of each component; of those that nobody has signed as many again. */
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

/** What says that a release is out of the index, by somebody who is trusted. */
export interface Tombstone extends Pruning {
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
  readonly tombstones: readonly Tombstone[];
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
  readonly tombstone: Tombstone | undefined;
}

/** Why a release stays. */
export type KeptReason =
  /** It is one of so many that are the newest. */
  | { readonly reason: 'newest'; readonly keep: number }
  | { readonly reason: 'young' | 'latest' | 'being-put' | 'half-deleted' | 'name' }
  /** What it becomes, or became; the same version where it is itself being made of another. */
  | { readonly reason: 'promotion'; readonly becomes: string }
  /** A pin that stands for a path of it. */
  | { readonly reason: 'pin'; readonly pin: string };

/** A release that stays, and why. */
export type KeptRelease = KeptReason & { readonly version: string };

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

/** Whoever runs it may have another pattern than the project: what most take for stable is never pruned, either. */
const defaultChannelOf = channelRule();

interface Prunable extends PrunedRelease {
  /** Place in the index among those that are signed, or are not, from 0; none for what has no files any more. */
  readonly place: number | undefined;
}

/**
 * Decides what is done with each release of a channel. Whatever is asked, it leaves alone: stable ones, the latest of the
 * channel, what a promotion or a pin refers to, and what may be being put just now. Deleting comes after hiding: when the
 * grace is over, the release is still to go, and the index that is published does not show it any more. A deletion that
 * has begun is completed, unless something was put since the release was hidden.
 */
export function planPruning(facts: PruneFacts, rules: PruneRules): PrunePlan {
  const plan: Record<Verdict, PrunedRelease[]> = { hide: [], delete: [], restore: [], waiting: [], published: [] };
  const kept: KeptRelease[] = [];
  const protections = findProtections(facts);
  for (const { place, ...release } of findPrunable(facts, rules)) {
    const keeping = keepingOf({ ...release, place }, facts, rules, protections);
    if (keeping) kept.push({ version: release.version, ...keeping });
    const verdicts = keeping ? verdictsOfKept(release, keeping.reason) : verdictsOf(release, facts, rules);
    for (const verdict of verdicts) plan[verdict].push(release);
  }
  return { ...plan, kept };
}

function verdictsOfKept({ tombstone, held }: PrunedRelease, reason: KeptReason['reason']): readonly Verdict[] {
  if (!tombstone) return [];
  if (!tombstone.deleting || isWhole(held)) return ['restore'];
  return reason === 'being-put' || reason === 'half-deleted' ? [] : ['delete'];
}

function verdictsOf(release: PrunedRelease, facts: PruneFacts, rules: PruneRules): readonly Verdict[] {
  const { tombstone, version } = release;
  if (tombstone) return [verdictOfHidden(release, tombstone, facts, rules)];
  return rules.grace === 0 && facts.published?.has(version) === false ? ['hide', 'delete'] : ['hide'];
}

function verdictOfHidden(
  { version, held }: PrunedRelease,
  tombstone: Tombstone,
  { published, now }: PruneFacts,
  { grace }: PruneRules,
): Verdict {
  if (isNewer(held, tombstone)) return 'restore';
  if (tombstone.deleting) return 'delete';
  // Both clocks: a tombstone cannot be older than its object, nor than whoever signed it says.
  const hiddenAt = Math.max(Date.parse(tombstone.time), tombstone.modified.getTime());
  if (now - hiddenAt < grace) return 'waiting';
  return published?.has(version) === false ? 'delete' : 'published';
}

/** Releases of the channel, then versions of it of which a tombstone is left but no files. */
function findPrunable(facts: PruneFacts, { channel }: PruneRules): readonly Prunable[] {
  const { sources, releases, tombstones, channelOf } = facts;
  const held = holdByVersion(sources);
  const tombstoneOf = new Map(tombstones.map((tombstone) => [tombstone.version, tombstone]));
  const listed = new Set(releases.map(({ version }) => version));
  const isOfChannel = ({ version }: { readonly version: string }) =>
    channelOf(version) === channel && defaultChannelOf(version) !== 'stable';
  const signed = new Set(trusted(sources.fragments).map(({ version }) => version));
  const places = new Map<string, number>();
  const placeOf = (version: string) => {
    const among = `${signed.has(version)} ${componentOf(version) ?? ''}`;
    const place = places.get(among) ?? 0;
    places.set(among, place + 1);
    return place;
  };
  const all = [
    ...releases.filter(isOfChannel).map(({ version, time }) => ({ version, time, place: placeOf(version) })),
    ...tombstones
      .filter((tombstone) => isOfChannel(tombstone) && !listed.has(tombstone.version))
      .map(({ version, time }) => ({ version, time, place: undefined })),
  ];
  return all.map((each) => {
    const here = held.get(each.version) ?? { files: [], fragments: [] };
    const size = here.files.reduce((sum, file) => sum + file.size, 0);
    return { ...each, size, held: here, tombstone: tombstoneOf.get(each.version) };
  });
}

/** What a bucket holds, by the directories of the keys. */
export function holdByVersion({
  files,
  fragments,
}: Pick<ReleaseSources, 'files' | 'fragments'>): ReadonlyMap<string, HeldVersion> {
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
      put(version, value.changed);
      for (const { storePath } of value.files) {
        const pin = storePath === null ? undefined : pinned.get(storePath);
        if (pin !== undefined) pins.set(version, pin);
      }
    }
  }
  return { promoted, pins, lastPut };
}

function keepingOf(
  { version, time, place, tombstone, held }: Prunable,
  { latest, now }: PruneFacts,
  { keep, keepWithin }: PruneRules,
  { promoted, pins, lastPut }: Protections,
): KeptReason | undefined {
  const lastTime = lastPut.get(version);
  const becomes = promoted.get(version);
  const pin = pins.get(version);
  if (lastTime !== undefined && now - Date.parse(lastTime) < BEING_PUT_MS) return { reason: 'being-put' };
  if (tombstone?.deleting && isNewer(held, tombstone) && !isWhole(held)) return { reason: 'half-deleted' };
  if (!isVersion(version)) return { reason: 'name' };
  if (becomes !== undefined) return { reason: 'promotion', becomes };
  if (pin !== undefined) return { reason: 'pin', pin };
  if (place === undefined) return undefined;
  if (place < keep) return { reason: 'newest', keep };
  if (now - Date.parse(time) < keepWithin) return { reason: 'young' };
  if (place === 0 || latest.has(version)) return { reason: 'latest' };
  return undefined;
}

/** Whether something was put since a version was hidden, by the store's clock or by that of whoever put it. */
function isNewer({ files, fragments }: HeldVersion, tombstone: Tombstone): boolean {
  return (
    files.some(({ time }) => time >= tombstone.time) || fragments.some(({ value }) => value.changed >= tombstone.time)
  );
}

/** Whether every file is there that fragments tell of, and no other. */
function isWhole({ files, fragments }: HeldVersion): boolean {
  const named = new Set(fragments.flatMap(({ value }) => filesOf(value.version, [value]).map(({ key }) => key)));
  const there = new Set(releaseFiles({ files }));
  return named.size > 0 && named.size === there.size && [...named].every((key) => there.has(key));
}
