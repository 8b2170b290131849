/** `SHA256SUMS` of what a release has on a forge, by the names that users get there, and its signature. */

import { createHash } from 'node:crypto';
import type { ForgeTraits } from '../../lib/forge/contract.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { createMinisignHash, signMinisign } from '../../lib/signing/minisign.js';
import { SUMS, signatureKey } from '../layout.js';
import { checkedContent, type WantedAsset } from './wanted.js';

export interface SumsOf {
  readonly version: string;
  /** When something was last said of the release, as RFC 3339. The signature is the same at each run. */
  readonly time: string | undefined;
  /** Without one the sums are not signed. */
  readonly key: SecretKey | undefined;
}

/** The files, with their sums beside them. */
export function withSums(
  assets: readonly WantedAsset[],
  traits: Pick<ForgeTraits, 'storedName'>,
  { version, time, key }: SumsOf,
): readonly WantedAsset[] {
  const lines = assets.map(({ name, sha256 }) => `${sha256}  ${traits.storedName(name)}\n`);
  const sums = Buffer.from(lines.toSorted((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join(''));
  const timestamp = time === undefined ? 0 : Date.parse(time) / 1000;
  const about = { fileName: SUMS, version, timestamp };
  const signature = key && signMinisign(createMinisignHash().update(sums).digest(), about, key);
  return [...assets, assetOf(SUMS, sums), ...(signature ? [assetOf(signatureKey(SUMS), Buffer.from(signature))] : [])];
}

function assetOf(name: string, bytes: Buffer): WantedAsset {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return checkedContent({ name, size: bytes.length, sha256 }, () => one(bytes), `\`${name}\``);
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
