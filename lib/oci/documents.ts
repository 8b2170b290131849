/** The documents of images: descriptors, manifests, indexes, configs. What is read is anybody's; what is written is always the same bytes. */

import { hash } from 'node:crypto';
import * as v from 'valibot';
import { CarportError, formatError } from '../errors.js';
import { isIndexType, isManifestType, OCI } from './media-types.js';
import type { Platform } from './platform.js';

/** Bytes of a manifest or index that are read; registries take 4 MiB. */
export const MANIFEST_LIMIT = 4 * 1024 * 1024;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

const annotations = v.optional(v.record(v.string(), v.string()));
const size = v.pipe(v.number(), v.integer(), v.minValue(0));
const platform = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
});
const descriptor = v.object({
  mediaType: v.string(),
  digest: v.pipe(v.string(), v.regex(DIGEST, 'is no sha256 digest')),
  size,
  platform: v.optional(platform),
  artifactType: v.optional(v.string()),
  annotations,
});
const manifest = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  config: descriptor,
  layers: v.array(descriptor),
  subject: v.optional(descriptor),
  annotations,
});
const index = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  manifests: v.array(descriptor),
  subject: v.optional(descriptor),
  annotations,
});
const config = v.looseObject({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
  created: v.optional(v.string()),
  config: v.nullish(v.looseObject({})),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.array(v.pipe(v.string(), v.regex(DIGEST))) }),
  history: v.nullish(v.array(v.looseObject({}))),
});

/** Names bytes by their sha256. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and hexadecimal digits. */
  readonly digest: string;
  readonly size: number;
  readonly platform?: Platform | undefined;
  readonly artifactType?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** An image of one platform, or an artifact about one. */
export type Manifest = v.InferOutput<typeof manifest>;
/** Images of several platforms under one name. */
export type ImageIndex = v.InferOutput<typeof index>;
/** What runs, and of which layers the root is made. */
export type ImageConfig = v.InferOutput<typeof config>;

/** A manifest or an index as it is stored: its bytes are what its digest is of. */
export interface RawManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

/** A document as bytes: fields in the order in which they are given, without spaces. */
export function renderDocument(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** Bytes, and what names them. */
export function describe(mediaType: string, bytes: Uint8Array): RawManifest {
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

export function parseManifest(what: string, bytes: Uint8Array): Manifest {
  return parse(what, bytes, manifest);
}

export function parseIndex(what: string, bytes: Uint8Array): ImageIndex {
  return parse(what, bytes, index);
}

export function parseConfig(what: string, bytes: Uint8Array): ImageConfig {
  return parse(what, bytes, config);
}

/**
 * What a document says that it is, else what it looks like. Throws `E_FORMAT` where it is none, and where it says another thing
 * than `told`, whoever told that: a manifest that is taken for an index is another image.
 */
export function manifestTypeOf(what: string, bytes: Uint8Array, told?: string): string {
  const {
    mediaType,
    manifests,
    config: has,
  } = parse(what, bytes, v.looseObject({ mediaType: v.optional(v.string()) }));
  const found = mediaType ?? (told && isManifestType(told) ? told : undefined);
  const isIndex = Array.isArray(manifests);
  if (isIndex && has !== undefined) throw formatError(what, 'is a manifest and an index at the same time');
  const type = found ?? (isIndex ? OCI.index : OCI.manifest);
  if (!isManifestType(type)) {
    throw new CarportError(
      'E_UNSUPPORTED',
      `${what} is of the type \`${type.slice(0, 100)}\`, which is none of an image`,
      {
        hint: 'images of docker before version 2 of its schema are not read',
      },
    );
  }
  if (isIndexType(type) !== isIndex) throw formatError(what, 'is of another type than it says');
  if (told !== undefined && isManifestType(told) && told !== type)
    throw formatError(what, 'is of another type than was told');
  return type;
}

/** Throws `E_INTEGRITY` unless bytes are those that a descriptor names. */
export function checkBytes(what: string, bytes: Uint8Array, { digest, size: expected }: Descriptor): void {
  if (bytes.length === expected && digestOf(bytes) === digest) return;
  throw new CarportError('E_INTEGRITY', `${what} is not what its digest says: \`${digest}\``, {
    hint: 'what stores it has damaged it, or gives out something else',
  });
}

function parse<Schema extends v.GenericSchema>(what: string, bytes: Uint8Array, schema: Schema): v.InferOutput<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw formatError(what, 'is not JSON', { cause });
  }
  const parsed = v.safeParse(schema, json, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw formatError(
    what,
    `\`${(v.getDotPath(issue) ?? 'it').slice(0, 60)}\`: ${issue.message.replace(/[\x00-\x1f]/g, '?').slice(0, 200)}`,
  );
}
