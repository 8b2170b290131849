/**
 * What a push signs of a large NAR beside its hash, so that a part of it can be believed: its chunks, and its listing, which tells
 * where each file is.
 */

import type { ToldChunks } from '../../lib/compression/chunks/field.js';
import { hashBytes, renderHash } from '../../lib/nix/hash.js';
import type { NarInfo, UnknownField } from '../../lib/nix/narinfo.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { signText, verifyText } from '../../lib/signing/signature.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';

const KEY = 'CarportContents';

/** NARs from this size on: of others a whole one is as soon read. */
const LARGE = 8 * 1024 * 1024;

/** Signatures that are looked at. */
const MOST_SIGNATURES = 16;

/** What is signed of the contents of a path. */
interface Contents {
  /** The rows of its table of chunks. */
  readonly rows: Uint8Array;
  /** The text of its `.ls`. */
  readonly listing: string;
}

type Signed = Pick<NarInfo, 'path' | 'narHash' | 'narSize' | 'references'>;

/** Whether the contents of a NAR are signed, and read in parts. */
export function isReadInParts({ narSize }: Pick<NarInfo, 'narSize'>): boolean {
  return narSize >= LARGE;
}

/** The fields of a narinfo for a NAR that was written, with the listing that is written beside it. */
export function fieldsOfContents(
  info: Signed,
  chunks: ToldChunks | undefined,
  listing: string | undefined,
  keys: readonly SecretKey[],
): readonly UnknownField[] {
  if (chunks === undefined) return [];
  if (listing === undefined || keys.length === 0 || !isReadInParts(info)) return [chunks.field];
  const text = message(info, { rows: chunks.rows, listing });
  return [chunks.field, { key: KEY, value: keys.map((key) => signText(text, key)).join(' '), after: 'FileSize' }];
}

/** Whether a trusted key has signed that these are the contents; or nobody has to. */
export function areTrusted(info: NarInfo, contents: Contents, { keys, allowUnsigned }: TrustPolicy): boolean {
  const values = info.unknownFields.filter(({ key }) => key === KEY).map(({ value }) => value);
  const signatures = values.length === 1 ? values[0]!.split(' ').slice(0, MOST_SIGNATURES) : [];
  const verdict = verifyText(message(info, contents), signatures, keys);
  return verdict.state === 'valid' || (verdict.state === 'unsigned' && allowUnsigned);
}

/** No fingerprint of a path and no document begins so. Rows tell of references by their place among them. */
function message({ path, narHash, references }: Signed, { rows, listing }: Contents): string {
  const hashes = [narHash, hashBytes('sha256', rows), hashBytes('sha256', listing)].map(renderHash);
  return `carport-contents\n1;${path};${hashes.join(';')};${[...references].sort().join(',')}`;
}
