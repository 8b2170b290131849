import { beforeAll, beforeEach, expect, it } from 'vitest';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { faultsIn, openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useProxy } from '../support/proxy.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describeWithGarage('cache fsck of a bucket', () => {
  const garage = useGarage();
  const box = useSandbox('all');
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  let store: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  let bucket: TestBucket;
  let url: string;
  beforeAll(async () => {
    store = await createLargeStore(
      box().root,
      Array.from({ length: 24 }, (_, index) => 1500 + index * 131),
    );
    key = await box().makeKey('fsck-1');
  });
  beforeEach(async () => {
    const name = await garage().freshBucket();
    bucket = openBucket(garage(), name);
    url = garage().url(name, { endpoint: proxy().url });
    const push = ['push', store.top, '--store', store.root, '--to', url, '--secret-key', key.file, '--pin', 'tool'];
    expect((await run(push)).exitCode).toBe(0);
  });

  const run = (args: readonly string[]) => box().carport(args, { env: garage().env });
  const fsck = async (...args: readonly string[]) => {
    const ran = await run(['cache', 'fsck', url, '--json', '--trusted-key', key.publicKey, ...args]);
    const lines = ran.stdout.split('\n').filter((line) => line !== '');
    const all = lines.map((line) => JSON.parse(line));
    const found = all.filter(({ type }) => type === 'finding');
    return { ...ran, all, found, kinds: [...new Set(found.map(({ kind }) => kind))].sort(), result: all.at(-1) };
  };
  const narInfoKey = (number: number) => `${store.paths[number]!.slice(11, 43)}.narinfo`;
  const narOf = async (number: number) => parseNarInfo((await bucket.read(narInfoKey(number))).toString('latin1')).url;
  const edit = async (number: number, change: (text: string) => string) =>
    bucket.put(
      narInfoKey(number),
      Buffer.from(change((await bucket.read(narInfoKey(number))).toString('latin1')), 'latin1'),
    );

  it('asks for each narinfo, listing and batch once, and lists once', async () => {
    const before = await bucket.objects();
    const small = [...before.keys()].filter((name) => /\.(narinfo|ls)$|^carport\/batches\//.test(name)).length;
    proxy().reset();
    const { exitCode, found } = await fsck();
    const requests = proxy().requests();
    expect([exitCode, found]).toEqual([0, []]);
    const gets = requests.filter(
      ({ method, path }) => method === 'GET' && !path.includes('list-type=2') && !path.includes('uploads'),
    );
    const names = gets.map(({ path }) => path.replace(/\?.*/, ''));
    // The pin, the description, and the bucket itself; one may have been sent again.
    expect(new Set(names).size).toBeLessThanOrEqual(small + 3);
    expect(requests.filter(({ method }) => method === 'PUT' || method === 'POST' || method === 'DELETE')).toEqual([]);
    expect(await bucket.objects()).toEqual(before);
  });

  it('finds what is damaged there, mends it from a store, and finds nothing then', async () => {
    const hash = '0'.repeat(32);
    await bucket.remove(narInfoKey(0), await narOf(1), 'nix-cache-info');
    const short = await bucket.read(await narOf(2));
    await bucket.put(await narOf(2), short.subarray(0, 30));
    const wrong = await bucket.read(await narOf(3));
    wrong[wrong.length >> 1]! ^= 0xff;
    await bucket.put(await narOf(3), wrong);
    await bucket.put(narInfoKey(4), '<!doctype html>');
    await edit(5, (text) => text.replace(/^Sig: .*\n/m, ''));
    await edit(6, (text) => text.replace(/^(References: .*)$/m, `$1 ${hash}-gone`));
    await bucket.put('carport/pins/other.json', '{}');
    await bucket.put(`carport/leases/${hash}.json`, '{');
    await bucket.put(`nar/${'0'.repeat(52)}.nar.zst`, 'NAR');
    await bucket.put(`${hash}.ls`, '{}');
    await bucket.put('pictures/cat.png', 'PNG');
    await bucket.beginUpload(`nar/${'1'.repeat(52)}.nar.zst`);
    const first = await fsck('--contents');
    expect(first.exitCode).toBe(6);
    const kinds = [
      ...[
        'cache-info-missing',
        'foreign',
        'lease-damaged',
        'listing-orphaned',
        'nar-damaged',
        'nar-missing',
        'nar-orphaned',
      ],
      ...['nar-size', 'narinfo-damaged', 'pin-damaged', 'reference-missing', 'signature-missing', 'signature-wrong'],
      'upload-unfinished',
    ];
    expect(first.kinds).toEqual(kinds);
    const repair = await fsck('--contents', '--repair', '--store', store.root, '--secret-key', key.file);
    expect(repair.exitCode, repair.stdout + repair.stderr).toBe(0);
    const second = await fsck('--contents');
    expect([second.exitCode, second.kinds], repair.stdout).toEqual([0, ['foreign']]);
    expect(await bucket.uploads()).toEqual([]);
    expect((await faultsIn(bucket)).filter((fault) => !fault.endsWith('.ls'))).toEqual([]);
    const pull = ['pull', 'tool', '--from', url, '--trusted-key', key.publicKey, '--store', box().path('pulled')];
    expect((await run(pull)).lines).toHaveLength(store.paths.length);
  });
});
