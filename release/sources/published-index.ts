/** The index of releases as it is published, for readers who have no list of the bucket: believed by its signature. */

import * as v from 'valibot';
import { CarportError } from '../../lib/errors.js';
import type { ReadStore } from '../../lib/object-store/object-store.js';
import type { PublicKey } from '../../lib/signing/key.js';
import {
  createMinisignHash,
  formatMinisignId,
  MAX_MINISIG_SIZE,
  minisignKey,
  parseMinisig,
  signedFileName,
  verifyMinisig,
} from '../../lib/signing/minisign.js';
import { parseStrictJson } from '../../lib/strict-json.js';
import { INDEX_JSON } from '../layout.js';

const KEY = INDEX_JSON;
const NAME = 'index.json';

/** Bytes of an index that are read: that of 50 stable releases and 5,000 others has a fifth of them. */
const MAX_SIZE = 64 * 1024 * 1024;

/** A publisher writes index and signature one after the other: whoever reads between the two asks again. */
const READS = 3;
const PAUSE_MS = 1_000;

const PublishedFile = v.object({
  name: v.string(),
  size: v.optional(v.number()),
  sha256: v.nullable(v.string()),
  url: v.nullable(v.string()),
});

const PublishedRelease = v.object({
  version: v.string(),
  channel: v.string(),
  component: v.optional(v.string()),
  state: v.string(),
  signed: v.optional(v.boolean()),
  yanked: v.nullable(v.object({ reason: v.nullable(v.string()) })),
  time: v.string(),
  targets: v.array(v.object({ target: v.string(), files: v.array(PublishedFile) })),
});

const Published = v.object({ version: v.literal(1), releases: v.array(PublishedRelease) });

/** What is read here of a release of `releases/index.json`. */
export type PublishedRelease = v.InferOutput<typeof PublishedRelease>;

/** Releases in the order of the index, and the name of the key that has signed it; none where it need not be signed, and is not. */
export interface PublishedIndex {
  readonly releases: readonly PublishedRelease[];
  readonly keyName: string | undefined;
}

/**
 * Reads `releases/index.json` by GETs alone. Throws `E_NOT_FOUND` where it or its signature is not there, `E_SIGNATURE` where no
 * such key has signed it, `E_FORMAT` for what is no index. With `allowUnsigned` that of a key that is not trusted is taken, too, and
 * one without a signature.
 */
export async function readPublishedIndex(
  objects: ReadStore,
  trusted: readonly PublicKey[],
  pause: (milliseconds: number) => Promise<void>,
  { allowUnsigned = false }: { readonly allowUnsigned?: boolean } = {},
): Promise<PublishedIndex> {
  for (let reads = 1; ; reads++) {
    const { text, signed, digest } = await readBoth(objects, allowUnsigned);
    if (signed === undefined) return { releases: releasesOf(objects, text), keyName: undefined };
    const verdict = verifyMinisig(digest, signed, trusted.map(minisignKey));
    if (verdict.state === 'valid') {
      checkName(objects.url, signedFileName(signed));
      return { releases: releasesOf(objects, text), keyName: verdict.key.publicKey.name };
    }
    if (verdict.state === 'untrusted' && allowUnsigned)
      return { releases: releasesOf(objects, text), keyName: undefined };
    if (verdict.state === 'untrusted') {
      throw new CarportError(
        'E_SIGNATURE',
        `the index in \`${objects.url}\` is not signed by a key that is trusted for it`,
        {
          cause: new Error(`it is signed by the key with the id ${formatMinisignId(signed.keyId)}`),
          hint: 'if the project has a new key, look for it where you have the old one from',
        },
      );
    }
    if (reads === READS) {
      throw new CarportError('E_SIGNATURE', `the index in \`${objects.url}\` is not what its signature is of`, {
        hint: 'it, or its signature, is damaged or was tampered with: do not use what it names',
      });
    }
    await pause(PAUSE_MS);
  }
}

function releasesOf({ url }: ReadStore, text: string): readonly PublishedRelease[] {
  return parseStrictJson(`\`${KEY}\` in \`${url}\``, text, Published).releases;
}

async function readBoth(objects: ReadStore, allowUnsigned: boolean) {
  const bytes = await objects.read(KEY, MAX_SIZE);
  const signature = bytes && (await objects.read(`${KEY}.minisig`, MAX_MINISIG_SIZE));
  if (bytes && !signature && allowUnsigned) return { text: bytes.toString('utf8'), signed: undefined, digest: bytes };
  if (!bytes || !signature) {
    const missing = bytes ? `${KEY}.minisig` : KEY;
    throw new CarportError('E_NOT_FOUND', `\`${objects.url}\` has no \`${missing}\``, {
      hint: 'is that the address of releases? `carport index publish` with a key makes it',
    });
  }
  const digest = createMinisignHash().update(bytes).digest();
  return { text: bytes.toString('utf8'), signed: parseMinisig(signature), digest };
}

/** The same key signs other files, which could stand here. */
function checkName(url: string, name: string | undefined): void {
  if (name === NAME) return;
  throw new CarportError('E_SIGNATURE', `the signature of the index in \`${url}\` is of another file`, {
    hint: 'do not use what it names: somebody has put another signed file there',
  });
}
