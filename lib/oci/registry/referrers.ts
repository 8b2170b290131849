/**
 * What is about an image: signatures, attestations. A registry lists it by the image's digest; where it does not, an index with a
 * tag of that digest does, which whoever adds something writes anew. Source: OCI's distribution-spec 1.1, "Referrers Tag Schema".
 */

import { CarportError } from '../../errors.js';
import type { HttpResponse } from '../../http/transport.js';
import {
  type Descriptor,
  describe,
  parseIndex,
  parseManifest,
  type RawManifest,
  renderDocument,
} from '../documents.js';
import { OCI } from '../media-types.js';
import type { ImageStore } from '../store.js';
import type { Connection } from './connection.js';
import type { PutReferrer } from './writer.js';

export interface Referrers {
  /** What is about the manifest of a digest, of one type or of all. */
  referrers(digest: string, artifactType?: string): Promise<readonly Descriptor[]>;
  /** Sends a manifest with a `subject`, and has it listed. Its blobs are there. */
  putReferrer(manifest: RawManifest): Promise<void>;
}

interface Api {
  /** The answer of the registry; nothing where it has no such list. */
  referrers(digest: string, artifactType?: string): Promise<HttpResponse | undefined>;
  read(response: HttpResponse): Promise<Uint8Array>;
  readonly manifest: ImageStore['manifest'];
  readonly putManifest: ImageStore['putManifest'];
  readonly putReferrer: PutReferrer;
  /** For messages. */
  readonly what: string;
}

/** Two who write the list at the same time do it again. */
const TRIES = 5;

const MOST = 10_000;

export function createReferrers(api: Api): Referrers {
  return {
    async referrers(digest, artifactType) {
      const response = await api.referrers(digest, artifactType);
      const bytes = response && (await api.read(response));
      const found = bytes ? listed(api.what, bytes) : await taggedOf(api, digest);
      return found.filter((each) => artifactType === undefined || each.artifactType === artifactType);
    },
    async putReferrer(manifest) {
      const isListed = await api.putReferrer(manifest);
      if (!isListed) await addToTag(api, manifest);
    },
  };
}

export function referrersUrl({ urlOf }: Connection, digest: string, artifactType: string | undefined): URL {
  const url = urlOf(`referrers/${digest}`);
  if (artifactType !== undefined) url.searchParams.set('artifactType', artifactType);
  return url;
}

/** The tag of the index that lists what is about a digest. */
function referrersTag(digest: string): string {
  return digest.replace(':', '-');
}

function listed(what: string, bytes: Uint8Array): readonly Descriptor[] {
  const { manifests } = parseIndex(`the referrers in ${what}`, bytes);
  if (manifests.length <= MOST) return manifests;
  throw new CarportError('E_UNSUPPORTED', `${manifests.length} are about one image in ${what}`, {
    hint: `at most ${MOST} are read`,
  });
}

async function taggedOf({ manifest, what }: Api, digest: string): Promise<readonly Descriptor[]> {
  const index = await manifest(referrersTag(digest));
  // A tag may be called so and be something else.
  return index?.descriptor.mediaType === OCI.index ? listed(what, index.bytes) : [];
}

async function addToTag(api: Api, { descriptor, bytes }: RawManifest): Promise<void> {
  const { subject, artifactType, config, annotations } = parseManifest('the referrer', bytes);
  const { mediaType, digest, size } = descriptor;
  const own: Descriptor = {
    ...{ mediaType, digest, size, artifactType: artifactType ?? config.mediaType },
    ...(annotations && { annotations }),
  };
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const before = await taggedOf(api, subject!.digest);
    if (before.some((each) => each.digest === digest)) return;
    const manifests = [...before, own].sort((a, b) => (a.digest < b.digest ? -1 : 1));
    const index = renderDocument({ schemaVersion: 2, mediaType: OCI.index, manifests });
    await api.putManifest(describe(OCI.index, index), referrersTag(subject!.digest));
  }
  // The last of the tries is looked at, too.
  if ((await taggedOf(api, subject!.digest)).some((each) => each.digest === digest)) return;
  throw new CarportError('E_UNAVAILABLE', `others keep writing what is about \`${subject!.digest}\` in ${api.what}`, {
    hint: 'run it again',
  });
}
