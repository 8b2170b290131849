import { existsSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { type CacheServer, useCacheServers } from '../support/cache-server.js';
import { usePool } from '../support/pool.js';
import { makeBuild, pathOf } from '../support/rebuilds.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const OLD = { number: 1 };
const NEW = { number: 2, patched: true };

describe('carport pull of a rebuilt closure', () => {
  const box = useSandbox('all');
  const pool = usePool(1);
  const serve = useCacheServers();
  let key: KeyFile;
  let server: CacheServer;

  beforeAll(async () => {
    key = await box().makeKey('test-1');
    const store = openOwnStore(box().path('builds'));
    for (const build of [OLD, NEW]) {
      const root = await makeBuild(store, pool, build);
      const options = ['--store', box().path('builds'), '--secret-key', key.file];
      await box().succeed(['push', root, '--to', `file://${box().path('cache')}`, '--pin', 'tool', ...options]);
    }
  });
  beforeEach(async () => {
    server = await serve(box().path('cache'));
  });
  const pull = (store: string, ...args: readonly string[]) => {
    const options = ['--from', server.url, '--trusted-key', key.publicKey, '--store', box().path(store)];
    return box().succeed(['pull', ...args, ...options]);
  };
  const verify = async (store: string) => {
    const { stderr } = await box().succeed(['store', 'verify', '--store', box().path(store)]);
    expect(stderr).toMatch(/all whole/);
  };

  it('tells what it fetches and what is here, and fetches that', async () => {
    await pull('one', 'tool@previous');
    const whole = server.taken().bytes;
    const dry = await pull('one', 'tool', '--dry-run');
    expect(dry.stderr).toMatch(
      /^6 paths: 0 already here, 6 to fetch \(7\.\d MiB\): 6\.\d MiB of it are here, \d{3}\.\d KiB compressed are not$/m,
    );
    server.taken();
    const { lines } = await pull('one', 'tool', '--json');
    const events = lines.map((line) => JSON.parse(line));
    const plan = events.find(({ type }) => type === 'plan');
    expect(plan).toMatchObject({ transfer: 6, fetchSize: expect.any(Number), hereSize: expect.any(Number) });
    expect(plan.fetchSize).toBeLessThan(whole / 3);
    expect(events.at(-1)).toMatchObject({ type: 'summary', fetchSize: plan.fetchSize, hereSize: plan.hereSize });
    expect(server.taken().bytes).toBeLessThan(whole / 3 + 20_000);
    expect(existsSync(box().path('state/carport/local-chunks'))).toBe(true);
    await verify('one');
  });

  it('takes from the store at its usual place, also into another one, and fetches all with --no-delta', async () => {
    const options = ['--from', server.url, '--trusted-key', key.publicKey];
    await box().succeed(['pull', pathOf('root', OLD), ...options]);
    const whole = server.taken().bytes;
    const { lines } = await pull('two', pathOf('root', NEW), '--no-delta', '--json');
    expect(JSON.parse(lines[0]!)).toHaveProperty('hereSize', 0);
    expect(server.taken().bytes).toBeGreaterThan(whole * 0.9);
    await pull('three', pathOf('root', NEW));
    expect(server.taken().bytes).toBeLessThan(whole / 3 + 20_000);
    await verify('three');
  });
});
