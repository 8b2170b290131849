/**
 * Looks at all of a cache: one listing, and each narinfo, listing and document once. What it holds is columns, so that a large cache
 * takes no more memory than a collection of garbage does. It changes nothing.
 */

import { mapAtMost } from '../../../lib/concurrency.js';
import { CarportError, isErrno } from '../../../lib/errors.js';
import type { NarInfo } from '../../../lib/nix/narinfo.js';
import { DEFAULT_STORE_DIR, hashPartOf, storeDirOf } from '../../../lib/nix/store-path.js';
import type { ListedObject, WriteStore } from '../../../lib/object-store/object-store.js';
import { finishedName, isForeignTemporary } from '../../../lib/object-store/strange-files.js';
import { verifyPath } from '../../../lib/signing/signature.js';
import type { TrustPolicy } from '../../../lib/signing/trust.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import type { WorkerPool } from '../../../lib/workers/pool.js';
import { requireCacheInfo } from '../../binary-cache.js';
import { createSurvey, type Survey, type SurveyBuilder } from '../../gc/survey.js';
import { CACHE_INFO_KEY, collectedKindOf, isCarportKey, isKeyOfCache, logOwnerOf, narInfoKey } from '../../layout.js';
import { leavesOut } from '../../push/upstream-keys.js';
import type { Finding } from '../finding.js';
import { lookAtListing, readBelonging } from './belongings.js';
import { type CheckedNars, identityOf } from './checked.js';
import { lookIntoNar } from './contents.js';
import { lookAtCacheInfo, lookAtDocuments } from './documents.js';
import { factsOf, isSuspicious, judgeNar, judgeNarInfo, NO_FACTS, narKeyIn, readAnyNarInfo } from './narinfo.js';
import { findingsOfSurvey } from './survey.js';

/** Narinfos that are held until all of them are there, and that are read at a time. */
const WINDOW = 1024;
const AT_ONCE = 128;

/** NARs that are read at a time: each may come over the network. */
const NARS_AT_ONCE = 4;

/** Paths of a store directory that are named where it is another one than the cache's. */
const MOST_OF_OTHER_STORES = 1000;

/** What a look works with. */
export interface LookTools extends Work<ActivityEvent> {
  readonly objects: WriteStore;
  /** Nobody is trusted where no key is given: then signatures are not looked at. */
  readonly trust: TrustPolicy;
  readonly pool: WorkerPool;
  /** Reads all NARs, and not only those of which something speaks against them. */
  readonly contents: boolean;
  readonly checked: CheckedNars;
  /** Whether something is to be repaired; else nothing is written. */
  readonly mayWrite: boolean;
  readonly found: (finding: Finding) => void;
  /** Gives what else is there that no listing shows: files that are none, uploads. */
  readonly oddities: () => Promise<readonly Finding[]>;
}

/** What a cache looks like. */
export interface Look {
  readonly survey: Survey;
  readonly findings: readonly Finding[];
  /** Names of trusted keys that have signed a narinfo of it. */
  readonly provenKeys: ReadonlySet<string>;
  /** The directory that its paths are in, or most of them; what `nix-cache-info` should say. */
  readonly storeDir: string;
  /** Files in other places than NARs have that are called like some. */
  readonly strayNars: readonly string[];
}

/** Files in other places than NARs have of which one may be a NAR that is missing: so many are remembered. */
const MOST_STRAYS = 10_000;

/** What is not finished for so many milliseconds nobody finishes. */
const DAY = 24 * 60 * 60 * 1000;

/** A look that is under way. */
interface Looking {
  readonly tools: LookTools;
  readonly survey: SurveyBuilder;
  /** As `nix-cache-info` says it. */
  readonly storeDir: string | undefined;
  readonly note: (...findings: readonly Finding[]) => void;
  readonly provenKeys: Set<string>;
  /** Paths by their store directory: how many, and some of them. */
  readonly storeDirs: Map<string, { count: number; readonly paths: string[] }>;
  readonly seen: Seen;
  /** What pushes have left out, where they do. */
  readonly elsewhere: Set<string> | undefined;
}

/** What a listing has shown beside what the survey keeps. */
interface Seen {
  readonly logs: Map<string, number[]>;
  readonly nobodys: number[];
  readonly others: number[];
  readonly carport: Map<string, number>;
  readonly strayNars: string[];
}

/** Looks at all. What is found is told at once, and given. */
export async function lookAtCache(tools: LookTools): Promise<Look> {
  const { objects, signal, emit } = tools;
  const findings: Finding[] = [];
  const note = (...found: readonly Finding[]) => {
    findings.push(...found);
    for (const finding of found) tools.found(finding);
  };
  const { info, finding } = await lookAtCacheInfo(objects);
  // The clock of a directory is asked by writing to it.
  const asks = objects.traits.isRemote || (tools.mayWrite && finding === undefined);
  const time = asks ? (await objects.now()).getTime() : Date.now();
  const survey = createSurvey();
  const seen: Seen = {
    ...{ logs: new Map(), nobodys: [], others: [], carport: new Map(), strayNars: [] },
  };
  // First: what keeps a directory from being listed is told here.
  const odd = await tools.oddities();
  note(...odd);
  const listing = { signal, time, closed: closedBy(odd) };
  note(...(await list(objects, survey, seen, listing).catch(explainListing(objects.url))));
  survey.index();
  // A directory that has nothing of a cache is none, and is not made one.
  if (finding?.kind === 'cache-info-missing' && survey.isEmpty() && seen.carport.size === 0) {
    await requireCacheInfo(objects);
  }
  if (finding) note(finding);
  for (const number of seen.nobodys) survey.setUnknown(number);
  const looking: Looking = {
    ...{ tools, survey, note, seen, storeDir: info?.storeDir },
    ...{ provenKeys: new Set(), storeDirs: new Map() },
    elsewhere: (await leavesOut(objects).catch(ifUnreadable)) ? new Set() : undefined,
  };
  emit({ type: 'started', verb: 'check', unit: 'narinfos', items: survey.hashParts.length });
  for (let at = 0; at < survey.hashParts.length; at += WINDOW) {
    await lookAtWindow(looking, at, Math.min(at + WINDOW, survey.hashParts.length));
  }
  const storeDir = storeDirFor(looking);
  await lookAtBelongings(looking, storeDir);
  for (const [hashPart, logs] of seen.logs) for (const log of logs) survey.setStray(log, hashPart);
  const done = survey.finish({ time, storeDir, carportKeys: [...seen.carport.keys()] });
  await lookAtListings(looking, done);
  const hasPath = (hashPart: string) => done.narInfos.hashParts.find(hashPart) >= 0;
  const surroundings = { hasPath, trust: tools.trust, time, modified: seen.carport };
  note(...(await lookAtDocuments(objects, [...seen.carport.keys()], surroundings, signal)));
  note(...findingsOfSurvey(done, !findings.some(hidesNarInfos)));
  return { survey: done, findings, provenKeys: looking.provenKeys, storeDir, strayNars: seen.strayNars };
}

/** The store that a cache is for: what it says, unless all its paths say something else. Notes what does not fit. */
function storeDirFor({ storeDir: told, storeDirs, note }: Looking): string {
  const [most] = [...storeDirs].sort(([, a], [, b]) => b.count - a.count);
  const isRight = most === undefined || told === undefined || storeDirs.has(told);
  if (!isRight) {
    const message = `it is for \`${told}\`, and all its paths are in \`${most[0]}\``;
    note({ kind: 'cache-info-store-dir', key: CACHE_INFO_KEY, message });
  }
  const storeDir = (isRight ? told : undefined) ?? most?.[0] ?? DEFAULT_STORE_DIR;
  for (const [dir, { paths }] of storeDirs) {
    if (dir === storeDir) continue;
    for (const path of paths) {
      const message = `it is a path of another store than \`${storeDir}\``;
      note({ kind: 'narinfo-store-dir', key: narInfoKey(hashPartOf(path)), path, message });
    }
  }
  return storeDir;
}

/** What may be there of the paths of others is not known where that may not be read. */
function ifUnreadable(error: unknown): boolean {
  if (!isErrno(error, 'EACCES', 'EPERM', 'EIO')) throw error;
  return true;
}

/** Whether there may be more narinfos, or others, than could be read. */
export function hidesNarInfos({ kind, key }: Finding): boolean {
  return kind === 'unreadable' && !key.includes('/');
}

/** How a cache is listed. */
interface Listing {
  readonly signal: AbortSignal;
  readonly time: number;
  /** Whether a key lies in what should be a file: that is for somebody to look at. */
  readonly closed: (key: string) => boolean;
}

function closedBy(findings: readonly Finding[]): Listing['closed'] {
  const files = findings.filter(({ kind }) => kind === 'not-a-file').map(({ key }) => `${key}/`);
  return (key) => files.some((file) => key.startsWith(file));
}

/** Lists all; gives what is no part of a cache. */
async function list(
  objects: WriteStore,
  survey: SurveyBuilder,
  seen: Seen,
  { signal, time, closed }: Listing,
): Promise<readonly Finding[]> {
  const foreign: string[] = [];
  const strange: Finding[] = [];
  for await (const object of objects.list({ recursive: true, skipsUnreadable: true })) {
    signal.throwIfAborted();
    const { key } = object;
    if (closed(key)) continue;
    // Of a directory they are found otherwise, with what its listing does not show.
    if (isForeignTemporary(key) && isKeyOfCache(finishedName(key))) {
      if (objects.traits.isRemote && time - object.modified.getTime() > DAY)
        strange.push({ kind: 'temporary', key, message: 'a file that is not finished' });
    } else if (collectedKindOf(key) !== undefined) addCollected(survey, seen, object);
    else if (isCarportKey(key)) seen.carport.set(key, object.modified.getTime());
    else if (/^[^/]*\.(narinfo|ls)$/i.test(key)) {
      strange.push({ kind: 'foreign', key, message: 'no reader asks for a name like this: it is left alone' });
    } else if (!isKeyOfCache(key)) {
      foreign.push(key);
      if (/\.nar(\.[a-z0-9]+)?$/.test(key) && seen.strayNars.length < MOST_STRAYS) seen.strayNars.push(key);
    }
  }
  const [key] = foreign;
  if (key === undefined) return strange;
  const message = `${foreign.length === 1 ? 'it is' : `it and ${foreign.length - 1} more are`} no part of a cache: left alone`;
  return [...strange, { kind: 'foreign', key, message }];
}

/** A directory that this user may not read says nothing of the cache: nothing more is found, or removed. */
function explainListing(url: string): (error: unknown) => never {
  return (cause) => {
    if (!isErrno(cause, 'EACCES', 'EPERM', 'EIO')) throw cause;
    throw new CarportError('E_IO', `\`${url}\` cannot be listed, and so not be checked`, {
      cause,
      hint: 'run this as the user whose files they are, or let this one read them',
    });
  };
}

function addCollected(survey: SurveyBuilder, seen: Seen, { key, size, modified, md5 }: ListedObject): void {
  const of = collectedKindOf(key)!;
  const time = modified.getTime();
  if (of.kind === 'path') survey.addNarInfo(of.hashPart, size, time, md5);
  else if (of.kind === 'listing') survey.addListing(of.hashPart, size, time);
  else if (of.kind === 'contents') survey.addNar(key, size, time);
  else {
    const number = survey.addBelonging(key, size, time, of.kind === 'realisation');
    const owner = of.kind === 'build-log' ? logOwnerOf(key) : undefined;
    if (of.kind !== 'build-log') seen.others.push(number);
    else if (owner === undefined) seen.nobodys.push(number);
    else seen.logs.set(owner, [...(seen.logs.get(owner) ?? []), number]);
  }
}

async function lookAtWindow(looking: Looking, at: number, end: number): Promise<void> {
  const { tools, survey, note, seen } = looking;
  const { objects, signal, emit } = tools;
  const numbers = Array.from({ length: end - at }, (_, n) => at + n);
  const hashParts = numbers.map((number) => survey.hashParts.at(number));
  const read = await mapAtMost(AT_ONCE, hashParts, (hashPart) => readAnyNarInfo(objects, hashPart), signal);
  const infos: NarInfo[] = [];
  for (const [index, one] of read.entries()) {
    if (one.state === 'bad') note(one.finding);
    if (one.state === 'read') infos.push(one.info);
    const facts = one.state === 'read' ? factsOf(one.info) : undefined;
    survey.addFacts(one.state === 'bad' ? NO_FACTS : facts);
    if (facts === undefined || seen.logs.size === 0) continue;
    for (const owner of [hashParts[index]!, facts.deriver ?? '']) {
      for (const log of seen.logs.get(owner) ?? []) survey.own(log, at + index);
    }
  }
  const judged = await mapAtMost(AT_ONCE, infos, (info) => judge(looking, info), signal);
  note(...judged.flatMap(({ findings }) => findings));
  const toRead = judged.flatMap(({ info, isToRead }) => (isToRead ? [info] : []));
  await mapAtMost(NARS_AT_ONCE, toRead, (info) => lookInto(looking, info), signal);
  emit({ type: 'progress', items: end - at });
}

async function judge(looking: Looking, info: NarInfo) {
  const { tools, survey, storeDirs, provenKeys } = looking;
  const surroundings = {
    hasPath: (hashPart: string) => survey.hashParts.find(hashPart) >= 0,
    sizeOfNar: (key: string) => survey.listedNar(key)?.size,
    trust: tools.trust,
    elsewhere: looking.elsewhere,
  };
  const dir = storeDirs.get(storeDirOf(info.path)) ?? { count: 0, paths: [] };
  storeDirs.set(storeDirOf(info.path), dir);
  if (dir.count++ < MOST_OF_OTHER_STORES) dir.paths.push(info.path);
  if (tools.trust.keys.length > 0) {
    const verdict = verifyPath(info, tools.trust.keys);
    if (verdict.state === 'valid') provenKeys.add(verdict.keyName);
  }
  const findings = await judgeNarInfo(tools.objects, info, surroundings);
  const nar = await judgeNar(tools.objects, info, surroundings);
  const isToRead = nar === undefined && (tools.contents || isSuspicious(info));
  return { info, isToRead, findings: nar ? [...findings, nar] : findings };
}

async function lookInto({ tools, survey, note }: Looking, info: NarInfo): Promise<void> {
  const { objects, pool, checked, emit } = tools;
  const key = narKeyIn(info)!;
  const object = survey.listedNar(key) ?? { size: Number.NaN, modified: Number.NaN };
  const identity = identityOf(info, { key, ...object });
  if (checked.has(identity)) return;
  const hasListing = survey.hasListing(hashPartOf(info.path));
  const onProgress = (bytes: number) => emit({ type: 'progress', bytes });
  const findings = await lookIntoNar(objects, info, pool, { onProgress, hasListing });
  note(...findings);
  if (findings.length === 0) await checked.add(identity);
}

async function lookAtBelongings({ tools, survey, seen, note }: Looking, storeDir: string): Promise<void> {
  const { objects, signal } = tools;
  await mapAtMost(
    AT_ONCE,
    seen.others,
    async (number) => {
      const key = survey.belongings.at(number);
      const found = await readBelonging(objects, key, storeDir);
      if (found.kind === 'bad') {
        survey.setUnknown(number);
        note(found.finding);
      } else if (found.kind === 'contents') {
        survey.ownByNar(number, found.narKey);
        if (survey.listedNar(found.narKey) || (await objects.stat(found.narKey))) return;
        const message = `it is in the NAR \`${found.narKey}\`, which is not there`;
        note({ kind: 'debug-dangling', key, missing: found.narKey, message });
      } else if (found.kind === 'path') {
        const hashPart = hashPartOf(found.path);
        const narInfo = survey.hashParts.find(hashPart);
        if (narInfo >= 0) return survey.own(number, narInfo);
        survey.setStray(number, hashPart);
        if (await objects.stat(narInfoKey(hashPart))) return;
        const message = `it stands for \`${found.path}\`, which is not there`;
        note({ kind: 'realisation-dangling', key, missing: found.path, message });
      }
    },
    signal,
  );
}

/** One that was compared with its NAR need not be read again, but nobody knows that here: it is small. */
async function lookAtListings({ tools, note }: Looking, { listings, narInfos }: Survey): Promise<void> {
  const { objects, signal } = tools;
  for (let at = 0; at < listings.length; at += WINDOW) {
    const numbers = Array.from({ length: Math.min(WINDOW, listings.length - at) }, (_, n) => at + n);
    const found = await mapAtMost(
      AT_ONCE,
      numbers,
      async (number) => {
        const hashPart = listings.hashParts.at(number);
        const owner = narInfos.hashParts.find(hashPart);
        return owner < 0 ? undefined : lookAtListing(objects, hashPart, narInfos.narSize[owner]!);
      },
      signal,
    );
    note(...found.filter((finding) => finding !== undefined));
  }
}
