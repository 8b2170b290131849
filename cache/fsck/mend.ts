/** Mends all that can be mended of paths: each after what it refers to, under a lease, so that no garbage collection interferes. */

import { mapAtMost } from '../../lib/concurrency.js';
import { hasCode } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { writeNarInfo } from '../binary-cache.js';
import { narInfoKey } from '../layout.js';
import { withLease } from '../leases/lease.js';
import { leavesOut } from '../push/upstream-keys.js';
import { withSignatures } from '../signatures.js';
import { checkNar } from '../verify/checked-nar.js';
import type { Look } from './look/look.js';
import { readAnyNarInfo } from './look/narinfo.js';
import { findLostNars } from './lost-nars.js';
import { mendListings } from './mend-listings.js';
import { addOrphans, OF_ORPHAN } from './mend-orphans.js';
import {
  canBeBelieved,
  type MendTools,
  type PathTools,
  reasonOf,
  sendAgain,
  signedAgain,
  withoutFalseAddress,
} from './mend-path.js';
import {
  isDoubted,
  isFatal,
  levelsOf,
  mayBeHad,
  OF_NAR,
  OF_SIGNATURE,
  type Plan,
  planAll,
  targetsOf,
} from './mend-plan.js';
import { createSourceFinder } from './sources.js';

/** Paths that are mended at a time. */
const AT_ONCE = 8;

/** What became of paths, by their hash parts. */
export interface Mended {
  readonly mended: ReadonlySet<string>;
  /** They are not mended, and might be: with another key, or when a server answers. */
  readonly waiting: ReadonlySet<string>;
}

/** Mends paths and listings. What cannot be mended is told. */
export async function mendPaths(look: Look, tools: MendTools): Promise<Mended> {
  const { findings } = look;
  const targets = targetsOf(findings);
  await addOrphans(targets, look, tools.sources, tools.signal);
  const damaged = findings.filter(({ kind }) => kind === 'listing-damaged');
  const listings = [...new Map(damaged.map((finding) => [finding.key, finding])).values()];
  if (targets.size === 0 && listings.length === 0) return { mended: new Set(), waiting: new Set() };
  const finder = createSourceFinder(tools.sources);
  const plans = await planAll(targets, finder, tools);
  // What no source knows is as it was.
  for (const [hashPart, { kinds, source, mayWait }] of plans) {
    if (source === undefined && !mayWait && [...kinds].every((kind) => OF_ORPHAN.has(kind))) plans.delete(hashPart);
  }
  const paths = [...plans.values()].flatMap(({ there, source, path }) => [
    ...(path === undefined ? [] : [path]),
    ...(there ? [there.path] : []),
    ...(source ? [source.info.path, ...source.info.references] : []),
  ]);
  const { emit, signal } = tools;
  tools.emit({ type: 'started', verb: 'mend', unit: 'paths', items: plans.size });
  const work = async (objects: ObjectStore) => {
    // Only now, as the lease counts: what was seen before a garbage collection may have taken away.
    const now = await readAgain(plans, objects);
    const nars = await findLostNars(now, look, { ...tools, objects });
    const mended = await mendInOrder(now, { ...tools, objects, nars });
    await mendListings(listings, { ...tools, objects });
    return mended;
  };
  return withLease(tools.objects, { paths, emit, signal }, ({ objects }) => work(objects), tools.leasing);
}

/** The plans with what the cache has now of each path. */
async function readAgain(plans: ReadonlyMap<string, Plan>, objects: ObjectStore): Promise<Map<string, Plan>> {
  const read = await mapAtMost(AT_ONCE, plans, async ([hashPart, plan]) => {
    const now = await readAnyNarInfo(objects, hashPart);
    return [hashPart, { ...plan, there: now.state === 'read' ? now.info : undefined }] as const;
  });
  return new Map(read);
}

/** Mends one after another what refers to each other, and the rest beside each other. */
async function mendInOrder(plans: Map<string, Plan>, tools: NarTools): Promise<Mended> {
  const mended = new Set<string>();
  const waiting = new Set<string>();
  const { emit, signal, report } = tools;
  const levels = levelsOf(plans);
  for (const level of levels) {
    await mapAtMost(
      AT_ONCE,
      level,
      async (plan) => {
        const outcome = await mendOne(plan, { mended, waiting }, plans, tools).catch((error): Outcome => {
          if (hasCode(error, 'E_INTERRUPTED', 'E_UNAVAILABLE', 'E_CREDENTIALS')) throw error;
          return { refused: reasonOf(error), mayWait: mayBeHad(error) };
        });
        const about = { key: narInfoKey(plan.hashPart), ...(plan.path !== undefined && { path: plan.path }) };
        if ('done' in outcome) {
          mended.add(plan.hashPart);
          report.repaired({ ...about, did: 'mended', message: outcome.done });
        } else {
          const isAtStake = isFatal(plan.kinds) || plan.kinds.has('signature-wrong');
          if (outcome.mayWait && isAtStake) waiting.add(plan.hashPart);
          report.repaired({ ...about, did: 'refused', message: `it is not mended: ${outcome.refused}` });
        }
        emit({ type: 'progress', items: 1 });
      },
      signal,
    );
  }
  return { mended, waiting };
}

/** What paths are mended with: also NARs that were found. */
type NarTools = MendTools & { readonly nars: ReadonlyMap<string, NarInfo> };

type Outcome = { readonly done: string } | { readonly refused: string; readonly mayWait: boolean };

async function mendOne(
  plan: Plan,
  { mended, waiting }: Mended,
  plans: ReadonlyMap<string, Plan>,
  tools: NarTools,
): Promise<Outcome> {
  const { there, kinds, source } = plan;
  const { objects, sources } = tools;
  const pathTools: PathTools = { objects, pool: tools.pool, sources, emit: tools.emit };
  const isOfNar = [...kinds].some((kind) => OF_NAR.has(kind));
  if (there && !isDoubted(kinds)) {
    const own = await mendItself(there, isOfNar, plan, { ...tools, mended });
    if (own) return own;
  }
  if (there && kinds.has('signature-wrong') && !isOfNar && !kinds.has('reference-cycle')) {
    const signed = signedAgain(there, source, sources);
    if (signed) return writeAgain(signed, 'signed again: it says what its source says', { objects, mended });
  }
  if (!isFatal(kinds) && !kinds.has('signature-wrong') && !isOfNar) {
    // Nobody need be wrong where two builds differ: it stays, and is told.
    return {
      refused: 'no source has the same with a trusted signature; `--secret-key` with `--contents` signs it',
      mayWait: true,
    };
  }
  if (source === undefined) return { refused: plan.refusal, mayWait: plan.mayWait };
  const lacking = source.info.references.find((reference) => {
    const other = plans.get(hashPartOf(reference));
    const isLost = other !== undefined && isFatal(other.kinds) && !mended.has(other.hashPart);
    return reference !== source.info.path && isLost;
  });
  if (lacking !== undefined) {
    const mayWait = waiting.has(hashPartOf(lacking));
    return { refused: `it refers to \`${lacking}\`, which is not mended`, mayWait };
  }
  const believed = isDoubted(kinds) ? undefined : there;
  if (!canBeBelieved(source, believed, sources)) {
    return { refused: 'no trusted key has signed what its source has: give `--secret-key`', mayWait: true };
  }
  const place = source.origin === 'store' ? source.store.description : `\`${source.objects.url}\``;
  const sent = withoutFalseAddress(await sendAgain(source, believed, pathTools));
  await writeNarInfo(objects, sent);
  return { done: `sent again from ${place}` };
}

/** Writes a narinfo in place of the one that was there a moment ago, unless that has gone, or what it refers to. */
async function writeAgain(
  info: NarInfo,
  done: string,
  { objects, mended }: { readonly objects: ObjectStore; readonly mended: ReadonlySet<string> },
): Promise<Outcome> {
  const hashPart = hashPartOf(info.path);
  const now = await readAnyNarInfo(objects, hashPart);
  if (now.state === 'gone') return { refused: 'somebody has removed it meanwhile', mayWait: false };
  for (const reference of now.state === 'read' ? now.info.references : []) {
    if (reference === info.path || mended.has(hashPartOf(reference))) continue;
    const isGone = (await objects.stat(narInfoKey(hashPartOf(reference)))) === undefined;
    if (isGone && info.references.includes(reference) && !(await leavesOut(objects)))
      return { refused: `it refers to \`${reference}\`, which is not there`, mayWait: false };
  }
  await writeNarInfo(objects, info);
  return { done };
}

/** What can be mended with what the cache itself has, and with signatures of a source. */
async function mendItself(
  there: NarInfo,
  isOfNar: boolean,
  { hashPart, kinds, source }: Plan,
  tools: NarTools & { readonly mended: ReadonlySet<string> },
): Promise<Outcome | undefined> {
  const { objects, sources, contents, pool, nars } = tools;
  let info = there;
  if (isOfNar) {
    const found = nars.get(hashPart);
    if (found === undefined) return undefined;
    info = found;
  }
  if (kinds.has('content-address')) info = withoutFalseAddress(info);
  if ([...kinds].some((kind) => OF_SIGNATURE.has(kind))) {
    const signed = signedAgain(info, source, sources);
    const mayRead = contents && sources.keys.length > 0;
    if (signed === undefined && !mayRead) return info === there ? undefined : write(info);
    if (signed === undefined && !isOfNar) await checkNar(objects, info, pool);
    info = signed ?? withSignatures(info, sources.keys);
  }
  return info === there ? undefined : write(info);

  function write(now: NarInfo): Promise<Outcome> {
    if (isOfNar) return writeAgain(now, `its NAR \`${now.url}\` is right, and so is what is told of it now`, tools);
    const done = now.signatures === there.signatures ? 'written again as it should be' : 'signed';
    return writeAgain(now, done, tools);
  }
}
