import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { answerWith, useHttpServers } from '../support/http-server.js';
import { usePool } from '../support/pool.js';
import { makeBuild, pathOf } from '../support/rebuilds.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const OLD = { number: 1 };
const NEW = { number: 2, patched: true };

describe('carport pull of a rebuilt closure', () => {
  const box = useSandbox('all');
  const pool = usePool(1);
  const server = useHttpServers();
  let key: KeyFile;
  let sent: number;
  let from: string;

  /** The cache on a web server that counts what it sends. */
  const answer: RequestListener = async (request, response) => {
    const bytes = await readFile(box().path('cache', request.url!)).catch(() => undefined);
    if (bytes === undefined) return answerWith(response, '', { status: 404 });
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const body = first === undefined ? bytes : bytes.subarray(Number(first), Number(last) + 1);
    sent += body.length;
    const headers = { 'content-range': `bytes ${first}-${Number(first) + body.length - 1}/${bytes.length}` };
    answerWith(response, body, first === undefined ? {} : { status: 206, headers });
  };
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
    from = (await server(answer)).url.href;
    sent = 0;
  });
  const pull = (store: string, ...args: readonly string[]) => {
    const options = ['--from', from, '--trusted-key', key.publicKey, '--store', box().path(store)];
    return box().succeed(['pull', ...args, ...options]);
  };
  const verify = async (store: string) => {
    const { stderr } = await box().succeed(['store', 'verify', '--store', box().path(store)]);
    expect(stderr).toMatch(/all whole/);
  };

  it('tells what it fetches and what is here, and fetches that', async () => {
    await pull('one', 'tool@previous');
    const whole = sent;
    const dry = await pull('one', 'tool', '--dry-run');
    expect(dry.stderr).toMatch(
      /^6 paths: 0 already here, 6 to fetch \(7\.\d MiB\): [45]\.\d MiB of it are here in other paths, 1\.\d MiB compressed are not$/m,
    );
    sent = 0;
    const { lines } = await pull('one', 'tool', '--json');
    const events = lines.map((line) => JSON.parse(line));
    const plan = events.find(({ type }) => type === 'plan');
    expect(plan).toMatchObject({ transfer: 6, fetchSize: expect.any(Number), hereSize: expect.any(Number) });
    expect(plan.fetchSize).toBeLessThan(whole / 3);
    expect(events.at(-1)).toMatchObject({ type: 'summary', fetchSize: plan.fetchSize, hereSize: plan.hereSize });
    expect(sent).toBeLessThan(whole / 3 + 20_000);
    expect(existsSync(box().path('state/carport/local-chunks'))).toBe(true);
    await verify('one');
  });

  it('fetches all with --no-delta', async () => {
    await pull('two', pathOf('root', OLD));
    const whole = sent;
    sent = 0;
    const { lines } = await pull('two', pathOf('root', NEW), '--no-delta', '--json');
    expect(JSON.parse(lines[0]!)).not.toHaveProperty('hereSize');
    expect(sent).toBeGreaterThan(whole * 0.9);
    await verify('two');
  });

  it('takes from the store at its usual place, also into another one', async () => {
    const options = ['--from', from, '--trusted-key', key.publicKey];
    await box().succeed(['pull', pathOf('root', OLD), ...options]);
    const whole = sent;
    sent = 0;
    await pull('three', pathOf('root', NEW));
    expect(sent).toBeLessThan(whole / 3 + 20_000);
    await verify('three');
  });
});
