import { readdir, rm } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { killCount, killOften, type Progress } from '../support/kill.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { faultsOf, narInfosOf } from '../support/transfers.js';

/** Small paths, and some that are spooled to disk. */
const SIZES = Array.from({ length: 60 }, (_, index) => (index % 6 === 0 ? 1_500_000 : 2000 * index));

describe('a push that is killed at any instant', () => {
  const box = useSandbox('all');
  let store: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  beforeAll(async () => {
    store = await createLargeStore(box().root, SIZES);
    key = await box().makeKey('test-1');
  });

  it.each([
    ['zstd', killCount(6), SIZES.length, []],
    // Small paths without a listing go many at a time.
    ['zstd', killCount(6), SIZES.length, ['--no-listing']],
    ['none', killCount(4), SIZES.length, ['--no-listing']],
    // xz takes its time: a closure of fewer paths.
    ['xz', killCount(3), SIZES.length - 12, []],
  ] as const)(
    'leaves a cache whose every narinfo is complete (%s, %i times)',
    { timeout: 300_000 },
    async (compression, kills, root, more) => {
      const cache = box().path(`cache-${compression}${more.length}`);
      const args = [
        'push',
        store.paths[root]!,
        '--store',
        store.root,
        '--to',
        cache,
        '--compression',
        compression,
        ...more,
      ];
      args.push('--secret-key', key.file, '--level', compression === 'none' ? '0' : '1');
      const { lines: paths } = await box().succeed(args);
      expect(paths.length).toBeGreaterThan(5);
      await rm(cache, { recursive: true });

      let runs = 0;
      const look = async (wasKilled: boolean, at: string): Promise<Progress> => {
        const visible = (await narInfosOf(cache)).size;
        expect(await faultsOf(cache), at).toEqual([]);
        const progress = visible === 0 ? 'nothing' : visible < paths.length ? 'a part' : 'all';
        // Most begin on what others left. A push that could finish says nothing: then begin anew.
        if (!wasKilled || progress === 'all' || runs++ % 3 === 2) await rm(cache, { recursive: true, force: true });
        return progress;
      };
      await killOften(box(), () => args, kills, look);
      await killOften(
        box(),
        () => args,
        1,
        async () => 'a part',
      );
      await box().succeed(args);
      expect([...(await narInfosOf(cache)).keys()].sort()).toEqual([...paths].sort());
      expect(await faultsOf(cache)).toEqual([]);
      expect(await readdir(`${cache}/carport/tmp`)).toEqual([]);
    },
  );
});
