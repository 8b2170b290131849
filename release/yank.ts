/** Says of releases that they should not be used. */

import { CarportError } from '../lib/errors.js';
import { putSigned, readTrusted } from '../lib/object-store/documents.js';
import { listObjects, type ObjectStore } from '../lib/object-store/object-store.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { type Doubt, isSigned } from './documents/doubt.js';
import { FRAGMENT_LIMITS, toReleaseTime, type Yank } from './documents/kinds.js';
import { YANK_PLACE } from './documents/places.js';
import { FILES, FRAGMENTS, versionKey, YANKS } from './layout.js';
import { refuseLosses } from './publish/lost-signatures.js';
import { noRelease } from './sources/candidate.js';
import { readLedger } from './sources/ledger.js';
import { believedOf } from './sources/missing-documents.js';
import { isVersion } from './version.js';

export interface UnyankRequest {
  readonly versions: readonly string[];
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
  readonly now: Date;
  /** Write over what others have signed. */
  readonly allowLost: boolean;
  /** Look, and write nothing. */
  readonly dryRun: boolean;
}

export interface YankRequest extends UnyankRequest {
  readonly reason: string;
}

export interface YankedVersion extends Yank {
  /** False when it was yanked for this reason before. */
  readonly changed: boolean;
}

/** Says of versions why they should not be used. All of them must be there, or nothing is written (`E_NOT_FOUND`). */
export async function yankReleases(objects: ObjectStore, request: YankRequest): Promise<readonly YankedVersion[]> {
  const { reason } = request;
  checkReason(reason);
  const versions = checkVersions(request.versions);
  await Promise.all(versions.map((version) => requireRelease(objects, version)));
  const yanked: YankedVersion[] = [];
  for (const { version, said, isDoubtful } of await readYanks(objects, versions, request)) {
    const changed = isDoubtful || said?.reason !== reason;
    const yank = changed ? await write(objects, request, { version, reason }, said) : said;
    yanked.push({ ...yank, changed });
  }
  return yanked;
}

/** Takes that back, also what cannot be read or is not believed. Gives the versions that were yanked. */
export async function unyankReleases(objects: ObjectStore, request: UnyankRequest): Promise<readonly string[]> {
  const versions = checkVersions(request.versions);
  const found = await readYanks(objects, versions, request);
  const yanked = found.filter(({ said, isDoubtful }) => isDoubtful || (said && said.reason !== null));
  const others = found.filter((each) => !each.said && !yanked.includes(each));
  await Promise.all(others.map(({ version }) => requireRelease(objects, version)));
  for (const { version, said } of yanked) await write(objects, request, { version, reason: null }, said);
  return yanked.map(({ version }) => version);
}

/** With a time that is not before what was `said`: the last word counts. */
async function write(
  objects: ObjectStore,
  { keys, now, dryRun }: UnyankRequest,
  saying: Pick<Yank, 'version' | 'reason'>,
  said: Yank | undefined,
): Promise<Yank> {
  const time = toReleaseTime(now);
  const yank = { ...saying, time: said && said.time > time ? said.time : time };
  if (!dryRun) await putSigned(objects, YANK_PLACE, yank, keys);
  return yank;
}

interface FoundYank {
  readonly version: string;
  /** What was said last by somebody who is believed. */
  readonly said: Yank | undefined;
  /** Something else is in its place. */
  readonly isDoubtful: boolean;
}

/** Also what has gone, and the ledger remembers. */
async function readYanks(
  objects: ObjectStore,
  versions: readonly string[],
  { policy, allowLost }: UnyankRequest,
): Promise<readonly FoundYank[]> {
  const { ledger } = await readLedger(objects, policy);
  const remembered = ledger ? believedOf(ledger, policy.keys).yanks : [];
  const keys = versions.map((version) => versionKey(YANKS, version));
  const stored = await Promise.all(keys.map((key) => readTrusted(objects, YANK_PLACE, key, policy)));
  const signed = stored.flatMap((found, index): readonly Doubt[] =>
    found.state === 'doubtful' && isSigned(found.doubt) ? [{ ...found.doubt, key: keys[index]! }] : [],
  );
  refuseLosses(objects.url, signed, { allowLost, goesOn: 'writes over them' });
  return versions.map((version, index) => {
    const found = stored[index]!;
    const isThere = found.state === 'trusted' ? found.value : undefined;
    const before = remembered.find(({ value }) => value.version === version)?.value;
    const said = before && before.time > (isThere?.time ?? '') ? before : isThere;
    return { version, said, isDoubtful: found.state === 'doubtful' || found.state === 'damaged' };
  });
}

function checkReason(reason: string): void {
  const { text: limit } = FRAGMENT_LIMITS;
  const hint = 'say it in one line, for those who use the release';
  if (reason.trim() === '') throw new CarportError('E_USAGE', 'the reason (`--reason`) is empty', { hint });
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(reason)) {
    throw new CarportError('E_USAGE', 'the reason (`--reason`) has line breaks or other control characters', { hint });
  }
  if (reason.length <= limit) return;
  throw new CarportError('E_USAGE', `the reason (\`--reason\`) has more than ${limit} characters`, { hint });
}

/** Each once. */
function checkVersions(versions: readonly string[]): readonly string[] {
  const wrong = versions.find((version) => !isVersion(version));
  if (wrong === undefined) return [...new Set(versions)];
  throw new CarportError('E_USAGE', `\`${wrong}\` cannot be the version of a release`, {
    hint: '`carport release ls` lists those that are there',
  });
}

async function requireRelease(objects: ObjectStore, version: string): Promise<void> {
  for (const directory of [FRAGMENTS, FILES]) {
    for await (const _ of listObjects(objects, { prefix: `${directory}${version}/`, recursive: true })) return;
  }
  throw noRelease(version);
}
