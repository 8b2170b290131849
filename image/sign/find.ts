/** Finds what trusted keys have signed about an image, wherever that lies. What is not theirs, or damaged, counts for nothing. */

import { CarportError, hasCode } from '../../lib/errors.js';
import { type Descriptor, parseManifest } from '../../lib/oci/documents.js';
import { OCI } from '../../lib/oci/media-types.js';
import type { Repository } from '../../lib/oci/registry/repository.js';
import { readSmall } from '../base.js';
import { cosignTag, layersAt, SIGNATURE_ANNOTATION } from './attach.js';
import type { ImagePublicKey } from './key.js';
import {
  BUNDLE_TYPE,
  ENVELOPE_TYPE,
  type Envelope,
  parseBundle,
  parseEnvelope,
  SIGNED,
  SIMPLE_TYPE,
  verifiedSimple,
  verifiedStatement,
} from './statement.js';

/** Something that a trusted key has signed about an image. */
export interface Signed {
  /** How it is written down: as a bundle, or at the tags of older versions of cosign. */
  readonly format: 'bundle' | 'simple';
  /** `SIGNED` for a signature, else what kind of attestation it is. */
  readonly predicateType: string;
  readonly predicate: unknown;
  /** The hint of the key. */
  readonly key: string;
}

export interface Found {
  readonly signed: readonly Signed[];
  /** How many there are that no trusted key has signed, or that are damaged. */
  readonly others: number;
}

/** Bytes of a signature or an attestation. */
const LIMIT = 4 * 1024 * 1024;

/** Signatures that are looked at; others may add as many as they like. */
const MOST = 200;

/** Looks at bundles that refer to the digest, and at cosign's tags of it. */
export async function findSigned(
  repository: Repository,
  digest: string,
  keys: readonly ImagePublicKey[],
): Promise<Found> {
  const signed: Signed[] = [];
  let others = 0;
  const add = (found: Signed | undefined) => {
    if (found) signed.push(found);
    else others++;
  };
  const read = async (blob: Descriptor, judge: (bytes: Uint8Array) => Signed | undefined) =>
    add(await judged(repository, blob, judge));
  const check = (envelope: Envelope, format: Signed['format']) => {
    const found = verifiedStatement(`what is about \`${digest}\``, envelope, digest, keys);
    return found && { format, predicateType: found.predicateType, predicate: found.predicate, key: found.key.hint };
  };
  for (const referrer of (await repository.referrers(digest, BUNDLE_TYPE)).slice(0, MOST)) {
    const layer = await unlessDamaged(() => bundleOf(repository, referrer, digest));
    if (layer === undefined) others++;
    else await read(layer, (bytes) => check(parseBundle('the bundle', bytes), 'bundle'));
  }
  const layersOf = async (kind: 'sig' | 'att') => {
    const layers = await unlessDamaged(() => layersAt(repository, cosignTag(digest, kind)));
    if (layers === undefined) others++;
    return layers ?? [];
  };
  for (const layer of await layersOf('sig')) {
    const signature = layer.annotations?.[SIGNATURE_ANNOTATION] ?? '';
    if (layer.mediaType !== SIMPLE_TYPE) continue;
    await read(layer, (bytes) => {
      const key = verifiedSimple('the signature', bytes, signature, digest, keys);
      return key && { format: 'simple', predicateType: SIGNED, predicate: {}, key: key.hint };
    });
  }
  for (const layer of await layersOf('att')) {
    if (layer.mediaType === ENVELOPE_TYPE)
      await read(layer, (bytes) => check(parseEnvelope('the envelope', bytes), 'simple'));
  }
  return { signed, others };
}

/** The layer that is a bundle, of an artifact about the image. */
async function bundleOf(repository: Repository, referrer: Descriptor, digest: string): Promise<Descriptor | undefined> {
  const found = await repository.manifest(referrer.digest);
  if (found?.descriptor.mediaType !== OCI.manifest) return undefined;
  const { layers, subject } = parseManifest(`\`${referrer.digest}\``, found.bytes);
  return subject?.digest === digest ? layers.find(({ mediaType }) => mediaType === BUNDLE_TYPE) : undefined;
}

function judged(
  repository: Repository,
  blob: Descriptor,
  judge: (bytes: Uint8Array) => Signed | undefined,
): Promise<Signed | undefined> {
  return unlessDamaged(async () => judge(await readSmall(repository, blob, LIMIT)));
}

/** Whoever may write there may put what is none. */
async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (hasCode(error, 'E_FORMAT', 'E_UNSUPPORTED', 'E_NOT_FOUND', 'E_INTEGRITY')) return undefined;
    throw error;
  }
}

/** The error of an image that no trusted key has signed, or about which none has said what is asked for. */
export function notSigned(name: string, { others }: Found, what: string): CarportError {
  const message =
    others === 0
      ? `${name} has no ${what}`
      : `${name} has no ${what} by a key that is trusted: ${others} are by others`;
  return new CarportError('E_SIGNATURE', message, { hint: '`carport image sign` makes one; check the key' });
}
