import { execFileSync } from 'node:child_process';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  scryptSync,
  verify as verifyBytes,
} from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import nacl from 'tweetnacl';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer } from '../support/peers.js';
import { CRANE, missingForImages, type Registry, startRegistry } from '../support/registry.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox('all');

const COMMIT = 'c'.repeat(40);
const PASSWORD = 'hidden-password-of-the-key';

describeWithPeer(missingForImages(), 'signatures of images', () => {
  let registry: Registry;
  let image: string;
  let digest: string;
  beforeAll(async () => {
    registry = await startRegistry();
    image = `${registry.host}/team/app`;
    for (const name of ['own', 'other']) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await writeFile(box().path('work', `${name}.key`), privateKey.export({ format: 'pem', type: 'pkcs8' }));
      await writeFile(box().path('work', `${name}.pub`), publicKey.export({ format: 'pem', type: 'spki' }));
    }
    await writeFile(box().path('work/file'), 'x');
    digest = (await box().succeed(['image', 'push', 'file', `${image}:v1`])).lines[0]!;
  }, 60_000);
  afterAll(() => registry?.close());
  const sign = (...args: readonly string[]) => box().succeed(['image', 'sign', `${image}:v1`, ...args]);
  const verify = (...args: readonly string[]) => box().carport(['image', 'verify', `${image}:v1`, ...args]);
  const crane = (...args: readonly string[]) => execFileSync(CRANE, [...args, '--insecure'], { stdio: 'pipe' });
  const tags = () => crane('ls', image).toString().trim().split('\n').sort();

  it('are made once, are found by their keys, and by no others', async () => {
    expect((await verify('--key', 'own.pub')).stderr).toContain('has no signature');
    await sign('--key', 'own.key', '--dry-run');
    expect(tags()).toEqual(['v1']);
    const made = JSON.parse((await sign('--key', 'own.key', '--json')).stdout);
    expect(made.signed.map(({ format, state }: Record<string, string>) => `${format} ${state}`)).toEqual([
      ...['bundle made', 'simple made'],
    ]);
    const there = tags();
    expect(there).toEqual([digest.replace(':', '-'), `${digest.replace(':', '-')}.sig`, 'v1']);
    const manifests = there.map((tag) => crane('digest', `${image}:${tag}`).toString());
    await sign('--key', 'own.key');
    expect(there.map((tag) => crane('digest', `${image}:${tag}`).toString())).toEqual(manifests);
    const checked = await verify('--key', 'other.pub', '--key', 'own.pub');
    expect(checked).toMatchObject({ exitCode: 0, lines: [digest] });
    const others = await verify('--key', 'other.pub');
    expect(others.exitCode).toBe(6);
    expect(others.stderr).toContain('2 are by others');
    // Another's beside it: what others have signed stays.
    await sign('--key', 'other.key');
    for (const key of ['own.pub', 'other.pub']) expect((await verify('--key', key)).exitCode).toBe(0);
  });

  it('are what others read: cosign’s payload, and a signature of its bytes', async () => {
    const { layers } = JSON.parse(crane('manifest', `${image}:${digest.replace(':', '-')}.sig`).toString());
    const [layer] = layers;
    const payload = crane('blob', `${image}@${layer.digest}`);
    expect(JSON.parse(payload.toString()).critical).toEqual({
      identity: { 'docker-reference': image },
      image: { 'docker-manifest-digest': digest },
      type: 'cosign container image signature',
    });
    const signature = Buffer.from(layer.annotations['dev.cosignproject.cosign/signature'], 'base64');
    const key = createPublicKey(await readFile(box().path('work/own.pub'), 'utf8'));
    expect(verifyBytes('sha256', payload, key, signature)).toBe(true);
  });

  it('attest where an image is from: what CI says, or a release', async () => {
    await sign('--key', 'own.key', '--provenance', '--commit', COMMIT);
    expect((await verify('--key', 'own.pub', '--commit', COMMIT)).exitCode).toBe(0);
    expect((await verify('--key', 'own.pub', '--commit', 'd'.repeat(40))).stderr).toContain('is from another commit');
    expect((await verify('--key', 'other.pub', '--provenance')).stderr).toContain('no attestation where it is from');
    const key = await box().makeKey('test');
    const cache = ['--cache', `file://${box().path('releases')}`];
    const target = ['--target', 'x86_64-unknown-linux-musl'];
    const put = ['release', 'put', 'file', '--tag', 'v1.0.0', '--commit', COMMIT];
    await box().succeed([...put, ...target, ...cache, '--secret-key', key.file]);
    await sign('--key', 'own.key', '--release', 'v1.0.0', ...cache, '--trusted-key', key.publicKey);
    const told = JSON.parse((await verify('--key', 'own.pub', '--provenance', '--json')).stdout);
    const dependencies = told.signed.flatMap(
      (each: {
        readonly predicate: { readonly buildDefinition?: { readonly resolvedDependencies: readonly object[] } };
      }) => each.predicate.buildDefinition?.resolvedDependencies ?? [],
    );
    expect(dependencies).toContainEqual({
      name: 'x86_64-unknown-linux-musl/file',
      digest: { sha256: '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881' },
    });
  });

  it('are made by keys that are encrypted, as openssl and cosign do it', async () => {
    const pem = await readFile(box().path('work/own.key'), 'utf8');
    const key = createPrivateKey(pem);
    const encrypted = key.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: PASSWORD });
    for (const [name, text] of [
      ['openssl', encrypted.toString()],
      ['cosign', cosignKey(key)],
    ] as const) {
      await writeFile(box().path('work', `${name}.key`), text);
      const args = ['image', 'sign', `${image}:v1`, '--key', `${name}.key`, '--json'];
      expect((await box().carport(args)).stderr).toContain('COSIGN_PASSWORD');
      const wrong = await box().carport(args, { env: { COSIGN_PASSWORD: 'another-password' } });
      expect(wrong.stderr).toContain('encrypted by another password');
      expect(wrong.stderr).not.toContain('another-password');
      const { stdout } = await box().succeed(args, { env: { COSIGN_PASSWORD: PASSWORD } });
      expect(JSON.parse(stdout).signed.map(({ state }: { readonly state: string }) => state)).toEqual([
        'there',
        'there',
      ]);
    }
    const variable = { env: { IMAGE_KEY: pem } };
    await box().succeed(['image', 'sign', `${image}:v1`, '--key', 'env://IMAGE_KEY'], variable);
  });

  it('are no keys of another kind', async () => {
    for (const [name, key] of [
      ['ed25519', generateKeyPairSync('ed25519').privateKey],
      ['p384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ] as const) {
      await writeFile(box().path('work', name), key.export({ format: 'pem', type: 'pkcs8' }));
      const { exitCode, stderr } = await box().carport(['image', 'sign', `${image}:v1`, '--key', name]);
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain('ECDSA on P-256');
    }
    expect((await verify('--key', 'own.key')).stderr).toContain('is a secret key');
    expect((await verify('--key', 'file')).stderr).toContain('is no public key');
  });
});

/** As `cosign generate-key-pair` writes it, of less work. */
function cosignKey(key: KeyObject): string {
  const [salt, nonce] = [randomBytes(32), randomBytes(nacl.secretbox.nonceLength)];
  const params = { N: 1024, r: 8, p: 1 };
  const secret = scryptSync(PASSWORD, salt, 32, params);
  const der = key.export({ format: 'der', type: 'pkcs8' });
  const sealed = nacl.secretbox(new Uint8Array(der), new Uint8Array(nonce), new Uint8Array(secret));
  const json = {
    kdf: { name: 'scrypt', params, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: Buffer.from(sealed).toString('base64'),
  };
  const lines = Buffer.from(JSON.stringify(json)).toString('base64').replace(/.{64}/g, '$&\n');
  const label = ['ENCRYPTED SIGSTORE', 'PRIVATE KEY'].join(' ');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
