/** Signs the narinfos of a cache again, each after those it refers to. */

import { createLimit, inDependencyOrder, mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { referencesIn, topologicalOrder } from '../../lib/nix/closure.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { Resigning } from '../../lib/object-store/documents.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { signatureKeyName, verifyPath } from '../../lib/signing/signature.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { createRenewal, type Renewal } from '../batches/renew.js';
import { listHashParts, readNarInfo } from '../binary-cache.js';
import { type Leasing, withLease } from '../leases/lease.js';
import { listNars, type NarSizes, narFault } from '../nars.js';
import { addSignatures, hasAllSignatures, withSignatures } from '../signatures.js';
import { checkNar } from '../verify/checked-nar.js';

/** Narinfos that are read or signed at a time. */
const AT_ONCE = 64;

/** NARs that are read at a time: each may come over the network. */
const NARS_AT_ONCE = 4;

/** How the narinfos of a cache are signed again. */
interface PathsRequest extends Resigning {
  readonly contents?: WorkerPool;
  readonly dryRun: boolean;
  readonly leasing?: Leasing;
}

/** Why a path is not signed again. */
export type PathRefusal =
  /** Its narinfo cannot be read. */
  | 'damaged'
  /** No trusted key has signed it. */
  | 'untrusted'
  /** It has the name of a trusted key, which did not sign this. */
  | 'wrong-signature'
  | 'nar-missing'
  | 'nar-damaged'
  /** It refers to one that is not signed again: a signature vouches for a whole closure. */
  | 'refers-to-refused'
  /** Without the signatures that are to go no trusted key would have signed it. */
  | 'last-signature'
  /** Somebody has written another narinfo meanwhile. */
  | 'changed';

/** A path that was not signed again: its store path, or its hash part where no more is known. */
export interface RefusedPath {
  readonly path: string;
  readonly why: PathRefusal;
}

/** What became of the paths of a cache. */
export interface ResignedPaths {
  readonly signed: number;
  readonly asTheyWere: number;
  /** Sorted by path. */
  readonly refused: readonly RefusedPath[];
}

/** So often all is read again after something was signed. */
const MOST_PASSES = 3;

/**
 * Signs what is to be signed; refuses one path, and what refers to it, and goes on with the others. Then it looks again: a push that
 * has read a narinfo just before may have written it back as it was, and no server compares before it writes.
 */
export async function resignPaths(
  objects: ObjectStore,
  request: PathsRequest,
  work: Work<ActivityEvent>,
): Promise<ResignedPaths> {
  const first = await signOnce(objects, request, work);
  const signed = new Set(first.signed);
  let last = first;
  for (let pass = 2; pass <= MOST_PASSES && last.signed.length > 0 && !request.dryRun; pass++) {
    last = await signOnce(objects, request, work);
    for (const path of last.signed) signed.add(path);
  }
  const refused = [...last.refused].map(([path, why]) => ({ path, why }));
  const { asTheyWere } = first;
  return { signed: signed.size, asTheyWere, refused: refused.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

async function signOnce(objects: ObjectStore, request: PathsRequest, { emit, signal }: Work<ActivityEvent>) {
  const { changes, refused, asTheyWere } = await readAll(objects, request, signal);
  if (changes.size === 0) return { signed: [], asTheyWere, refused };
  const lease = { paths: changes.keys(), emit, signal };
  const work = (leased: ObjectStore) => signChanges(leased, { changes, refused }, request, { emit, signal });
  // What is written again refers to others: no garbage collection is to take these away meanwhile.
  const signed = request.dryRun
    ? await work(objects)
    : await withLease(objects, lease, (leased) => work(leased.objects), request.leasing);
  return { signed, asTheyWere, refused };
}

/** Signs each after those that it refers to; gives what was signed, and notes what was refused. */
async function signChanges(
  objects: ObjectStore,
  { changes, refused }: { readonly changes: ReadonlyMap<string, NarInfo>; readonly refused: Map<string, PathRefusal> },
  request: PathsRequest,
  { emit, signal }: Work<ActivityEvent>,
): Promise<readonly string[]> {
  const references = (path: string) => referencesIn(changes, path);
  emit({ type: 'started', verb: 'sign', unit: 'paths', items: changes.size });
  const limits = { sign: createLimit(AT_ONCE), check: createLimit(NARS_AT_ONCE) };
  // Listed after the narinfos were read: each is written after its NAR.
  const nars = await listNars(objects);
  const signed: string[] = [];
  const renewal = createRenewal(objects);
  const prepare = (path: string) => limits.check(() => refusalOf(objects, changes.get(path)!, { ...request, nars }));
  const publish = async (path: string, refusal: PathRefusal | undefined) => {
    const info = changes.get(path)!;
    const leadsTo = info.references.some((reference) => reference !== path && refused.has(reference));
    const why = refusal ?? (leadsTo ? 'refers-to-refused' : await sign(objects, info, request, renewal));
    if (why === undefined) signed.push(path);
    else if (why !== 'gone') refused.set(path, why);
    emit({ type: 'progress', items: 1 });
  };
  const order = topologicalOrder(changes).map(({ path }) => path);
  const done = inDependencyOrder(order, references, { prepare, publish }, { publish: () => limits.sign, signal });
  // A dry run notes none.
  await renewal.finish(done);
  return signed;
}

/** Reads all narinfos, and says of each what is to be done. Only those that are to change are kept. */
async function readAll(objects: ObjectStore, request: PathsRequest, signal: AbortSignal) {
  const changes = new Map<string, NarInfo>();
  const refused = new Map<string, PathRefusal>();
  let asTheyWere = 0;
  const read = async (hashPart: string) => {
    const info = await readNarInfo(objects, hashPart).catch((error) => {
      if (error instanceof CarportError && error.code === 'E_INTEGRITY') return 'damaged' as const;
      throw error;
    });
    if (info === 'damaged') refused.set(hashPart, info);
    else if (info && isAsItShouldBe(info, request)) asTheyWere++;
    else if (info) changes.set(info.path, info);
  };
  const hashParts: string[] = [];
  for await (const hashPart of listHashParts(objects)) hashParts.push(hashPart);
  await mapAtMost(AT_ONCE, hashParts, read, signal);
  for (const info of changes.values()) {
    // Signatures are cheap to look at; and what nobody signed may refer in circles.
    const why = refusalOfSignatures(info, request);
    if (why === undefined) continue;
    refused.set(info.path, why);
    changes.delete(info.path);
  }
  return { changes, refused, asTheyWere };
}

function isAsItShouldBe(info: NarInfo, { keys, remove }: Resigning): boolean {
  const hasOld = info.signatures.some((signature) => remove.includes(signatureKeyName(signature)));
  return !hasOld && hasAllSignatures(info, keys);
}

function refusalOfSignatures(info: NarInfo, { keys, trust, remove, contents }: PathsRequest): PathRefusal | undefined {
  const { state } = verifyPath(info, trust.keys);
  if (state === 'invalid') return 'wrong-signature';
  if (state === 'unsigned' && !contents) return 'untrusted';
  const staying = trust.keys.filter(({ name }) => !remove.includes(name));
  return verifyPath(withSignatures(info, keys, remove), staying).state === 'valid' ? undefined : 'last-signature';
}

/** A key vouches for what can be pulled: the NAR is there, and is read where nobody has vouched for it. */
async function refusalOf(
  objects: ObjectStore,
  info: NarInfo,
  { trust, contents, nars }: PathsRequest & { readonly nars: NarSizes },
): Promise<PathRefusal | undefined> {
  const fault = await narFault(objects, info, nars);
  if (fault) return fault === 'missing' ? 'nar-missing' : 'nar-damaged';
  if (!contents || verifyPath(info, trust.keys).state === 'valid') return undefined;
  try {
    await checkNar(objects, info, contents);
    return undefined;
  } catch (error) {
    if (!(error instanceof CarportError)) throw error;
    if (error.code === 'E_NOT_FOUND') return 'nar-missing';
    if (['E_INTEGRITY', 'E_FORMAT', 'E_UNSUPPORTED'].includes(error.code)) return 'nar-damaged';
    throw error;
  }
}

async function sign(
  objects: ObjectStore,
  info: NarInfo,
  { keys, remove, dryRun }: PathsRequest,
  renewal: Renewal,
): Promise<PathRefusal | 'gone' | undefined> {
  if (dryRun) return undefined;
  try {
    renewal.note(await addSignatures(objects, info, keys, remove));
    return undefined;
  } catch (error) {
    if (error instanceof CarportError && error.code === 'E_INTEGRITY') return 'changed';
    // It was erased, or collected, meanwhile.
    if (error instanceof CarportError && error.code === 'E_NOT_FOUND') return 'gone';
    throw error;
  }
}
