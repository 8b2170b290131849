/**
 * Puts what is signed about an image beside it in its repository: as a bundle that refers to it, and where older versions of
 * cosign look, at tags of its digest.
 */

import { CarportError } from '../../lib/errors.js';
import { type Descriptor, describe, parseManifest, renderDocument } from '../../lib/oci/documents.js';
import { isIndexType, OCI } from '../../lib/oci/media-types.js';
import type { Repository } from '../../lib/oci/registry/repository.js';
import { BUNDLE_TYPE } from './statement.js';

export const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature';

const EMPTY = Buffer.from('{}');

/** Signatures of one image; more is nobody's. */
const MOST = 100;

/** As often as a list of referrers is written. */
const TRIES = 5;

/** The tag at which cosign looks for signatures (`sig`) and attestations (`att`). */
export function cosignTag(digest: string, kind: 'sig' | 'att'): string {
  return `${digest.replace(':', '-')}.${kind}`;
}

/** Sends a bundle, as an artifact about the image. */
export async function attachBundle(
  repository: Repository,
  { mediaType, digest, size }: Descriptor,
  bundle: Uint8Array,
  predicateType: string,
): Promise<string> {
  const config = describe(OCI.empty, EMPTY).descriptor;
  const layer = describe(BUNDLE_TYPE, bundle).descriptor;
  await putOnce(repository, config, EMPTY);
  await putOnce(repository, layer, bundle);
  const manifest = describe(
    OCI.manifest,
    renderDocument({
      ...{ schemaVersion: 2, mediaType: OCI.manifest, artifactType: BUNDLE_TYPE },
      ...{ config, layers: [layer], subject: { mediaType, digest, size } },
      annotations: {
        'dev.sigstore.bundle.content': 'dsse-envelope',
        'dev.sigstore.bundle.predicateType': predicateType,
      },
    }),
  );
  await repository.putReferrer(manifest);
  return manifest.descriptor.digest;
}

/** Adds a layer to the image at a tag of cosign's, and looks whether it is there: others may write that tag at the same time. */
export async function attachLayer(
  repository: Repository,
  tag: string,
  bytes: Uint8Array,
  { mediaType, annotations }: Pick<Descriptor, 'mediaType' | 'annotations'>,
): Promise<void> {
  const layer: Descriptor = { ...describe(mediaType, bytes).descriptor, annotations };
  await putOnce(repository, layer, bytes);
  for (let attempt = 0; ; attempt++) {
    const before = await layersAt(repository, tag);
    if (before.some((each) => isSame(each, layer))) return;
    if (attempt === TRIES) break;
    await putLayers(repository, tag, [...before, layer]);
  }
  throw new CarportError('E_UNAVAILABLE', `others keep writing \`${tag}\` of ${repository.description}`, {
    hint: 'run it again',
  });
}

/** Signatures of one image by several keys are of the same bytes. */
function isSame(a: Descriptor, b: Descriptor): boolean {
  return a.digest === b.digest && a.annotations?.[SIGNATURE_ANNOTATION] === b.annotations?.[SIGNATURE_ANNOTATION];
}

async function putLayers(repository: Repository, tag: string, layers: readonly Descriptor[]): Promise<void> {
  if (layers.length > MOST) {
    throw new CarportError('E_UNSUPPORTED', `\`${tag}\` of ${repository.description} has ${layers.length} signatures`, {
      hint: `at most ${MOST} are kept: remove the tag, and sign again`,
    });
  }
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const config = renderDocument({ architecture: '', os: '', config: {}, rootfs, history: layers.map(() => ({})) });
  const described = describe(OCI.config, config).descriptor;
  await putOnce(repository, described, config);
  const manifest = describe(
    OCI.manifest,
    renderDocument({ schemaVersion: 2, mediaType: OCI.manifest, config: described, layers }),
  );
  await repository.putManifest(manifest, tag);
}

/** The layers of the image at a tag; none where there is no such. Throws where it is no image: it is not to be written over. */
export async function layersAt(repository: Repository, tag: string): Promise<readonly Descriptor[]> {
  const there = await repository.manifest(tag);
  if (there === undefined) return [];
  const what = `\`${tag}\` of ${repository.description}`;
  if (isIndexType(there.descriptor.mediaType)) {
    throw new CarportError('E_UNSUPPORTED', `${what} is an index, and signatures are layers of an image`, {
      hint: 'cosign writes none: look who did, and remove the tag',
    });
  }
  return parseManifest(what, there.bytes).layers.slice(0, MOST);
}

async function putOnce(repository: Repository, blob: Descriptor, bytes: Uint8Array): Promise<void> {
  if (!(await repository.hasBlob(blob))) await repository.putBlob(blob, bytes);
}
