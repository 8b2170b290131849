/** The files of a release that is published on a forge: those of the bucket, or files of this machine. */

import { basename } from 'node:path';
import { CarportError } from '../../../lib/errors.js';
import { restartable } from '../../../lib/http/body.js';
import type { ObjectStore } from '../../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../../lib/signing/trust.js';
import { withoutMetadata } from '../../../release/catalog/wheel-metadata.js';
import { assetNames } from '../../../release/forge/names.js';
import { checkedContent, type WantedAsset } from '../../../release/forge/wanted.js';
import { readLocalFile } from '../../../release/put/local-file.js';
import { candidateOf, commitOf, filesOf, yankOf } from '../../../release/sources/candidate.js';
import type { ReleaseSources } from '../../../release/sources/sources.js';
import { readSources } from '../../../release/sources/sources.js';
import { findLocalFiles } from '../local-files.js';

/** What is to be published, and what is known of it. */
export interface FoundFiles {
  readonly assets: readonly WantedAsset[];
  readonly commit: string | undefined;
  readonly notes: string | undefined;
  readonly targets: readonly string[];
  /** When something was last said of it. */
  readonly time: string | undefined;
  readonly project: ReleaseSources['project'];
}

/** The files of a signed release. Throws where not all of it is signed, or it is yanked. */
export async function filesOfBucket(
  objects: ObjectStore,
  policy: TrustPolicy,
  { version, pattern }: { readonly version: string; readonly pattern: string | undefined },
): Promise<FoundFiles> {
  const sources = await readSources(objects, policy, version, { withLedger: true });
  const candidate = candidateOf(version, sources);
  const yank = yankOf(candidate);
  if (yank !== undefined) throw new CarportError('E_GATE', yank, { hint: 'take another release' });
  const { fragments } = candidate;
  const named = assetNames(withoutMetadata(filesOf(version, fragments)), version, pattern);
  const assets = [...named].map(([name, { key, size, sha256 }]) =>
    checkedContent({ name, size, sha256 }, () => readObject(objects, key), `\`${key}\` in \`${objects.url}\``),
  );
  return {
    ...{ assets, commit: commitOf(candidate), project: sources.project },
    notes: fragments.find(({ notes }) => notes !== undefined)?.notes,
    targets: fragments.map(({ target }) => target),
    time: fragments
      .map(({ changed }) => changed)
      .toSorted()
      .at(-1),
  };
}

async function* readObject(objects: ObjectStore, key: string): AsyncGenerator<Uint8Array> {
  const object = await objects.open(key);
  if (object) {
    yield* object.bytes();
    return;
  }
  throw new CarportError('E_NOT_FOUND', `\`${objects.url}\` has no \`${key}\` any more`, {
    hint: 'publish the release there again',
  });
}

/** Files of this machine, each read once for its hash, and again when it is sent. */
export async function filesOfPaths(words: readonly string[]): Promise<readonly WantedAsset[]> {
  const assets = new Map<string, WantedAsset>();
  for (const path of await findLocalFiles(words)) {
    const name = basename(path);
    if (assets.has(name)) {
      throw new CarportError('E_USAGE', `two files are called \`${name}\``, { hint: 'give one of them another name' });
    }
    const digest = await readLocalFile(path);
    const body = restartable({ path, size: digest.size });
    const read = () => ('open' in body ? body.open() : one(body));
    assets.set(name, checkedContent({ name, ...digest }, read, `\`${path}\``));
  }
  return [...assets.values()];
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
