import { beforeAll, expect, it } from 'vitest';
import { parseCacheUrl } from '#cache/cache-url.js';
import { openCache } from '#cache/open.js';
import { openBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { writable } from '../support/stores.js';

const PATHS = 40;

describeWithGarage('a cache on Garage that has lost NARs', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const carport = useGarageRuns(box, garage);
  let large: Awaited<ReturnType<typeof createLargeStore>>;
  let [key, next]: KeyFile[] = [];
  let bucket: string;
  let url: string;
  beforeAll(async () => {
    large = await createLargeStore(
      box().root,
      Array.from({ length: PATHS }, (_, index) => 50 + index),
    );
    [key, next] = [await box().makeKey('test-1'), await box().makeKey('next-1')];
    bucket = await garage().freshBucket();
    url = garage().url(bucket);
    await push('--pin', 'tool');
  });

  const push = (...more: readonly string[]) =>
    carport.succeed([...['push', large.top, '--store', large.root, '--to', url, '--secret-key', key!.file], ...more]);
  const trust = () => ['--trusted-key', key!.publicKey];
  const pull = (from: string) => carport.run(['pull', 'tool', '--from', from, ...trust(), '--dry-run']);
  const narOf = async (path: string) => {
    const narInfo = await openBucket(garage(), bucket).read(`${path.slice(11, 43)}.narinfo`);
    return /^URL: (.*)$/m.exec(narInfo.toString())![1]!;
  };
  const remove = async (path: string) => {
    const objects = writable(
      openCache(parseCacheUrl(url), { env: garage().env, signal: new AbortController().signal }),
    );
    await objects.remove([await narOf(path)]);
    await objects.close();
  };

  it('is noticed by a dry run of a pull, over S3 and as a website, and by `cache info`', async () => {
    const web = await garage().serve(bucket);
    expect((await pull(url)).lines.length).toBe(large.paths.length);
    expect((await pull(web)).lines.length).toBe(large.paths.length);
    await carport.succeed(['cache', 'info', url]);
    await remove(large.paths[1]!);
    for (const from of [url, web]) {
      const { exitCode, stdout, stderr } = await pull(from);
      expect([exitCode, stdout]).toEqual([5, '']);
      expect(stderr).toContain(`has a narinfo of \`${large.paths[1]}\`, but not its NAR`);
    }
    const info = await carport.run(['cache', 'info', url]);
    expect(info.exitCode).toBe(5);
    expect(info.stderr).toContain(`lacks the NAR of \`${large.paths[1]}\`, of ${large.paths.length} paths`);
    await push('--check-all');
    expect((await pull(url)).exitCode).toBe(0);
  });

  it('is noticed by a push where a root has lost it, and by `pin ls`', async () => {
    await remove(large.top);
    const { lines } = await carport.succeed(['pin', 'ls', '--from', url, ...trust()]);
    expect(lines[0]).toMatch(/ {2}paths-missing {2}/);
    const { stderr } = await push();
    expect(stderr).toContain('1 to upload');
    expect(stderr).toContain('`--check-all`');
    expect((await push()).stderr).toContain('0 to upload');
  });

  it('and a pin of it gets the signature of another key, with all of its closure', async () => {
    const keys = ['--secret-key', next!.file, '--secret-key', key!.file];
    const { stderr } = await carport.succeed(['pin', 'set', 'tool', 'tool', '--to', url, ...keys]);
    expect(stderr).toContain(`signed ${large.paths.length} paths in the cache`);
    const { lines } = await carport.succeed(['pull', 'tool', '--from', url, '--trusted-key', next!.publicKey]);
    expect(new Set(lines)).toEqual(new Set(large.paths));
  });
});
