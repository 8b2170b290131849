/**
 * What is signed about an image, and the envelope that it is signed in. Sources: in-toto's Statement v1, DSSE 1.0, sigstore's
 * bundle v0.3, cosign's specification of signatures.
 */

import { sign, verify } from 'node:crypto';
import * as v from 'valibot';
import { formatError } from '../../lib/errors.js';
import type { ImageKey, ImagePublicKey } from './key.js';

export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const ENVELOPE_TYPE = 'application/vnd.dsse.envelope.v1+json';
export const SIMPLE_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** What a statement says that only says: this image. */
export const SIGNED = 'https://sigstore.dev/cosign/sign/v1';

const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
const STATEMENT = 'https://in-toto.io/Statement/v1';
/** Older tools write these, and mean the same. */
const STATEMENTS = [STATEMENT, 'https://in-toto.io/Statement/v0.1'];

/** A statement about an image: its digest, and what is said of it. */
export interface Statement {
  /** Hexadecimal digits of the sha256 of its manifest. */
  readonly sha256: string;
  /** The repository, where it is said. */
  readonly name?: string | undefined;
  readonly predicateType: string;
  readonly predicate: unknown;
}

export interface Envelope {
  /** Base 64. */
  readonly payload: string;
  readonly payloadType: string;
  readonly signatures: readonly { readonly sig: string }[];
}

const envelope = v.object({
  payload: v.string(),
  payloadType: v.string(),
  signatures: v.pipe(v.array(v.object({ sig: v.string() })), v.minLength(1), v.maxLength(100)),
});
const bundle = v.object({ mediaType: v.string(), dsseEnvelope: envelope });
const statement = v.object({
  _type: v.picklist(STATEMENTS),
  subject: v.array(v.object({ digest: v.record(v.string(), v.string()) })),
  predicateType: v.string(),
  predicate: v.optional(v.unknown()),
});
const simple = v.object({
  critical: v.object({ image: v.object({ 'docker-manifest-digest': v.string() }), type: v.string() }),
});

/** Signs a statement. */
export function signStatement({ sha256, name, predicateType, predicate }: Statement, key: ImageKey): Envelope {
  const subject = [{ ...(name !== undefined && { name }), digest: { sha256 } }];
  const payload = Buffer.from(JSON.stringify({ _type: STATEMENT, subject, predicateType, predicate }));
  const sig = sign('sha256', preAuthentication(PAYLOAD_TYPE, payload), key.privateKey).toString('base64');
  return { payload: payload.toString('base64'), payloadType: PAYLOAD_TYPE, signatures: [{ sig }] };
}

/** A bundle, as sigstore's clients read them. */
export function renderBundle({ payload, payloadType, signatures }: Envelope, { publicKey }: ImageKey): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      mediaType: BUNDLE_TYPE,
      verificationMaterial: { publicKey: { hint: publicKey.hint } },
      dsseEnvelope: { payload, payloadType, signatures },
    }),
  );
}

/** The envelope in a bundle. Throws `E_FORMAT`. */
export function parseBundle(what: string, bytes: Uint8Array): Envelope {
  return parse(what, bytes, bundle).dsseEnvelope;
}

export function parseEnvelope(what: string, bytes: Uint8Array): Envelope {
  return parse(what, bytes, envelope);
}

/** The statement of an envelope that one of the keys has signed about this digest; nothing where none has. */
export function verifiedStatement(
  what: string,
  { payload, payloadType, signatures }: Envelope,
  digest: string,
  keys: readonly ImagePublicKey[],
): { readonly predicateType: string; readonly predicate: unknown; readonly key: ImagePublicKey } | undefined {
  if (payloadType !== PAYLOAD_TYPE) return undefined;
  const bytes = Buffer.from(payload, 'base64');
  const signed = preAuthentication(payloadType, bytes);
  const key = keys.find((each) => signatures.some(({ sig }) => isSignature(each, signed, sig)));
  if (key === undefined) return undefined;
  const { subject, predicateType, predicate } = parse(what, bytes, statement);
  const isAbout = subject.some((each) => `sha256:${each.digest.sha256}` === digest);
  return isAbout ? { predicateType, predicate, key } : undefined;
}

/** What cosign has signed since its first version: the digest and the name of an image. */
export function renderSimple(digest: string, repository: string): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': repository },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
}

export function signBytes(bytes: Uint8Array, { privateKey }: ImageKey): string {
  return sign('sha256', bytes, privateKey).toString('base64');
}

/** Whose signature of such a payload it is, about this digest; nothing where it is none of these keys'. */
export function verifiedSimple(
  what: string,
  bytes: Uint8Array,
  signature: string,
  digest: string,
  keys: readonly ImagePublicKey[],
): ImagePublicKey | undefined {
  const key = keys.find((each) => isSignature(each, bytes, signature));
  if (key === undefined) return undefined;
  const { critical } = parse(what, bytes, simple);
  const isAbout =
    critical.image['docker-manifest-digest'] === digest && critical.type === 'cosign container image signature';
  return isAbout ? key : undefined;
}

function isSignature({ key }: ImagePublicKey, bytes: Uint8Array, signature: string): boolean {
  return verify('sha256', bytes, key, Buffer.from(signature, 'base64'));
}

/** What is signed of a payload: its type is, too (DSSE's PAE). */
function preAuthentication(type: string, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

function parse<S extends v.GenericSchema>(what: string, bytes: Uint8Array, schema: S): v.InferOutput<S> {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw formatError(what, 'is not JSON', { cause });
  }
  const parsed = v.safeParse(schema, json, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw formatError(what, `\`${(v.getDotPath(parsed.issues[0]) ?? 'it').slice(0, 60)}\` is not as it should be`);
}
