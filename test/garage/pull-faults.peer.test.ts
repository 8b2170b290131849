import { beforeAll, describe, expect, it } from 'vitest';
import { narInfosIn, openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { useProxy } from '../support/proxy.js';
import type { Fault, Match } from '../support/proxy-faults.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** Some that Garage keeps inline, some of a block, and one of several parts and blocks. */
const SIZES = [5_000_000, ...Array.from({ length: 40 }, (_, index) => 150 * index * (index % 4) + 8 * index)];

const ALWAYS = Number.POSITIVE_INFINITY;

const isNarInfo: Match = ({ path }) => path.endsWith('.narinfo');
const isNar: Match = ({ path }) => /\/nar\/[^?]*$/.test(path);
const isGet = (match: Match): Match => {
  return (request) => request.method === 'GET' && match(request);
};

/** One after the other, again and again. */
function cycle<T>(items: readonly T[]): () => T {
  let next = 0;
  return () => items[next++ % items.length]!;
}

describeWithGarage('pulls from a Garage that fails', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const carport = useGarageRuns(box, garage);
  let large: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  /** A cache that is whole. */
  let full: TestBucket;
  let website: URL;
  beforeAll(async () => {
    large = await createLargeStore(box().root, SIZES);
    key = await box().makeKey('test-1');
    full = openBucket(garage(), await garage().freshBucket());
    const to = garage().url(full.name);
    await carport.succeed(['push', large.top, '--store', large.root, '--to', to, '--secret-key', key.file]);
    // So that each narinfo is asked for by itself.
    await full.remove(...[...(await full.objects()).keys()].filter((each) => each.startsWith('carport/batches/')));
    website = new URL(await garage().serve(full.name));
  });

  describe.each(['s3', 'http'] as const)('over %s', (scheme) => {
    const proxy = useProxy(() =>
      scheme === 's3' ? garage().nodes[0]!.s3Endpoint : `http://127.0.0.1:${website.port}`,
    );
    let pulls = 0;

    const pull = async (...more: readonly string[]) => {
      const store = box().path(`pulled-${scheme}-${++pulls}`);
      const from =
        scheme === 's3' ? garage().url(full.name, { endpoint: proxy().url }) : `http://localhost:${proxy().port}`;
      const options = ['--from', from, '--trusted-key', key.publicKey, '--store', store];
      const start = performance.now();
      const ran = await carport.run(['pull', large.top, ...options, ...more]);
      return { ...ran, store, tookMs: performance.now() - start };
    };
    const expectWhole = async ({ exitCode, stderr, store }: Awaited<ReturnType<typeof pull>>) => {
      expect(exitCode, stderr).toBe(0);
      const verified = await box().succeed(['store', 'verify', '--store', store]);
      expect(verified.stderr).toBe(`${large.paths.length} paths checked, all whole\n`);
    };
    const failed = () =>
      proxy()
        .requests()
        .filter(({ fault }) => fault !== undefined).length;

    const kinds = {
      'refusals that pass': [{ status: 500 }, { status: 503, retryAfter: 1 }, { status: 429 }, { status: 502 }],
      'connections that break': ['reset-before', 'reset-after', 'reset-midway', 'truncate'],
      // Each in another place: the same object may be hit twice, and two equal reads are taken for its content.
      'wrong bytes': [{ flip: 20 }, { flip: 24 }, { flip: 28 }, { flip: 32 }, { flip: 36 }, 'truncate-silently'],
    } as const satisfies Readonly<Record<string, readonly Fault[]>>;
    it.each(Object.entries(kinds))('%s are mended', async (_, faults: readonly Fault[]) => {
      const fault = cycle(faults);
      for (const match of [isNarInfo, isNar]) {
        // Not in step with what is read at a time: one object would be hit at each of its three reads.
        for (const skip of [0, 2, 7, 9, 14]) proxy().fail({ fault: fault(), match: isGet(match), skip });
      }
      await expectWhole(await pull());
      expect(failed()).toBe(10);
    });

    it('a wrong byte in whatever field of a narinfo is mended', async () => {
      const infos = [...(await narInfosIn(full, await full.objects())).values()].filter(
        ({ references }) => references.length > 0,
      );
      const fields = ['URL', 'Compression', 'FileHash', 'FileSize', 'NarHash', 'NarSize', 'References', 'Sig'];
      for (const [index, field] of fields.entries()) {
        const hashPart = infos[index]!.path.slice(11, 43);
        const text = await full.read(`${hashPart}.narinfo`);
        const flip = text.indexOf(`\n${field}: `) + field.length + 3;
        proxy().fail({ fault: { flip }, match: ({ path }) => path.includes(hashPart) });
      }
      await expectWhole(await pull());
      expect(failed()).toBe(fields.length);
    });

    it('a large NAR goes on where it broke off', async () => {
      const [key] = [...(await full.objects())].sort(([, a], [, b]) => b.size - a.size)[0]!;
      proxy().fail({ fault: 'reset-midway', match: ({ path }) => path.endsWith(key), times: 3 });
      await expectWhole(await pull());
      const gets = proxy()
        .requests()
        .filter(({ path }) => path.endsWith(key));
      expect(gets.length).toBe(4);
      const offsets = gets.slice(1).map(({ headers }) => Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]));
      // What was on its way when it broke is lost, and that may be much.
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
      expect(offsets.every(Number.isInteger)).toBe(true);
    });

    it('a connection on which nothing comes is given up', async () => {
      for (const fault of ['stall', 'stall-before'] as const) {
        for (const match of [isNarInfo, isNar]) proxy().fail({ fault, match: isGet(match), skip: 5, times: 2 });
      }
      const ran = await pull('--retry-seconds', '2');
      await expectWhole(ran);
      expect(failed()).toBe(8);
      expect(ran.tookMs).toBeGreaterThan(2000);
    });

    const lasting = [
      ['a NAR that is not given', isGet(isNar), { status: 500 }, 75],
      ['NARs that always break off', isGet(isNar), 'reset-midway', 75],
      ['narinfos that are not given', isGet(isNarInfo), { status: 503, retryAfter: 1 }, 75],
      ['NARs with a wrong byte', isGet(isNar), { flip: 50 }, 6],
      ['NARs of which half comes as if it were all', isGet(isNar), 'truncate-silently', 6],
      ['narinfos with a wrong byte', isGet(isNarInfo), { flip: 20 }, 6],
      ['narinfos of which half comes as if it were all', isGet(isNarInfo), 'truncate-silently', 6],
      ['no cache at all', () => true, { status: 404 }, 5],
    ] as const;
    // Of the other scheme, some.
    it.each(scheme === 's3' ? lasting : lasting.slice(2))(
      'what stays broken is a clear error: %s',
      async (_, match, fault, expected) => {
        proxy().fail({ fault: fault as Fault, match, times: ALWAYS });
        const { exitCode, stderr, stdout, store } = await pull('--retry-seconds', '1');
        expect(exitCode, stderr).toBe(expected);
        expect(stderr).toMatch(/^error\[E_[A-Z_]+\]: \S/m);
        expect(stderr).toMatch(/^hint: \S/m);
        expect(stdout).toBe('');
        await box().succeed(['store', 'verify', '--store', store]);
      },
    );

    it.each(scheme === 's3' ? [1, 2] : [3])('chaos is mended (seed %i)', async (seed) => {
      // Wrong bytes are read once more, and not again and again.
      const { 'wrong bytes': _, ...others } = kinds;
      proxy().chaos({ seed, probability: 0.3, timesEach: 3, faults: Object.values(others).flat() });
      await expectWhole(await pull());
      expect(failed()).toBeGreaterThan(20);
    });
  });
});
