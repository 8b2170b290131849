import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { beforeEach, expect, it } from 'vitest';
import { parseDocument, verifyDocument } from '#lib/signing/document.js';
import { parsePublicKey } from '#lib/signing/key.js';
import { FRAGMENT } from '#release/documents/kinds.js';
import { openBucket, type TestBucket } from '../support/bucket.js';
import { noise } from '../support/files.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { killCount, killOften } from '../support/kill.js';
import { startProxy } from '../support/proxy.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const TARGETS = ['x86_64', 'i686', 'aarch64'].map((each) => `${each}-unknown-linux-musl`);
const ALL_TARGETS = [...TARGETS, 'armv6l-unknown-linux-musleabihf'];
const [VERSION, TARGET] = ['v1.2.3', TARGETS[0]!];

/** Bytes, of a file that goes in parts. */
const LARGE = 20_000_000;

/** How often four jobs publish at once. More by hand: `CARPORT_TEST_ROUNDS=20`. */
const ROUNDS = Number(process.env.CARPORT_TEST_ROUNDS ?? 3);

describeWithGarage('release put to a real Garage', () => {
  const garage = useGarage();
  const box = useSandbox();
  const runs = useGarageRuns(box, garage);
  let key: KeyFile;
  let bucket: TestBucket;
  let to = '';
  beforeEach(async () => {
    key = await box().makeKey('release');
    bucket = openBucket(garage(), await garage().freshBucket());
    to = garage().url(bucket.name);
    await mkdir(box().path('work/bin'));
  });
  const makeFile = (name: string, content: string | Buffer) => writeFile(box().path('work/bin', name), content);
  const put = (files: readonly string[], version = VERSION, target = TARGET, url = to) => [
    'release',
    'put',
    ...files,
    '--tag',
    version,
    '--target',
    target,
    '--to',
    url,
    '--secret-key',
    key.file,
  ];
  const fragment = async (version = VERSION, target = TARGET) => {
    const text = (await bucket.read(`carport/releases/${version}/${target}.json`)).toString();
    const document = parseDocument(FRAGMENT, text);
    expect(verifyDocument(FRAGMENT, document, [parsePublicKey(key.publicKey)]).state).toBe('valid');
    return document.value;
  };
  const headOf = async (Key: string) => {
    const { region, credentials, nodes } = garage();
    const client = new S3Client({ region, credentials, endpoint: nodes[0]!.s3Endpoint, forcePathStyle: true });
    try {
      return await client.send(new HeadObjectCommand({ Bucket: bucket.name, Key }));
    } finally {
      client.destroy();
    }
  };

  it('tells browsers what a file is, and to save it', async () => {
    await makeFile('garage', 'garage');
    await makeFile('source.tar.gz', noise(1000));
    await makeFile('page.html', '<script>');
    const large = noise(20_000_000);
    await makeFile('large', large);
    await runs.succeed(put(['bin/*']));
    for (const [name, contentType, size] of [
      ['garage', 'application/octet-stream', 6],
      ['source.tar.gz', 'application/gzip', 1000],
      ['page.html', 'text/html; charset=utf-8', 8],
      ['large', 'application/octet-stream', large.length],
    ] as const) {
      expect(await headOf(`_releases/${VERSION}/${TARGET}/${name}`)).toMatchObject({
        ...{ ContentType: contentType, ContentLength: size, CacheControl: 'public, max-age=86400' },
        ContentDisposition: `attachment; filename="${name}"`,
      });
    }
    expect((await bucket.read(`_releases/${VERSION}/${TARGET}/large`)).equals(large)).toBe(true);
    await runs.succeed([
      ...put(['bin/garage'], 'v2.0.0'),
      ...['--content-type', 'application/x-garage', '--cache-control', 'no-store', '--name', 'other'],
    ]);
    expect(await headOf(`_releases/v2.0.0/${TARGET}/other`)).toMatchObject({
      ...{ ContentType: 'application/x-garage', CacheControl: 'no-store' },
      ContentDisposition: 'attachment; filename="other"',
    });
  });

  it('loses nothing of four architectures that are published at once', async () => {
    for (const target of ALL_TARGETS) await makeFile(`garage-${target}`, `garage for ${target}`);
    for (let round = 0; round < ROUNDS; round++) {
      const version = `v1.0.${round}`;
      const ended = await Promise.all(
        ALL_TARGETS.map((target) =>
          runs.succeed([...put([`bin/garage-${target}`], version, target), '--name', 'garage']),
        ),
      );
      expect(ended.map(({ stdout }) => stdout)).toEqual(
        ALL_TARGETS.map((target) => `_releases/${version}/${target}/garage\n`),
      );
      for (const target of ALL_TARGETS) {
        const { files } = await fragment(version, target);
        const sha256 = createHash('sha256').update(`garage for ${target}`).digest('hex');
        expect(files, `${version} ${target}`).toMatchObject([{ name: 'garage', sha256 }]);
        expect((await bucket.read(`_releases/${version}/${target}/garage`)).toString()).toBe(`garage for ${target}`);
      }
    }
  }, 300_000);

  it('loses nothing of four jobs that publish for one target at once', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await makeFile(name, name);
    for (let round = 0; round < ROUNDS; round++) {
      const version = `v3.0.${round}`;
      await Promise.all(['a', 'b', 'c', 'd'].map((name) => runs.succeed(put([`bin/${name}`], version))));
      expect(
        (await fragment(version)).files.map(({ name }) => name),
        version,
      ).toEqual(['a', 'b', 'c', 'd']);
    }
  }, 300_000);

  it('writes nothing when all is there', async () => {
    await makeFile('garage', 'garage');
    const proxy = await startProxy(garage().nodes[0]!.s3Endpoint);
    try {
      const url = garage().url(bucket.name, { endpoint: proxy.url });
      await runs.succeed(put(['bin/garage'], VERSION, TARGET, url));
      const before = await bucket.objects();
      const from = proxy.requests().length;
      const { stderr } = await runs.succeed(put(['bin/garage'], VERSION, TARGET, url));
      expect(stderr).toContain('unchanged: ');
      const methods = proxy
        .requests()
        .slice(from)
        .map(({ method }) => method);
      expect(
        methods.every((method) => ['GET', 'HEAD'].includes(method)),
        methods.join(),
      ).toBe(true);
      expect(methods.length).toBeLessThan(9);
      expect(await bucket.objects()).toEqual(before);
    } finally {
      await proxy.close();
    }
  });

  it('does what is left when it was killed', async () => {
    for (let index = 0; index < 4; index++) await makeFile(`file-${index}`, noise(LARGE, `${index}`));
    const env = { ...box().env, ...garage().env };
    const killed = { ...box(), env };
    let round = 0;
    const args = () => put(['bin/*'], `v1.0.${round}`);
    await killOften(killed, args, killCount(4), async (_, at) => {
      const version = `v1.0.${round}`;
      const keys = [...(await bucket.objects())].filter(([name]) => name.includes(`${version}/`));
      const files = keys.filter(([name]) => name.startsWith('_releases/'));
      const hasFragment = files.length < keys.length;
      if (hasFragment) expect(files.length, at).toBe(4);
      for (const [name, { size }] of files) expect(size, `${name} ${at}`).toBe(LARGE);
      if (files.length === 0 && (await bucket.uploads()).length === 0) return 'nothing';
      await runs.succeed(args());
      expect((await fragment(version)).files.length).toBe(4);
      // What was begun in parts and not finished was gone on with, or removed.
      expect(await bucket.uploads()).toEqual([]);
      round++;
      return hasFragment ? 'all' : 'a part';
    });
  }, 300_000);

  it('tells a server that does not answer, and a key that is refused', async () => {
    await makeFile('garage', 'garage');
    const dead = garage().url(bucket.name, { endpoint: 'http://127.0.0.1:9' });
    expect(await runs.run([...put(['bin/garage'], VERSION, TARGET, dead), '--retry-seconds', '0'])).toMatchObject({
      ...{ exitCode: 75, stdout: '', stderr: expect.stringContaining('error[E_UNAVAILABLE]') },
    });
    const wrong = { env: { AWS_SECRET_ACCESS_KEY: '0'.repeat(64) } };
    expect(await runs.run(put(['bin/garage']), wrong)).toMatchObject({ exitCode: 4, stdout: '' });
    expect((await bucket.objects()).size).toBe(0);
  });

  it('works in a directory of a bucket', async () => {
    await makeFile('garage', 'garage');
    const { stdout } = await runs.succeed(put(['bin/garage'], VERSION, TARGET, to.replace('?', '/some/where?')));
    expect(stdout).toBe(`_releases/${VERSION}/${TARGET}/garage\n`);
    expect([...(await bucket.objects()).keys()]).toEqual([
      ...[`some/where/_releases/${VERSION}/${TARGET}/garage`, `some/where/carport/releases/${VERSION}/${TARGET}.json`],
    ]);
  });
});
