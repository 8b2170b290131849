/** Paths whose narinfos are gone while their NARs or listings are there: what a source knows of them is mended, not removed. */

import { mapAtMost } from '../../lib/concurrency.js';
import { isListable } from '../../lib/object-store/object-store.js';
import { hashPartOfKey, newNarKey } from '../layout.js';
import type { FindingKind } from './finding.js';
import type { Look } from './look/look.js';
import { narKeyIn, readAnyNarInfo } from './look/narinfo.js';
import { unnamedNars } from './look/survey.js';
import { FORMATS } from './mend-path.js';
import type { Target } from './mend-plan.js';
import type { MendSources } from './sources.js';

/** Narinfos that are read at a time. */
const AT_ONCE = 64;

/** Kinds that say that there was a path, if a source knows it. */
export const OF_ORPHAN: ReadonlySet<FindingKind> = new Set(['listing-orphaned', 'not-a-file']);

/** Adds paths that a source may have: those of listings, and those whose NARs a cache names that can be listed. */
export async function addOrphans(
  targets: Map<string, Target>,
  look: Look,
  { from, store }: MendSources,
  signal: AbortSignal,
): Promise<void> {
  if (from === undefined && store === undefined) return;
  const add = (hashPart: string, path: string | undefined, kind: FindingKind) => {
    if (!targets.has(hashPart)) targets.set(hashPart, { hashPart, path, kinds: new Set([kind]) });
  };
  for (const { kind, key } of look.findings) {
    const hashPart = kind === 'listing-orphaned' ? key.slice(0, 32) : hashPartOfKey(key);
    if (OF_ORPHAN.has(kind) && hashPart !== undefined) add(hashPart, undefined, kind);
  }
  const { nars, narInfos } = look.survey;
  const orphans = new Set(unnamedNars(look.survey).map((number) => nars.keys.at(number)));
  if (orphans.size === 0 || from === undefined || !isListable(from)) return;
  const unknown: string[] = [];
  for await (const { key } of from.list({})) {
    signal.throwIfAborted();
    const hashPart = hashPartOfKey(key);
    if (hashPart !== undefined && narInfos.hashParts.find(hashPart) < 0 && !targets.has(hashPart))
      unknown.push(hashPart);
  }
  await mapAtMost(
    AT_ONCE,
    unknown,
    async (hashPart) => {
      const read = await readAnyNarInfo(from, hashPart);
      if (read.state !== 'read') return;
      const { fileHash, compression, path } = read.info;
      const ending = FORMATS[compression as keyof typeof FORMATS] ?? '';
      const keys = [narKeyIn(read.info) ?? '', ...(fileHash ? [newNarKey(fileHash, ending)] : [])];
      if (keys.some((key) => orphans.has(key))) add(hashPart, path, 'listing-orphaned');
    },
    signal,
  );
}
