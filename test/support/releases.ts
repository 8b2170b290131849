import { createHash } from 'node:crypto';
import type * as v from 'valibot';
import { makeIndex } from '#index-generator/index-files.js';
import { openFileStore } from '#lib/object-store/file.js';
import { listObjects, type ObjectStore } from '#lib/object-store/object-store.js';
import type { DocumentKind, DocumentOf } from '#lib/signing/document.js';
import type { SecretKey } from '#lib/signing/key.js';
import type { TrustPolicy } from '#lib/signing/trust.js';
import { FRAGMENT, type Fragment } from '#release/documents/kinds.js';
import { fileKey, fragmentKey } from '#release/layout.js';
import type { PutWork } from '#release/put/request.js';
import { readSources } from '#release/sources/sources.js';
import { renderSigned } from './documents.js';

/** One target of a release for tests. */
export interface TestRelease {
  readonly version: string;
  readonly target?: string;
  /** Contents by name. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly commit?: string | null;
  readonly time?: string;
  /** Unless it is the same as the time. */
  readonly changed?: string;
  readonly promotion?: Fragment['promotion'];
  /** Without one the fragment is not signed. */
  readonly keys?: readonly SecretKey[];
}

/** For puts beside which nobody else writes: nothing has to settle. */
export const PUT_WORK: PutWork = {
  emit: () => undefined,
  signal: new AbortController().signal,
  pause: async () => undefined,
};

export const TEST_TARGET = 'x86_64-unknown-linux-musl';

/** Puts a target of a release into a store, or a directory, as `release put` does. Gives its fragment. */
export async function putRelease(place: ObjectStore | string, release: TestRelease): Promise<Fragment> {
  const objects = typeof place === 'string' ? openFileStore(place) : place;
  const { version, target = TEST_TARGET, keys = [] } = release;
  const files = Object.entries(release.files ?? { garage: `garage ${version} for ${target}` }).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  for (const [name, content] of files) {
    const metadata = {
      ...{ contentType: 'application/octet-stream', cacheControl: 'public, max-age=86400' },
      contentDisposition: `attachment; filename="${name}"`,
    };
    await objects.put(fileKey(version, target, name), Buffer.from(content), metadata);
  }
  const { time = '2026-11-01T12:00:00Z', changed = time } = release;
  const fragment: Fragment = {
    ...{ version, target, commit: release.commit ?? null, time, changed },
    ci: { system: 'none', event: null, runUrl: null },
    files: files.map(([name, content]) => ({ name, ...digestOf(Buffer.from(content)), storePath: null })),
    promotion: release.promotion ?? null,
  };
  await putDocument(objects, FRAGMENT, fragmentKey(version, target), fragment, keys);
  return fragment;
}

/** Puts a document where it belongs, or where it does not. */
export async function putDocument<Entries extends v.ObjectEntries>(
  place: ObjectStore | string,
  kind: DocumentKind<Entries>,
  key: string,
  value: DocumentOf<DocumentKind<Entries>>,
  keys: readonly SecretKey[] = [],
): Promise<void> {
  const objects = typeof place === 'string' ? openFileStore(place) : place;
  await objects.put(key, Buffer.from(renderSigned(kind, value, keys)), { contentType: 'application/json' });
}

/** The version that an index of this place would call the latest stable one; its files must all be there. */
export async function latestStable(place: ObjectStore | string, policy: TrustPolicy): Promise<string | undefined> {
  const objects = typeof place === 'string' ? openFileStore(place) : place;
  const { entries } = makeIndex(await readSources(objects, policy), {});
  let latest: string | undefined;
  for (const entry of entries) {
    if ('source' in entry && (await objects.stat(entry.source)) === undefined) throw new Error(`no ${entry.source}`);
    if ('content' in entry && entry.key === 'releases/latest/stable.json') {
      latest = (JSON.parse(entry.content) as { release: { version: string } }).release.version;
    }
  }
  return latest;
}

/** SHA-256 of all that is in a store, by key. */
export async function hashesIn(place: ObjectStore | string): Promise<ReadonlyMap<string, string>> {
  const objects = typeof place === 'string' ? openFileStore(place) : place;
  const found = new Map<string, string>();
  for await (const { key } of listObjects(objects, { recursive: true })) {
    const hash = createHash('sha256');
    const object = await objects.open(key);
    if (!object) continue;
    for await (const piece of object.bytes()) hash.update(piece);
    found.set(key, hash.digest('hex'));
  }
  return found;
}

function digestOf(content: Uint8Array): { readonly size: number; readonly sha256: string } {
  return { size: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}
