import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { faultsIn, openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { createLargeStore } from '../support/samples.js';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';

describeWithGarage('cache gc of a bucket', () => {
  const garage = useGarage();
  const box = useSandbox('all');
  let store: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  let bucket: TestBucket;
  let url: string;
  beforeAll(async () => {
    store = await createLargeStore(box().root, [2000, 600_000, 3000, 4000, 5000, 700_000, 6000, 2500]);
    key = await box().makeKey('gc-1');
  });
  beforeEach(async () => {
    const name = await garage().freshBucket();
    bucket = openBucket(garage(), name);
    url = garage().url(name);
  });
  const env = () => ({ ...box().env, ...garage().env });
  const pushArgs = (path: string, ...more: string[]) => {
    return ['push', path, '--store', store.root, '--to', url, '--secret-key', key.file, ...more];
  };
  const gcArgs = (age: string, ...more: string[]) => {
    return ['cache', 'gc', url, '--trusted-key', key.publicKey, '--keep-newer-than', age, ...more];
  };
  const run = (args: readonly string[]) => box().carport(args, { env: garage().env });
  const pathsIn = async () => [...(await bucket.objects()).keys()].filter((name) => name.endsWith('.narinfo')).length;

  /** Runs carport in a process of its own; kills it after a while unless it ends before. Gives its exit code. */
  async function runFor(args: readonly string[], milliseconds: number): Promise<number | null> {
    const child = spawn(process.execPath, [CARPORT, ...args], { env: env(), cwd: box().path('work'), stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
    const [exitCode] = (await once(child, 'exit')) as [number | null];
    clearTimeout(timer);
    return exitCode;
  }

  it('removes what is neither pinned nor young, in two times, and what stays can be pulled', async () => {
    await run(pushArgs(store.paths[1]!, '--pin', 'tool'));
    await run(pushArgs(store.top));
    // Servers tell their time to the second: until it is over, all of it is young.
    await sleep(1100);
    const before = await bucket.objects();
    const dry = await run(gcArgs('0'));
    expect(await bucket.objects()).toEqual(before);
    expect(dry.stderr).toContain('keeps: the pin `tool`: 1 path');
    expect((await run(gcArgs('0', '--apply'))).exitCode).toBe(0);
    const { stdout } = await run(gcArgs('0', '--apply', '--json'));
    expect(JSON.parse(stdout)).toMatchObject({ dryRun: false, paths: 1, laterBytes: 0, young: { paths: 0 } });
    const names = [...(await bucket.objects()).keys()];
    expect(names.filter((name) => /narinfo$|^nar\//.test(name))).toHaveLength(2);
    expect(names.filter((name) => /^carport\/(leases|sweeps)/.test(name))).toEqual([]);
    const pull = ['pull', 'tool', '--from', url, '--trusted-key', key.publicKey, '--store', box().path('pulled')];
    expect((await run(pull)).exitCode).toBe(0);
  });

  it('stops at a pin of a key that is not trusted, and says so', async () => {
    await run(pushArgs(store.paths[0]!, '--pin', 'tool'));
    const { exitCode, stderr } = await run(['cache', 'gc', url, '--keep-newer-than', '0', '--apply']);
    expect(exitCode).toBe(6);
    expect(stderr).toContain('it is not known what the pin `tool` keeps: nothing is removed');
    expect(await pathsIn()).toBe(1);
  });

  it('leaves a whole cache however pushes and collections are killed beside each other', {
    timeout: 600_000,
  }, async () => {
    await run(pushArgs(store.paths[2]!, '--pin', 'tool'));
    const roots = [store.top, store.paths[7]!, store.paths[5]!];
    for (let round = 0; round < 5; round++) {
      const codes = await Promise.all([
        runFor(pushArgs(roots[round % 3]!), 300 + 350 * round),
        runFor(pushArgs(roots[(round + 1) % 3]!), 180_000),
        runFor(gcArgs('1s', '--apply'), 180_000),
      ]);
      expect([codes[1], [0, 75].includes(codes[2]!)], `round ${round}`).toEqual([0, true]);
      expect(await faultsIn(bucket), `round ${round}`).toEqual([]);
    }
    for (const after of [700, 1000, 1300]) {
      await runFor(gcArgs('1s', '--apply'), after);
      expect(await faultsIn(bucket), `killed after ${after} ms`).toEqual([]);
    }
    const pull = ['pull', 'tool', '--from', url, '--trusted-key', key.publicKey, '--store', box().path('pulled')];
    expect((await run(pull)).exitCode).toBe(0);
  });
});
