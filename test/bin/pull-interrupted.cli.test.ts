import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPublicKey } from '#lib/signing/key.js';
import { killCount, killOften } from '../support/kill.js';
import { createLargeStore, sampleKey, snapshot } from '../support/samples.js';
import { CARPORT, removeAll, useSandbox } from '../support/sandbox.js';
import { createTransfers, type Transfers } from '../support/transfers.js';

const SIZES = Array.from({ length: 24 }, (_, index) => (index % 6 === 0 ? 1_500_000 : 1500 * index));
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
    let generation = 0;
    const store = () => box().path(`killed-${generation}`);
    let runs = 0;
    await killOften(
      box(),
      () => pullInto(store()),
      killCount(6),
      async (wasKilled, at) => {
        const verified = await box().carport(['store', 'verify', '--store', store()]);
        expect(verified.exitCode, `${at}: ${verified.stdout}`).toBe(0);
        const names = await readdir(`${store()}/nix/var/carport/info`).catch(() => []);
        const count = names.filter((name) => !name.startsWith('.')).length;
        if (!wasKilled || runs++ % 2 === 1) {
          await box().succeed(pullInto(store()));
          await expectWhole(store());
          await removeAll(store());
          generation++;
        }
        return count === 0 ? 'nothing' : count < large.paths.length ? 'a part' : 'all';
      },
    );
  });

  it('beside another one of the same closure into the same store is as good as alone', async () => {
    const contents = Object.keys(await snapshot(`${large.root}/nix/store`)).length;
    for (let round = 0; round < 6; round++) {
      const store = box().path(`both-${round}`);
      const pulls = await Promise.all([box().carport(pullInto(store)), box().carport(pullInto(store))]);
      for (const { exitCode, stderr, lines } of pulls) {
        expect(exitCode, stderr).toBe(0);
        expect([...lines].sort()).toEqual([...large.paths].sort());
      }
      if (round % 5 === 0) await expectWhole(store);
      expect((await readdir(`${store}/nix/store`)).sort()).toEqual(large.paths.map((path) => path.slice(11)).sort());
      expect(Object.keys(await snapshot(`${store}/nix/store`)).length).toBe(contents);
      await removeAll(store);
    }
  });

  it('stops at an interrupt, says so, and leaves nothing half done', async () => {
    const store = box().path('interrupted');
    let interrupted = 0;
    // Where it hits is chance: now and then before the work begins, or when it is done.
    for (let delay = 0; interrupted < 3; delay = (delay + 5) % 60) {
      const child = spawn(process.execPath, [CARPORT, ...pullInto(store)], {
        env: box().env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      let isSent = false;
      child.stderr.on('data', (bytes: Buffer) => {
        stderr += bytes;
        // Once it has begun, wait a little. A second one would end it wherever it is.
        if (isSent || !stderr.includes('to fetch')) return;
        isSent = true;
        setTimeout(() => child.kill('SIGINT'), delay);
      });
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      expect([0, 130, null]).toContain(code);
      if (code === 130) {
        expect(stderr).toContain('error[E_INTERRUPTED]: stopped by SIGINT');
        interrupted++;
        const temporary = (await readdir(`${store}/nix/store`)).filter((name) => name.startsWith('.'));
        expect(temporary).toEqual([]);
      }
      await box().succeed(['store', 'verify', '--store', store]);
      await removeAll(store);
    }
  });
});
