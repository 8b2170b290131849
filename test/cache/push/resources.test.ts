import { readFile, rm, truncate } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAdder, noise } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';
import { faultsOf } from '../../support/transfers.js';

const MEASURE = fileURLToPath(new URL('../../support/measure.mjs', import.meta.url));
const MEMORY_LIMIT = 400e6;
const DELAY_LIMIT_MS = 50;

/** A busy machine delays any process: what blocks the event loop does so in each of the attempts. */
const ATTEMPTS = 4;

interface Measured {
  readonly maxDelayMs: number;
  readonly maxRss: number;
}

describe('a push and a pull of a path of 300 MB', () => {
  const box = useSandbox('all');
  let path: string;
  beforeAll(async () => {
    const add = createAdder(box().path('store'), box().path('trees'));
    // Half of it compresses to nothing, half hardly at all: 120 MB of noise, and a hole.
    const source = { noise: Buffer.concat(Array.from({ length: 15 }, (_, seed) => noise(8e6, seed))), hole: '' };
    const sparse = box().path('trees', 'large');
    const info = await add('large', source).then(async () => {
      await truncate(`${sparse}/hole`, 180e6);
      return add('large', {});
    });
    path = info.path;
    expect(info.narSize).toBeGreaterThan(300e6);
    await add.close();
  });

  const measure = async (args: readonly string[]): Promise<Measured> => {
    const file = box().path('measured.json');
    await rm(file, { force: true });
    const env = { NODE_OPTIONS: `--import=${MEASURE}`, CARPORT_TEST_MEASURE: file };
    await box().succeed(args, { env });
    return JSON.parse(await readFile(file, 'utf8')) as Measured;
  };

  /** The least delay of a few attempts, and the most memory. */
  const measureOften = async (args: readonly string[], target: string): Promise<Measured> => {
    let [maxDelayMs, maxRss] = [Number.POSITIVE_INFINITY, 0];
    for (let attempt = 0; attempt < ATTEMPTS && maxDelayMs >= DELAY_LIMIT_MS; attempt++) {
      if (attempt > 0) await rm(target, { recursive: true, force: true });
      const measured = await measure(args);
      maxDelayMs = Math.min(maxDelayMs, measured.maxDelayMs);
      maxRss = Math.max(maxRss, measured.maxRss);
    }
    console.log(`${args[0]}: ${Math.round(maxRss / 1e6)} MB, event loop delayed ${maxDelayMs.toFixed(1)} ms at most`);
    return { maxDelayMs, maxRss };
  };

  it.each(['zstd', 'none'])('stay within 400 MB and never block the event loop for 50 ms (%s)', async (compression) => {
    const cache = box().path(`cache-${compression}`);
    const push = ['push', path, '--store', box().path('store'), '--to', cache, '--compression', compression];
    const pushed = await measureOften([...push, '--jobs', '4'], cache);
    expect(await faultsOf(cache)).toEqual([]);
    expect(pushed.maxRss).toBeLessThan(MEMORY_LIMIT);
    expect(pushed.maxDelayMs).toBeLessThan(DELAY_LIMIT_MS);

    const target = box().path(`pulled-${compression}`);
    const pull = ['pull', path, '--from', cache, '--allow-unsigned', '--store', target];
    const pulled = await measureOften(pull, target);
    expect(pulled.maxRss).toBeLessThan(MEMORY_LIMIT);
    expect(pulled.maxDelayMs).toBeLessThan(DELAY_LIMIT_MS);
    await rm(cache, { recursive: true });
  });
});
