import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodeOf } from '#bin/cli/exit-code.js';
import { CarportError } from '#lib/errors.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { renderPublicKey } from '#lib/signing/key.js';
import { copyCache, createAdder, noise, sampleKey } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { createTransfers, narInfosOf, type Transfers } from '../support/transfers.js';

const KEY = sampleKey('test-1');
const COMPRESSIONS = ['none', 'zstd', 'xz'] as const;

/** A cache, in which one byte is changed at a time. */
describe('one byte that is flipped', () => {
  const box = useSandbox('all');
  let transfers: Transfers;
  const paths: Record<string, string> = {};
  beforeAll(async () => {
    transfers = createTransfers();
    const add = createAdder(box().path('store'), box().path('trees'));
    const small = await add('small', { text: 'hello', to: { link: 'text' } });
    const large = await add('large', { noise: noise(400_000, 1), zeros: Buffer.alloc(100_000), see: small.path });
    [paths.small, paths.large] = [small.path, large.path];
    await add.close();
    for (const compression of COMPRESSIONS) {
      const cache = box().path(`cache-${compression}`);
      await transfers.push({ store: box().path('store'), roots: [large.path], cache, keys: [KEY], compression });
    }
  });
  afterAll(() => transfers.close());

  /** Pulls into one store that must stay empty; gives what it failed with. */
  const failureOf = async (cache: string, path: string): Promise<unknown> => {
    const store = box().path('victim');
    const pulled = await transfers.pull({ caches: [cache], store, roots: [path], keys: [KEY.publicKey] }).then(
      () => undefined,
      (error: unknown) => error,
    );
    const left = [];
    for (const directory of ['nix/store', 'nix/var/carport/info']) {
      left.push(...(await readdir(`${store}/${directory}`).catch(() => [])));
    }
    expect(left, 'something was left').toEqual([]);
    return pulled;
  };
  const expectIntegrity = (error: unknown, what: string) => {
    expect(error, `${what} was accepted`).toBeInstanceOf(CarportError);
    const { code, message } = error as CarportError;
    expect(exitCodeOf(code), `${what}: ${message}`).toBe(6);
  };
  /** A copy of the cache, and the file in it that holds the NAR or narinfo of a path. */
  const prepare = async (name: string, from: string, path: string) => {
    const cache = await copyCache(from, box().path(name));
    const nar = `${cache}/${(await narInfosOf(cache)).get(path)!.url}`;
    return { cache, nar, narInfo: `${cache}/${hashPartOf(path)}.narinfo` };
  };

  it.each(COMPRESSIONS)('at any offset of a small NAR (%s) is found, and nothing is left', async (compression) => {
    const { cache, nar } = await prepare(`small-${compression}`, box().path(`cache-${compression}`), paths.small!);
    const whole = await readFile(nar);
    expect(whole.length).toBeGreaterThan(150);
    for (let offset = 0; offset < whole.length; offset++) {
      const bytes = Buffer.from(whole);
      bytes[offset]! ^= 1 << (offset % 8);
      await writeFile(nar, bytes);
      expectIntegrity(await failureOf(cache, paths.small!), `byte ${offset} of ${whole.length}`);
    }
    await writeFile(nar, whole);
  });

  it.each(COMPRESSIONS)('at any of many offsets of a large NAR (%s) is found', async (compression) => {
    const name = `large-${compression}`;
    const { cache, nar } = await prepare(name, box().path(`cache-${compression}`), paths.large!);
    // What it refers to is there already: only the large one is fetched.
    const store = box().path(`victim-${compression}`);
    await transfers.pull({ caches: [cache], store, roots: [paths.small!], keys: [KEY.publicKey] });
    const whole = await readFile(nar);
    const ends = [0, 1, 4, 8, 17, 100, whole.length - 1, whole.length - 5, whole.length - 9, whole.length - 40];
    const offsets = [...ends, ...Array.from({ length: 40 }, (_, n) => Math.floor(((n + 0.5) * whole.length) / 40))];
    for (const offset of offsets) {
      const bytes = Buffer.from(whole);
      bytes[offset]! ^= 0x80;
      await writeFile(nar, bytes);
      const pull = transfers.pull({ caches: [cache], store, roots: [paths.large!], keys: [KEY.publicKey] });
      expectIntegrity(
        await pull.then(
          () => undefined,
          (error: unknown) => error,
        ),
        `byte ${offset}`,
      );
      expect(await readdir(`${store}/nix/store`)).toEqual([paths.small!.slice('/nix/store/'.length)]);
    }
  });

  it.each(COMPRESSIONS)('is found also when nothing but what is signed tells it (%s)', async (compression) => {
    const { cache, nar, narInfo } = await prepare(
      `bare-${compression}`,
      box().path(`cache-${compression}`),
      paths.small!,
    );
    const text = await readFile(narInfo, 'latin1');
    await writeFile(narInfo, text.replace(/^File(Hash|Size): .*\n/gm, ''), 'latin1');
    const whole = await readFile(nar);
    let harmless = 0;
    for (let offset = 0; offset < whole.length; offset += 3) {
      const bytes = Buffer.from(whole);
      bytes[offset]! ^= 1 << (offset % 8);
      await writeFile(nar, bytes);
      const store = box().path(`bare-store-${compression}-${offset}`);
      const pull = transfers.pull({ caches: [cache], store, roots: [paths.small!], keys: [KEY.publicKey] });
      const error = await pull.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      // Flags and tables of the compressed file may change, as long as the NAR is what was signed.
      if (error === undefined) harmless++;
      else expectIntegrity(error, `byte ${offset}`);
      const tree = await readFile(`${store}${paths.small}/text`, 'utf8').catch(() => undefined);
      expect(tree).toBe(error === undefined ? 'hello' : undefined);
    }
    expect(harmless).toBeLessThan(compression === 'none' ? 1 : 50);
  });

  it.each(['StorePath', 'NarHash', 'NarSize', 'References', 'Sig'])(
    'in the signed field %s is found at any offset, whichever bit it is',
    async (field) => {
      const { cache, narInfo } = await prepare(`narinfo-${field}`, box().path('cache-zstd'), paths.large!);
      const whole = await readFile(narInfo);
      const start = whole.indexOf(`${field}: `);
      const end = whole.indexOf('\n', start);
      expect(end - start).toBeGreaterThan(10);
      for (let offset = start; offset < end; offset++) {
        for (let bit = 0; bit < 8; bit++) {
          const bytes = Buffer.from(whole);
          bytes[offset]! ^= 1 << bit;
          await writeFile(narInfo, bytes);
          const error = await failureOf(cache, paths.large!);
          expectIntegrity(error, `bit ${bit} of byte ${offset - start} of ${field}`);
        }
      }
    },
  );

  it('ends the command with 6, an error that names the path, and a store without it', async () => {
    await mkdir(box().path('cli'));
    for (const [compression, where] of [
      ['none', 0.5],
      ['zstd', 0.5],
      ['xz', 0.5],
      ['zstd', 0.99],
    ] as const) {
      const name = `cli/${compression}-${where}`;
      const { cache, nar } = await prepare(name, box().path(`cache-${compression}`), paths.large!);
      const bytes = await readFile(nar);
      bytes[Math.floor(bytes.length * where)]! ^= 4;
      await writeFile(nar, bytes);
      const store = box().path(`${name}-store`);
      const { exitCode, stdout, stderr } = await box().carport([
        ...['pull', paths.large!, '--from', cache, '--store', store],
        ...['--trusted-key', renderPublicKey(KEY.publicKey), '--out-link', box().path('result')],
      ]);
      expect([exitCode, stdout]).toEqual([6, '']);
      expect(stderr).toContain(`error[E_INTEGRITY]: the NAR of \`${paths.large}\``);
      expect((await box().succeed(['store', 'ls', '--store', store])).stdout).not.toContain('large');
      expect((await readdir(`${store}/nix/store`)).filter((entry) => !entry.endsWith('-small'))).toEqual([]);
      expect(await readdir(box().root)).not.toContain('result');
    }
  });
});
