/** Finds NARs that are in the cache under other names, and gives them their own, before anything is written over or removed. */

import { createHash } from 'node:crypto';
import { formatOf, HEAD_SIZE } from '../../lib/compression/format-of.js';
import { largestFile } from '../../lib/compression/verified-nar.js';
import { mapAtMost } from '../../lib/concurrency.js';
import { formatHash } from '../../lib/nix/hash.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { asWritable, type ObjectStore, type WriteStore } from '../../lib/object-store/object-store.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { newNarKey } from '../layout.js';
import type { Look } from './look/look.js';
import { narKeyIn } from './look/narinfo.js';
import { unnamedNars } from './look/survey.js';
import { FORMATS, fileOf, findOwnNar } from './mend-path.js';
import { isDoubted, OF_NAR, type Plan } from './mend-plan.js';

/** NARs that are looked at under the names that they should have, at a time. */
const AT_ONCE = 8;

/** Files that are decompressed for one path of which the hash of the file is not known, or not right. */
const MOST_TRIES = 64;

/** A file that may be the NAR of another path than its name says, or of none. */
interface Candidate {
  readonly key: string;
  readonly size: number;
  /** In Nix's base 32, once it was read. */
  sha256?: string | undefined;
}

/** What the search works with. */
interface Search {
  readonly objects: WriteStore;
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
  readonly candidates: Map<string, Candidate>;
  /** Keys that a narinfo names which is right: nothing is put there. */
  readonly taken: Set<string>;
}

/**
 * Looks for the NARs of narinfos that lack theirs, or have another: among those that no narinfo names, and those of each other. Gives
 * the narinfos that are right then, by their hash parts; they are not written yet.
 */
export async function findLostNars(
  plans: ReadonlyMap<string, Plan>,
  look: Look,
  { objects, pool, signal }: { readonly objects: ObjectStore; readonly pool: WorkerPool; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, NarInfo>> {
  const found = new Map<string, NarInfo>();
  const lost = [...plans.values()].flatMap((plan) => {
    const isOfNar = [...plan.kinds].some((kind) => OF_NAR.has(kind));
    return plan.there && isOfNar && !isDoubted(plan.kinds) ? [{ ...plan, there: plan.there }] : [];
  });
  await mapAtMost(
    AT_ONCE,
    lost,
    async ({ hashPart, there }) => {
      const own = await findOwnNar(there, { objects, pool });
      if (own) found.set(hashPart, own);
    },
    signal,
  );
  const left = lost.filter(({ hashPart }) => !found.has(hashPart));
  if (left.length === 0) return found;
  const infos = left.map(({ there }) => there);
  const store = asWritable(objects, 'where nothing can be copied');
  const taken = takenKeys(look, new Set(left.map(({ hashPart }) => hashPart)));
  for (const { url } of found.values()) taken.add(url);
  const candidates = await candidatesOf(infos, look, store);
  const search: Search = { objects: store, pool, signal, candidates, taken };
  // One after another: each may move what another looks for.
  for (const { hashPart, there, source } of left) {
    const one = await findElsewhere(there, source !== undefined, search);
    if (one) found.set(hashPart, await giveName(one, search));
  }
  return found;
}

function takenKeys({ survey: { narInfos, nars } }: Look, lost: ReadonlySet<string>): Set<string> {
  const taken = new Set<string>();
  for (let number = 0; number < narInfos.length; number++) {
    const nar = narInfos.nar[number]!;
    if (nar >= 0 && !lost.has(narInfos.hashParts.at(number))) taken.add(nars.keys.at(nar));
  }
  return taken;
}

async function candidatesOf(
  infos: readonly NarInfo[],
  look: Look,
  objects: WriteStore,
): Promise<Map<string, Candidate>> {
  const { nars } = look.survey;
  const candidates = new Map<string, Candidate>();
  for (const number of unnamedNars(look.survey)) {
    const key = nars.keys.at(number);
    candidates.set(key, { key, size: nars.size[number]! });
  }
  const others = [...look.strayNars, ...infos.flatMap((info) => narKeyIn(info) ?? [])];
  await mapAtMost(AT_ONCE, [...new Set(others)], async (key) => {
    const size = (await objects.stat(key))?.size;
    if (size) candidates.set(key, { key, size });
  });
  return candidates;
}

/** The narinfo of a file that is the NAR, where that lies. Without a source all are tried, else those that can well be it. */
async function findElsewhere(info: NarInfo, hasSource: boolean, search: Search): Promise<NarInfo | undefined> {
  const { fileHash, narSize } = info;
  const fileSize = info.fileSize ?? (info.compression === 'none' ? narSize : undefined);
  const all = [...search.candidates.values()].filter(({ size }) => size > 0 && size <= largestFile(narSize));
  const same = all.filter(({ size }) => size === fileSize);
  const others = all.filter(({ size }) => size !== fileSize);
  if (fileHash?.algorithm === 'sha256') {
    const wanted = formatHash(fileHash, 'nix32');
    for (const candidate of [...same, ...others]) {
      search.signal.throwIfAborted();
      if ((await sha256Of(candidate, search.objects)) !== wanted) continue;
      const one = await tryOne(info, candidate, search);
      if (one) return one;
    }
  }
  for (const candidate of [...same, ...(hasSource ? [] : others)].slice(0, MOST_TRIES)) {
    search.signal.throwIfAborted();
    const one = await tryOne(info, candidate, search);
    if (one) return one;
  }
  return undefined;
}

/** Whether a file holds the NAR, compressed as its first bytes say. */
async function tryOne(info: NarInfo, { key }: Candidate, { objects, pool }: Search): Promise<NarInfo | undefined> {
  const compression = formatOf(await headOf(objects, key)) ?? info.compression;
  const { fileHash: _, fileSize: __, ...rest } = info;
  const file = await fileOf({ ...rest, url: key, compression }, objects, pool);
  return file && { ...info, url: key, compression, ...file };
}

async function headOf(objects: WriteStore, key: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const object = await objects.open(key, { offset: 0, length: HEAD_SIZE }).catch(() => undefined);
  if (object) for await (const piece of object.bytes()) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function sha256Of(candidate: Candidate, objects: WriteStore): Promise<string> {
  if (candidate.sha256 !== undefined) return candidate.sha256;
  const object = await objects.open(candidate.key).catch(() => undefined);
  const hasher = createHash('sha256');
  if (object) for await (const piece of object.bytes()) hasher.update(piece);
  candidate.sha256 = object ? formatHash({ algorithm: 'sha256', digest: hasher.digest() }, 'nix32') : '';
  return candidate.sha256;
}

/** Copies a NAR to the key of its hash. What another path may look for there is copied away first: it may be the only one. */
async function giveName(info: NarInfo, { objects, candidates, taken }: Search): Promise<NarInfo> {
  const right = newNarKey(info.fileHash!, FORMATS[info.compression as keyof typeof FORMATS] ?? '');
  if (info.url === right || taken.has(right)) {
    taken.add(info.url);
    return info;
  }
  const size = (await objects.stat(right))?.size;
  if (size) {
    const spare = right.replace('.nar', `-of-${hashPartOf(info.path)}.nar`);
    const occupant: Candidate = { key: right, size };
    const sha256 = await sha256Of(occupant, objects);
    await objects.copy(right, spare);
    candidates.delete(right);
    candidates.set(spare, { key: spare, size, sha256 });
  }
  await objects.copy(info.url, right);
  taken.add(right);
  return { ...info, url: right };
}
