/** What a cache holds and costs, in numbers: gathered of one survey. Pure but for the survey. */

import type { Root } from '../gc/mark.js';
import type { Survey } from '../gc/survey.js';
import { isKeyOfCache } from '../layout.js';
import { attribute, type RootUse } from './attribute.js';

/** Objects and their bytes. */
export interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

/** What the objects of a bucket are. All of them together are the bucket. */
export type Group = 'nars' | 'narinfos' | 'listings' | 'belongings' | 'carport' | 'releases' | 'others';

/** Paths of one name, whatever their versions. */
export interface NameUse {
  readonly name: string;
  readonly paths: number;
  /** Of their NARs, each once. */
  readonly bytes: number;
}

/** What was pushed in one month. */
export interface MonthUse {
  /** As `2026-11`. */
  readonly month: string;
  readonly paths: number;
  readonly bytes: number;
}

/** A cache in numbers. Bytes are of objects, `narSize` of what they unpack to. */
export interface CacheStats {
  /** By the store's clock. */
  readonly time: string;
  readonly objects: number;
  readonly bytes: number;
  readonly groups: Readonly<Record<Group, Amount>>;
  readonly paths: number;
  readonly narSize: number;
  /** Bytes of NARs as they were before compression, for each that is stored; 0 of an empty cache. */
  readonly compressionRatio: number;
  /** Paths that have the NAR of another path, and the bytes that this saves. */
  readonly duplicates: { readonly paths: number; readonly bytes: number };
  /** NARs and listings that no narinfo names. */
  readonly orphans: Amount;
  readonly roots: readonly RootUse[];
  readonly shared: number;
  readonly unrooted: number;
  /** Of objects that belong to no path: `alone` of all roots, `shared`, `unrooted` and this are `bytes`. */
  readonly beside: number;
  /** The largest first. */
  readonly names: readonly NameUse[];
  /** The oldest first. */
  readonly months: readonly MonthUse[];
}

/** An object of the bucket that belongs to no path. */
export interface BesideObject {
  readonly key: string;
  readonly size: number;
}

/** What is known beside the survey. */
export interface StatsSources {
  readonly roots: readonly Root[];
  readonly beside: readonly BesideObject[];
  /** The version of the release that an object is of; nothing in it for one of the index of releases; `undefined` for others. */
  releaseOf(key: string): string | undefined;
}

/** Names that are told. */
const MOST_NAMES = 100;

/** Counts a cache. */
export function statsOf(survey: Survey, { roots, beside, releaseOf }: StatsSources): CacheStats {
  const { narInfos, nars, listings, belongings } = survey;
  const groups = { ...groupBeside(beside, releaseOf), ...groupsOf(survey) };
  const { objects, bytes } = sum(Object.values(groups));
  const { roots: uses, shared, unrooted } = attribute(survey, roots);
  const { roots: withFiles, owned } = withReleases(uses, beside, releaseOf);
  const surveyed = [narInfos, nars, listings, belongings].reduce(
    (total, part) => total + sumOf(part.size, part.length),
    0,
  );
  const narSize = sumOf(narInfos.narSize, narInfos.length);
  return {
    ...{ time: new Date(survey.time).toISOString(), objects, bytes, groups, paths: narInfos.length, narSize },
    compressionRatio: groups.nars.bytes === 0 ? 0 : storedNarSize(survey) / groups.nars.bytes,
    ...{ duplicates: duplicatesOf(survey), orphans: orphansOf(survey) },
    ...{ roots: withFiles, shared, unrooted, beside: bytes - surveyed - owned },
    ...{ names: namesOf(survey), months: monthsOf(survey) },
  };
}

function groupsOf({
  narInfos,
  nars,
  listings,
  belongings,
}: Survey): Record<'nars' | 'narinfos' | 'listings' | 'belongings', Amount> {
  const amount = ({ size, length }: { readonly size: Float64Array; readonly length: number }): Amount => ({
    objects: length,
    bytes: sumOf(size, length),
  });
  return { nars: amount(nars), narinfos: amount(narInfos), listings: amount(listings), belongings: amount(belongings) };
}

function groupBeside(
  beside: readonly BesideObject[],
  releaseOf: StatsSources['releaseOf'],
): Record<'carport' | 'releases' | 'others', Amount> {
  const groups = {
    carport: { objects: 0, bytes: 0 },
    releases: { objects: 0, bytes: 0 },
    others: { objects: 0, bytes: 0 },
  };
  for (const { key, size } of beside) {
    const group = groups[isKeyOfCache(key) ? 'carport' : releaseOf(key) === undefined ? 'others' : 'releases'];
    group.objects++;
    group.bytes += size;
  }
  return groups;
}

/** Adds the files of releases to what their store paths hold; a release that has none is a root, too. */
function withReleases(uses: readonly RootUse[], beside: readonly BesideObject[], releaseOf: StatsSources['releaseOf']) {
  const files = new Map<string, number>();
  let owned = 0;
  for (const { key, size } of beside) {
    const release = releaseOf(key);
    if (!release || isKeyOfCache(key)) continue;
    files.set(release, (files.get(release) ?? 0) + size);
    owned += size;
  }
  const roots = uses.map((use) => {
    const more = use.kind === 'release' ? (files.get(use.name) ?? 0) : 0;
    if (more > 0) files.delete(use.name);
    return { ...use, bytes: use.bytes + more, alone: use.alone + more };
  });
  for (const [name, bytes] of files) roots.push({ kind: 'release', name, paths: 0, bytes, alone: bytes });
  return { roots: roots.sort((a, b) => b.bytes - a.bytes), owned };
}

/** The NARs of these, each once, as they were before they were compressed. */
function storedNarSize({ narInfos, nars }: Survey): number {
  const seen = new Uint8Array(nars.length);
  let total = 0;
  for (let number = 0; number < narInfos.length; number++) {
    const nar = narInfos.nar[number]!;
    if (nar < 0 || seen[nar]) continue;
    seen[nar] = 1;
    total += narInfos.narSize[number]!;
  }
  return total;
}

function duplicatesOf({ narInfos, nars }: Survey): CacheStats['duplicates'] {
  const seen = new Uint8Array(nars.length);
  let [paths, bytes] = [0, 0];
  for (let number = 0; number < narInfos.length; number++) {
    const nar = narInfos.nar[number]!;
    if (nar < 0) continue;
    if (seen[nar]) {
      paths++;
      bytes += nars.size[nar]!;
    }
    seen[nar] = 1;
  }
  return { paths, bytes };
}

function orphansOf({ narInfos, nars, listings }: Survey): Amount {
  const named = new Uint8Array(nars.length);
  for (let number = 0; number < narInfos.length; number++)
    if (narInfos.nar[number]! >= 0) named[narInfos.nar[number]!] = 1;
  let [objects, bytes] = [0, 0];
  const add = (size: number) => {
    objects++;
    bytes += size;
  };
  for (let number = 0; number < nars.length; number++) if (!named[number]) add(nars.size[number]!);
  for (let number = 0; number < listings.length; number++) {
    if (narInfos.hashParts.find(listings.hashParts.at(number)) < 0) add(listings.size[number]!);
  }
  return { objects, bytes };
}

function namesOf({ narInfos, nars }: Survey): readonly NameUse[] {
  const uses = new Map<string, { paths: number; bytes: number }>();
  const seen = new Uint8Array(nars.length);
  for (let number = 0; number < narInfos.length; number++) {
    const name = packageNameOf(narInfos.names.at(number));
    const use = uses.get(name) ?? { paths: 0, bytes: 0 };
    uses.set(name, use);
    use.paths++;
    const nar = narInfos.nar[number]!;
    if (nar < 0 || seen[nar]) continue;
    seen[nar] = 1;
    use.bytes += nars.size[nar]!;
  }
  const all = [...uses].map(([name, use]) => ({ name, ...use }));
  return all.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1)).slice(0, MOST_NAMES);
}

/** The name without its version, which begins with the first digit behind a dash (libexpr/names.cc). */
function packageNameOf(name: string): string {
  const version = /-[0-9]/.exec(name);
  return version && version.index > 0 ? name.slice(0, version.index) : name;
}

function monthsOf({ narInfos, nars }: Survey): readonly MonthUse[] {
  const months = new Map<string, { paths: number; bytes: number }>();
  for (let number = 0; number < narInfos.length; number++) {
    const month = new Date(narInfos.modified[number]!).toISOString().slice(0, 7);
    const use = months.get(month) ?? { paths: 0, bytes: 0 };
    months.set(month, use);
    use.paths++;
    const nar = narInfos.nar[number]!;
    if (nar >= 0) use.bytes += nars.size[nar]!;
  }
  return [...months].map(([month, use]) => ({ month, ...use })).sort((a, b) => (a.month < b.month ? -1 : 1));
}

function sumOf(sizes: Float64Array, length: number): number {
  let total = 0;
  for (let number = 0; number < length; number++) total += sizes[number]!;
  return total;
}

function sum(amounts: readonly Amount[]): Amount {
  return amounts.reduce((a, b) => ({ objects: a.objects + b.objects, bytes: a.bytes + b.bytes }), {
    objects: 0,
    bytes: 0,
  });
}
