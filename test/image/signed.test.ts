import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { attachBundle, attachLayer, cosignTag, layersAt } from '#image/sign/attach.js';
import { findSigned } from '#image/sign/find.js';
import { type ImageKey, readImageKey } from '#image/sign/key.js';
import { renderBundle, SIGNED, SIMPLE_TYPE, signStatement } from '#image/sign/statement.js';
import {
  type Descriptor,
  describe as described,
  digestOf,
  type RawManifest,
  renderDocument,
} from '#lib/oci/documents.js';
import { DOCKER, OCI } from '#lib/oci/media-types.js';
import { createReferrers } from '#lib/oci/registry/referrers.js';
import type { Repository } from '#lib/oci/registry/repository.js';

const DIGEST = digestOf(Buffer.from('image'));
const IMAGE: Descriptor = { mediaType: OCI.manifest, digest: DIGEST, size: 5 };

async function newKey(): Promise<ImageKey> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return readImageKey(privateKey.export({ format: 'pem', type: 'sec1' }).toString(), 'test', () => undefined);
}

/** A repository in memory, whose registry lists referrers by itself or not, and what is done each time after its list is written. */
function repository(hasReferrers: boolean, after: (tags: Map<string, RawManifest>) => void = () => {}) {
  const [blobs, manifests, tags] = [
    new Map<string, Uint8Array>(),
    new Map<string, RawManifest>(),
    new Map<string, RawManifest>(),
  ];
  const manifest = async (reference = '') => tags.get(reference) ?? manifests.get(reference);
  const put = async (raw: RawManifest, tag?: string) => {
    manifests.set(raw.descriptor.digest, raw);
    if (tag !== undefined) {
      tags.set(tag, raw);
      after(tags);
    }
  };
  const listed = () => {
    const own = [...manifests.values()].flatMap(({ descriptor, bytes }) => {
      const { subject, artifactType } = JSON.parse(Buffer.from(bytes).toString());
      return subject === undefined ? [] : [{ ...descriptor, artifactType }];
    });
    return renderDocument({ schemaVersion: 2, mediaType: OCI.index, manifests: own });
  };
  const referrers = createReferrers({
    referrers: async () => (hasReferrers ? ({} as never) : undefined),
    read: async () => listed(),
    manifest,
    putManifest: put,
    async putReferrer(raw) {
      await put(raw);
      return hasReferrers;
    },
    what: 'test',
  });
  const store = {
    ...{ description: 'test', isRemote: true, manifest, ...referrers, putManifest: put },
    hasBlob: async ({ digest }: Descriptor) => blobs.has(digest),
    async putBlob({ digest }: Descriptor, bytes: Uint8Array) {
      blobs.set(digest, bytes);
      return 'sent' as const;
    },
    blob: async ({ digest, size }: Descriptor) => ({
      size,
      async *open() {
        yield blobs.get(digest)!;
      },
    }),
  };
  return { store: store as unknown as Repository, tags, blobs };
}

async function attach(store: Repository, key: ImageKey, predicate: object = {}, sha256 = DIGEST.slice(7)) {
  const envelope = signStatement({ sha256, predicateType: SIGNED, predicate }, key);
  await attachBundle(store, IMAGE, renderBundle(envelope, key), SIGNED);
}

describe('what is about an image', () => {
  it.each([true, false])('is found, with a list of the registry: %s', async (hasReferrers) => {
    const key = await newKey();
    const { store, tags } = repository(hasReferrers);
    await attach(store, key);
    await attach(store, await newKey());
    expect([...tags.keys()]).toEqual(hasReferrers ? [] : [DIGEST.replace(':', '-')]);
    const { signed, others } = await findSigned(store, DIGEST, [key.publicKey]);
    expect({ keys: signed.map((each) => each.key), others }).toEqual({ keys: [key.publicKey.hint], others: 1 });
  });

  it('gets into the list when others write theirs over it', async () => {
    const key = await newKey();
    let left = 2;
    const { store } = repository(false, (tags) => {
      // Somebody has read the list before that, and writes what he has made of it.
      if (left-- > 0) tags.delete(DIGEST.replace(':', '-'));
    });
    await attach(store, key);
    expect((await findSigned(store, DIGEST, [key.publicKey])).signed).toHaveLength(1);
    left = Number.POSITIVE_INFINITY;
    await expect(attach(store, key, { other: true })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  });

  it('stays at the tags of cosign when others sign too, and is read of either format', async () => {
    const tag = cosignTag(DIGEST, 'sig');
    let other: RawManifest | undefined;
    const { store, tags } = repository(true, (all) => {
      // Somebody else has read the tag before that.
      if (other) all.set(tag, other);
      other = undefined;
    });
    const add = (signature: string) =>
      attachLayer(store, tag, Buffer.from('payload'), {
        mediaType: SIMPLE_TYPE,
        annotations: { 'dev.cosignproject.cosign/signature': signature },
      });
    const there = async () =>
      (await layersAt(store, tag)).map(({ annotations }) => Object.values(annotations ?? {})[0]);
    await add('a');
    const docker = { ...JSON.parse(Buffer.from(tags.get(tag)!.bytes).toString()), mediaType: DOCKER.manifest };
    tags.set(tag, described(DOCKER.manifest, renderDocument(docker)));
    other = tags.get(tag);
    await add('b');
    expect(await there()).toEqual(['a', 'b']);
    const index = described(OCI.index, renderDocument({ schemaVersion: 2, manifests: [] }));
    tags.set(tag, index);
    await expect(add('c')).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    expect(tags.get(tag)).toBe(index);
  });

  it('is found beside manifests that are damaged', async () => {
    const key = await newKey();
    const { store, tags } = repository(true);
    await attach(store, key);
    const damaged = renderDocument({ subject: IMAGE, artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json' });
    await store.putReferrer(described(OCI.manifest, damaged));
    tags.set(cosignTag(DIGEST, 'sig'), described(OCI.manifest, damaged));
    tags.set(cosignTag(DIGEST, 'att'), described(OCI.index, damaged));
    const { signed, others } = await findSigned(store, DIGEST, [key.publicKey]);
    expect({ count: signed.length, others }).toEqual({ count: 1, others: 3 });
  });

  it('counts for nothing where it is about another image, changed, or no signature at all', async () => {
    const key = await newKey();
    const { store, blobs } = repository(true);
    await attach(store, key, {}, 'f'.repeat(64));
    for (const text of [
      '',
      'null',
      '{}',
      '{"mediaType":"x","dsseEnvelope":{"payload":"","payloadType":"","signatures":[]}}',
    ])
      await attachBundle(store, IMAGE, Buffer.from(text), SIGNED);
    const envelope = signStatement({ sha256: DIGEST.slice(7), predicateType: SIGNED, predicate: {} }, key);
    const changed = Buffer.from(envelope.payload, 'base64').toString().replace('{}', '{"a":1}');
    const payload = Buffer.from(changed).toString('base64');
    await attachBundle(store, IMAGE, renderBundle({ ...envelope, payload }, key), SIGNED);
    await attachBundle(store, IMAGE, renderBundle({ ...envelope, payloadType: 'text/plain' }, key), SIGNED);
    expect(blobs.size).toBeGreaterThan(6);
    const found = await findSigned(store, DIGEST, [key.publicKey]);
    expect(found).toMatchObject({ signed: [], others: 7 });
  });

  it('counts for nothing where a bundle is about another image than its artifact says', async () => {
    const key = await newKey();
    const { store } = repository(false);
    const other = { ...IMAGE, digest: digestOf(Buffer.from('other')) };
    const envelope = signStatement({ sha256: DIGEST.slice(7), predicateType: SIGNED, predicate: {} }, key);
    await attachBundle(store, other, renderBundle(envelope, key), SIGNED);
    const index = (await store.manifest(other.digest.replace(':', '-')))!;
    await store.putManifest(described(OCI.index, index.bytes), DIGEST.replace(':', '-'));
    expect(await findSigned(store, DIGEST, [key.publicKey])).toEqual({ signed: [], others: 1 });
  });

  it('tells a wrong password from a cipher that OpenSSL has given up', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [cipher, aes, gone] = ['aes-256-cbc', '60864801650304012a', '60864801650304017f'];
    const der = privateKey.export({ format: 'der', type: 'pkcs8', cipher, passphrase: 'password' }).toString('hex');
    const read = (hex: string, password: string) => {
      const label = 'ENCRYPTED PRIVATE KEY-----';
      const text = `-----BEGIN ${label}\n${Buffer.from(hex, 'hex').toString('base64')}\n-----END ${label}\n`;
      return readImageKey(text, 'the key', () => password);
    };
    await read(der, 'password');
    await expect(read(der, 'wrong')).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
    await expect(read(der.replace(aes, gone), 'password')).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  });

  it('is not signed by damaged keys, nor by what takes more memory than there is', async () => {
    const read = (text: string) => readImageKey(text, 'the key', () => 'password');
    const pem = (label: string, body: string) => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----`;
    const cosign = (json: object) =>
      pem('ENCRYPTED COSIGN PRIVATE KEY', Buffer.from(JSON.stringify(json)).toString('base64'));
    const kdf = { name: 'scrypt', params: { N: 2 ** 30, r: 8, p: 1 }, salt: '' };
    const cipher = { name: 'nacl/secretbox', nonce: '' };
    for (const label of ['PUBLIC KEY', 'RSA PUBLIC KEY'])
      await expect(read(pem(label, 'AAAA'))).rejects.toThrow('the key: is a public key, and no secret one');
    await expect(read(pem('CERTIFICATE', 'AAAA'))).rejects.toThrow('the key: is CERTIFICATE, and no secret key');
    for (const text of ['', 'x', pem('PRIVATE KEY', 'AAAA'), pem('ENCRYPTED SIGSTORE PRIVATE KEY', 'AAAA'), cosign({})])
      await expect(read(text)).rejects.toMatchObject({ code: 'E_FORMAT' });
    await expect(read(cosign({ kdf, cipher, ciphertext: '' }))).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  });
});
