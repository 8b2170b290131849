import { listObjects, type ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { noRelease } from './candidate.js';
import { FRAGMENT_LIMITS, toReleaseTime, YANK, type Yank } from './documents.js';
import { FILES, FRAGMENTS, versionKey, YANKS } from './layout.js';
import { renderDocument } from './signed-document.js';
import { doubtAbout, readDocument } from './sources.js';
import { isVersion } from './version.js';

export interface YankRequest {
  readonly versions: readonly string[];
  readonly reason: string;
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
  readonly now: Date;
}

export interface YankedVersion extends Yank {
  /** False when it was yanked for this reason before. */
  readonly changed: boolean;
}

const METADATA = { contentType: 'application/json', cacheControl: 'no-cache' } as const;

/** Says of versions why they should not be used. All of them must be there, or nothing is written (`E_NOT_FOUND`). */
export async function yankReleases(objects: ObjectStore, request: YankRequest): Promise<readonly YankedVersion[]> {
  const { reason, keys, now } = request;
  checkReason(reason);
  const versions = checkVersions(request.versions);
  await Promise.all(versions.map((version) => requireRelease(objects, version)));
  const before = await Promise.all(versions.map((version) => believedYank(objects, version, request.policy)));
  const yanked: YankedVersion[] = [];
  for (const [index, version] of versions.entries()) {
    const known = before[index];
    const changed = known?.reason !== reason;
    const yank = changed ? { version, reason, time: toReleaseTime(now) } : known!;
    if (changed) await objects.put(versionKey(YANKS, version), Buffer.from(renderDocument(YANK, yank, keys)), METADATA);
    yanked.push({ ...yank, changed });
  }
  return yanked;
}

/** Takes that back, also what cannot be read or is not believed. Gives the versions that were yanked. */
export async function unyankReleases(objects: ObjectStore, given: readonly string[]): Promise<readonly string[]> {
  if (!objects.remove) {
    throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is a web server, where nothing can be removed`, {
      hint: "use the bucket's `s3://` or `file://` URL",
    });
  }
  const versions = checkVersions(given);
  const sizes = await Promise.all(versions.map((version) => objects.size(versionKey(YANKS, version))));
  const yanked = versions.filter((_, index) => sizes[index] !== undefined);
  const others = versions.filter((_, index) => sizes[index] === undefined);
  await Promise.all(others.map((version) => requireRelease(objects, version)));
  await objects.remove(yanked.map((version) => versionKey(YANKS, version)));
  return yanked;
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

async function believedYank(objects: ObjectStore, version: string, policy: TrustPolicy): Promise<Yank | undefined> {
  const document = await readDocument(objects, YANK, versionKey(YANKS, version)).catch((error) => {
    if (error instanceof CarportError && error.code === 'E_FORMAT') return undefined;
    throw error;
  });
  const isOurs = document?.value.version === version && doubtAbout(YANK, document, policy) === undefined;
  return isOurs ? document.value : undefined;
}
