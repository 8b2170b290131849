/** Signs an image of a registry, and says things about it. What a key has signed already is not signed again. */

import type { Descriptor } from '../../lib/oci/documents.js';
import type { Repository } from '../../lib/oci/registry/repository.js';
import { attachBundle, attachLayer, cosignTag, SIGNATURE_ANNOTATION } from './attach.js';
import { findSigned, type Signed } from './find.js';
import type { ImageKey } from './key.js';
import {
  ENVELOPE_TYPE,
  renderBundle,
  renderSimple,
  SIGNED,
  SIMPLE_TYPE,
  signBytes,
  signStatement,
} from './statement.js';

/** Something that is to be said of an image; for a signature `SIGNED` and nothing. */
export interface Claim {
  readonly predicateType: string;
  readonly predicate: unknown;
}

export const SIGNATURE: Claim = { predicateType: SIGNED, predicate: {} };

export interface SignRequest {
  readonly key: ImageKey;
  readonly formats: readonly Signed['format'][];
  /** Repository as others know it: `ghcr.io/owner/app`. */
  readonly name: string;
  readonly claims: readonly Claim[];
  /** Only say what would be done. */
  readonly dryRun: boolean;
}

/** What has become of a claim. */
export interface Made {
  readonly digest: string;
  readonly format: Signed['format'];
  readonly predicateType: string;
  readonly state: 'made' | 'there' | 'planned';
}

/** Signs one manifest. */
export async function signImage(
  repository: Repository,
  image: Descriptor,
  { key, formats, name, claims, dryRun }: SignRequest,
): Promise<readonly Made[]> {
  const { digest } = image;
  const { signed } = await findSigned(repository, digest, [key.publicKey]);
  const made: Made[] = [];
  for (const claim of claims) {
    for (const format of formats) {
      const isThere = signed.some((each) => each.format === format && isSame(each, claim));
      if (!isThere && !dryRun) await attach(repository, image, claim, { key, name, format });
      const state = isThere ? 'there' : dryRun ? 'planned' : 'made';
      made.push({ digest, format, predicateType: claim.predicateType, state });
    }
  }
  return made;
}

function isSame(signed: Signed, { predicateType, predicate }: Claim): boolean {
  if (signed.predicateType !== predicateType) return false;
  return predicateType === SIGNED || JSON.stringify(signed.predicate) === JSON.stringify(predicate);
}

interface How {
  readonly key: ImageKey;
  readonly name: string;
  readonly format: Signed['format'];
}

async function attach(
  repository: Repository,
  image: Descriptor,
  { predicateType, predicate }: Claim,
  { key, name, format }: How,
): Promise<void> {
  const { digest } = image;
  if (format === 'simple' && predicateType === SIGNED) {
    const payload = renderSimple(digest, name);
    const annotations = { [SIGNATURE_ANNOTATION]: signBytes(payload, key) };
    await attachLayer(repository, cosignTag(digest, 'sig'), payload, { mediaType: SIMPLE_TYPE, annotations });
    return;
  }
  const statement = { sha256: digest.slice('sha256:'.length), name, predicateType, predicate };
  const envelope = signStatement(statement, key);
  if (format === 'bundle') {
    await attachBundle(repository, image, renderBundle(envelope, key), predicateType);
    return;
  }
  const annotations = { [SIGNATURE_ANNOTATION]: '', predicateType };
  const bytes = Buffer.from(JSON.stringify(envelope));
  await attachLayer(repository, cosignTag(digest, 'att'), bytes, { mediaType: ENVELOPE_TYPE, annotations });
}
