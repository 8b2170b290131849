/** A check of a cache: it looks, mends what can be mended, removes what cannot, and looks again, until nothing more can be done. */

import { mapAtMost } from '../../lib/concurrency.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { WriteStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { hashPartOfKey, narInfoKey } from '../layout.js';
import type { Leasing } from '../leases/lease.js';
import { doomOf, sweepPlanOf } from './doomed.js';
import { type Finding, type FindingKind, type FsckReport, levelOf, type Repair } from './finding.js';
import type { CheckedNars } from './look/checked.js';
import { hidesNarInfos, type Look, lookAtCache } from './look/look.js';
import { withPatientStat } from './look/patient-stat.js';
import { mendPaths } from './mend.js';
import { mendBelongings } from './mend-belongings.js';
import type { Oddities } from './oddities.js';
import { REMOVING, type Removing, removeBroken } from './remove.js';
import { type DocumentTools, removeDangling, repairDocument } from './repair-documents.js';
import type { MendSources } from './sources.js';

/** What is checked, and whether it is repaired. */
export interface FsckRequest {
  readonly sources: MendSources;
  readonly repair: boolean;
  readonly contents: boolean;
  /** Waste that is younger stays, in milliseconds by the store's clock. */
  readonly keepNewerThan: number;
  readonly keep: DocumentTools['keep'];
}

/** What it works with. */
export interface FsckWork extends Work<ActivityEvent> {
  readonly pool: WorkerPool;
  readonly checked: CheckedNars;
  readonly oddities: Oddities;
  readonly report: FsckReport;
  readonly leasing?: Leasing;
  readonly removing?: Removing;
}

/** What came of it. */
export interface FsckResult {
  readonly paths: number;
  /** What was found when it was begun, by level. */
  readonly found: Counts;
  readonly mended: number;
  readonly removed: number;
  /** What is left of it. Of a check that repairs nothing, all. */
  readonly left: Counts;
}

/** Numbers of findings. */
export interface Counts {
  readonly broken: number;
  readonly leftover: number;
  readonly note: number;
}

/** What a repair removes may lead to more; a cache that changes all the while must not keep it for ever. */
const MOST_ROUNDS = 6;

/** Objects that are asked for at a time. */
const AT_ONCE = 32;

/** Checks a cache, and repairs it where that is wished. */
export async function checkCache(given: WriteStore, request: FsckRequest, work: FsckWork): Promise<FsckResult> {
  const objects = withPatientStat(given);
  const said = new Set<string>();
  const counts = { mended: 0, removed: 0 };
  const report: FsckReport = {
    found(finding) {
      const id = idOf(finding);
      if (said.has(id)) return;
      said.add(id);
      work.report.found(finding);
    },
    repaired(repair) {
      if (repair.did !== 'refused') counts[repair.did]++;
      const id = JSON.stringify(repair);
      if (said.has(id)) return;
      said.add(id);
      work.report.repaired(repair);
    },
  };
  const { sources, contents, repair } = request;
  const { trust } = sources;
  const oddities = () => work.oddities.find();
  const look = () =>
    lookAtCache({ ...work, objects, trust, contents, mayWrite: repair, found: report.found, oddities });
  const first = await look();
  let now = first;
  for (let round = 1; repair && round <= MOST_ROUNDS; round++) {
    const before = counts.mended + counts.removed;
    await repairOnce(objects, now, request, { ...work, report });
    if (counts.mended + counts.removed === before) break;
    now = await look();
  }
  await work.checked.forget();
  const paths = now.survey.narInfos.length;
  return { paths, found: countsOf(first), ...counts, left: countsOf(now) };
}

function countsOf({ findings }: Look): Counts {
  const counts = { broken: 0, leftover: 0, note: 0 };
  // As many as there are lines.
  const told = new Map(findings.map((finding) => [idOf(finding), finding]));
  for (const finding of told.values()) counts[levelOf(finding)]++;
  return counts;
}

function idOf({ kind, key, missing }: Finding): string {
  return JSON.stringify([kind, key, missing]);
}

/** One round: what lies beside paths, then paths, then what cannot be mended, which goes. */
async function repairOnce(objects: WriteStore, look: Look, request: FsckRequest, work: FsckWork): Promise<void> {
  const { sources, contents, keepNewerThan } = request;
  const { oddities, report } = work;
  const tools: DocumentTools = { objects, from: sources.from, trust: sources.trust, oddities, keep: request.keep };
  const tell = (repair: Repair | undefined) => {
    if (repair) report.repaired(repair);
  };
  // What says that there is a cache comes last: until then what is there may be incomplete.
  const [first, last] = split(uniqueByKey(look.findings), ({ kind }) => !kind.startsWith('cache-info'));
  // A lease that cannot be read is in the way of all else.
  const [claims, others] = split(first, ({ kind }) => /^(lease|sweep)-/.test(kind));
  // What is in a directory that is in the place of a file may be what is missing: nothing goes for its sake.
  const blocked = new Set<string>();
  for (const finding of [...claims, ...others]) {
    const repair = await repairDocument(finding, look, tools);
    if (finding.kind === 'not-a-file' && repair?.did === 'refused') blocked.add(finding.key);
    tell(repair);
  }
  // Whether a push is under way cannot be known then.
  if (look.findings.some(({ kind, key }) => kind === 'unreadable' && /^carport(\/(leases|sweeps))?$/.test(key))) return;
  const { mended, waiting } = await mendPaths(look, { ...work, objects, sources, contents });
  const taken = await mendBelongings(look.findings, { ...work, ...sources, objects, storeDir: look.storeDir });
  const left = look.findings.filter(
    ({ key, missing = '' }) => !taken.has(key) && !mended.has(hashPartOfKey(key) ?? hashPartOf(missing)),
  );
  const isWaiting = ({ key, missing = '' }: Finding) =>
    waiting.has(hashPartOf(missing)) ||
    waiting.has(hashPartOfKey(key) ?? '') ||
    [key, missing, narInfoKey(hashPartOf(missing))].some((one) => blocked.has(one));
  const lost = left.filter((finding) => !isWaiting(finding));
  const isStill = async (finding: Finding) => {
    if (!isFatalTo(finding, look) || mended.has(hashPartOf(finding.missing ?? ''))) return [];
    // Somebody may have pushed it when this had told of it.
    return (await isThere(objects, finding)) ? [] : [finding];
  };
  const fatal = (await mapAtMost(AT_ONCE, lost, isStill)).flat();
  const doom = doomOf(look.survey, fatal);
  // What is mended may name a NAR that seemed to be nobody's, and so may what cannot be read: the next look tells.
  const isUnknown = look.findings.some(hidesNarInfos) || [...blocked].some((key) => hashPartOfKey(key) !== undefined);
  const orphans = mended.size === 0 && waiting.size === 0 && !isUnknown;
  const plan = sweepPlanOf(look.survey, lost, doom, { cutoff: look.survey.time - keepNewerThan, orphans });
  await removeBroken(objects, plan, doom, { ...work, removing: work.removing ?? REMOVING });
  for (const finding of uniqueByKey(lost.filter(({ kind }) => kind === 'pin-dangling'))) {
    tell(await removeDangling(tools, finding));
  }
  for (const finding of last) tell(await repairDocument(finding, look, tools));
}

async function isThere(objects: WriteStore, { kind, missing = '' }: Finding): Promise<boolean> {
  return kind === 'reference-missing' && (await objects.stat(narInfoKey(hashPartOf(missing)))) !== undefined;
}

/** What a path goes for, unless it is mended. Of a signature only where others of the same key are right. */
const FATAL: ReadonlySet<FindingKind> = new Set([
  'narinfo-damaged',
  'narinfo-store-dir',
  'reference-missing',
  'reference-cycle',
  'nar-outside',
  'nar-missing',
  'nar-size',
  'nar-damaged',
  'nar-file-hash',
]);

function isFatalTo(finding: Finding, { provenKeys }: Look): boolean {
  if (finding.kind === 'signature-wrong') return provenKeys.has(finding.keyName ?? '');
  return FATAL.has(finding.kind);
}

/** The first of each kind and key. */
function uniqueByKey(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [`${finding.kind} ${finding.key}`, finding])).values()];
}

function split<T>(items: readonly T[], test: (item: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
