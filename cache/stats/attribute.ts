/** To whom the bytes of a cache are due: what each root alone keeps, what several share, what none needs. Pure. */

import { markFrom, type Root } from '../gc/mark.js';
import type { Survey } from '../gc/survey.js';

/** What a root holds of a cache. Bytes are of all objects: NARs, narinfos, and what belongs to paths. */
export interface RootUse {
  readonly kind: Root['kind'];
  readonly name: string;
  /** Paths of its closure that the cache has. */
  readonly paths: number;
  /** Of its closure, whoever else needs that. */
  readonly bytes: number;
  /** What would go with it: nothing else needs it. */
  readonly alone: number;
}

/** Where the bytes of a cache go. `alone` of all roots, `shared` and `unrooted` are together all that was surveyed. */
export interface Attribution {
  readonly roots: readonly RootUse[];
  /** What more than one root needs. */
  readonly shared: number;
  /** What no root needs: its age alone keeps it from the next garbage collection, if anything does. */
  readonly unrooted: number;
}

/** Not reached by any root, and reached by several; other numbers are that of the one root, from 1 on. */
const NOBODY = 0;
const SEVERAL = -1;

/** Objects of one kind: their sizes, and who needs each. */
interface Part {
  readonly size: Float64Array;
  readonly length: number;
  readonly owner: Int32Array;
}

/** Says for each root what it keeps. A NAR that several paths have is due to the roots of all of them. */
export function attribute(survey: Survey, roots: readonly Root[]): Attribution {
  const { narInfos, nars, listings, belongings } = survey;
  const part = (of: { readonly size: Float64Array; readonly length: number }): Part => ({
    size: of.size,
    length: of.length,
    owner: new Int32Array(of.length),
  });
  const parts = { paths: part(narInfos), nars: part(nars), listings: part(listings), belongings: part(belongings) };
  const below = objectsBelow(survey);
  const marked = new Uint8Array(narInfos.length);
  const uses = roots.map((root, index) => {
    const starts = [...root.hashParts].map((hashPart) => narInfos.hashParts.find(hashPart));
    const found = markFrom(narInfos, marked, starts);
    const claim = createClaims(index + 1);
    let bytes = 0;
    for (const number of found) {
      marked[number] = 0;
      bytes += claim(parts.paths, number);
      for (const [kind, object] of below(number)) bytes += claim(parts[kind], object);
    }
    return { kind: root.kind, name: root.name, paths: found.length, bytes };
  });
  const sums = new Float64Array(roots.length + 1);
  let shared = 0;
  for (const { size, length, owner } of Object.values(parts)) {
    for (let number = 0; number < length; number++) {
      if (owner[number] === SEVERAL) shared += size[number]!;
      else sums[owner[number]!]! += size[number]!;
    }
  }
  return {
    roots: uses.map((use, index) => ({ ...use, alone: sums[index + 1]! })),
    shared,
    unrooted: sums[NOBODY]!,
  };
}

/** Notes that a root needs an object; gives its bytes the first time. */
function createClaims(root: number) {
  const seen = new Map<Part, Set<number>>();
  return (part: Part, number: number): number => {
    const before = part.owner[number]!;
    if (before === root) return 0;
    if (before !== NOBODY) {
      // An object of several roots does not tell whether this one has counted it.
      const counted = seen.get(part) ?? new Set();
      seen.set(part, counted);
      if (counted.has(number)) return 0;
      counted.add(number);
    }
    part.owner[number] = before === NOBODY ? root : SEVERAL;
    return part.size[number]!;
  };
}

type Kind = 'nars' | 'listings' | 'belongings';

/** What goes with a path: its NAR and what that has, its listing, logs, realisations. */
function objectsBelow({ narInfos, nars, listings, belongings }: Survey) {
  const ofPath = pairs(belongings.owners, narInfos.length);
  const ofNar = pairs(belongings.narOwners, nars.length);
  listings.hashParts.index();
  return function* (number: number): Generator<readonly [Kind, number]> {
    const listing = listings.hashParts.find(narInfos.hashParts.at(number));
    if (listing >= 0) yield ['listings', listing];
    for (const belonging of ofPath(number)) yield ['belongings', belonging];
    const nar = narInfos.nar[number]!;
    if (nar < 0) return;
    yield ['nars', nar];
    for (const belonging of ofNar(nar)) yield ['belongings', belonging];
  };
}

/** Owners and what they have, in pairs, by owner. */
function pairs(columns: Int32Array, owners: number): (owner: number) => Iterable<number> {
  const first = new Uint32Array(owners + 1);
  for (let at = 0; at < columns.length; at += 2) if (columns[at]! >= 0) first[columns[at]! + 1]!++;
  for (let owner = 0; owner < owners; owner++) first[owner + 1]! += first[owner]!;
  const next = first.slice();
  const sorted = new Int32Array(first[owners]!);
  for (let at = 0; at < columns.length; at += 2)
    if (columns[at]! >= 0) sorted[next[columns[at]!]!++] = columns[at + 1]!;
  return (owner) => sorted.subarray(first[owner]!, first[owner + 1]!);
}
