import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPublicKey } from '#lib/signing/key.js';
import { killCount, runAndKill, timeOf } from '../../support/kill.js';
import { createLargeStore, sampleKey, snapshot } from '../../support/samples.js';
import { CARPORT, removeAll, useSandbox } from '../../support/sandbox.js';
import { createTransfers, type Transfers } from '../../support/transfers.js';

const SIZES = Array.from({ length: 30 }, (_, index) => (index % 8 === 0 ? 1_500_000 : 1500 * index));
const KEY = sampleKey('test-1');

describe('a pull', () => {
  const box = useSandbox('all');
  let transfers: Transfers;
  let large: Awaited<ReturnType<typeof createLargeStore>>;
  beforeAll(async () => {
    transfers = createTransfers();
    large = await createLargeStore(box().root, SIZES);
    await transfers.push({ store: large.root, roots: [large.top], cache: box().path('cache'), keys: [KEY] });
  });
  afterAll(() => transfers.close());

  const pullInto = (store: string) => [
    ...['pull', large.top, '--from', box().path('cache'), '--store', store],
    ...['--trusted-key', renderPublicKey(KEY.publicKey)],
  ];
  const expectWhole = async (store: string) => {
    const { stderr } = await box().succeed(['store', 'verify', '--store', store]);
    expect(stderr).toBe(`${large.paths.length} paths checked, all whole\n`);
    expect((await readdir(`${store}/nix/store`)).length).toBe(large.paths.length);
    expect((await readdir(`${store}/nix/var/carport/info`)).length).toBe(large.paths.length);
  };

  it('that is killed at any instant registers only what is whole, and the next one completes it', async () => {
    const kills = killCount(12);
    const store = box().path('killed');
    const duration = await timeOf(() => box().succeed(pullInto(store)));
    await removeAll(store);
    let partial = 0;
    for (let attempt = 0; attempt < kills; attempt++) {
      const delay = duration * (0.1 + Math.random());
      await runAndKill(box(), pullInto(store), delay);
      const verified = await box().carport(['store', 'verify', '--store', store]);
      expect(verified.exitCode, `killed after ${delay} of ${duration} ms: ${verified.stdout}`).toBe(0);
      const { lines } = await box().succeed(['store', 'ls', '--store', store]);
      if (lines.length > 0 && lines.length < large.paths.length) partial++;
      if (attempt % 2 === 1) {
        await box().succeed(pullInto(store));
        await expectWhole(store);
        await removeAll(store);
      }
    }
    expect(partial).toBeGreaterThan(0);
  });

  it('beside another one of the same closure into the same store is as good as alone', async () => {
    const contents = await snapshot(`${large.root}/nix/store`);
    for (let round = 0; round < 10; round++) {
      const store = box().path(`both-${round}`);
      const pulls = await Promise.all([box().carport(pullInto(store)), box().carport(pullInto(store))]);
      for (const { exitCode, stderr } of pulls) expect(exitCode, stderr).toBe(0);
      for (const { lines } of pulls) expect([...lines].sort()).toEqual([...large.paths].sort());
      if (round % 3 === 0) await expectWhole(store);
      expect((await readdir(`${store}/nix/store`)).sort()).toEqual(large.paths.map((path) => path.slice(11)).sort());
      expect(Object.keys(await snapshot(`${store}/nix/store`)).length).toBe(Object.keys(contents).length);
      await removeAll(store);
    }
  });

  it('stops at an interrupt, says so, and leaves nothing half done', async () => {
    const store = box().path('interrupted');
    const duration = await timeOf(() => box().succeed(pullInto(store)));
    const seen = new Set<number | null>();
    for (const part of [0.5, 0.6, 0.7, 0.8]) {
      await removeAll(store);
      const child = spawn(process.execPath, [CARPORT, ...pullInto(store)], {
        env: box().env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (bytes: Buffer) => {
        stderr += bytes;
        // Once it has begun, wait a little.
        if (stderr.includes('to fetch')) setTimeout(() => child.kill('SIGINT'), (duration * part) / 4);
      });
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      seen.add(code);
      expect([0, 130]).toContain(code);
      if (code === 130) {
        expect(stderr).toContain('error[E_INTERRUPTED]: stopped by SIGINT');
        const temporary = (await readdir(`${store}/nix/store`)).filter((name) => name.startsWith('.'));
        expect(temporary).toEqual([]);
      }
      await box().succeed(['store', 'verify', '--store', store]);
    }
    expect(seen).toContain(130);
  });
});
