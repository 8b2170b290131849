import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { serve } from '../support/cache-commands.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);
const MIB = 1024 * 1024;
const SIZE = 24 * MIB;

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** A cache with a large path, whose server sends so much of a NAR in an answer until it is told to go on, and what pulls it. */
async function cacheOf() {
  await mkdir(at('tree'));
  for (let file = 0; file < 12; file++) await writeFile(at('tree', `file-${file}`), randomBytes(SIZE / 12));
  const [path] = (await box().succeed(['store', 'add', at('tree'), '--store', at('builds')])).lines;
  await box().succeed(['push', path!, '--store', at('builds'), '--to', at('cache')]);
  const server = { most: 0, sent: 0, goOn: () => {} };
  const mayGoOn = new Promise<void>((resolve) => {
    server.goOn = resolve;
  });
  const url = await serve(async (request, response) => {
    const name = new URL(request.url!, 'http://x').pathname;
    const bytes = await readFile(at('cache', name)).catch(() => undefined);
    if (bytes === undefined) return response.writeHead(404).end();
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const part = from === undefined ? bytes : bytes.subarray(Number(from), Number(to) + 1);
    const range = { 'content-range': `bytes ${from}-${to}/${bytes.length}` };
    response.writeHead(from === undefined ? 200 : 206, { 'content-length': part.length, ...(from && range) });
    if (!name.startsWith('/nar/') || part.length < MIB) return response.end(part);
    response.write(part.subarray(0, server.most));
    server.sent += server.most;
    await mayGoOn;
    if (response.destroyed) return;
    server.sent += part.length - server.most;
    response.end(part.subarray(server.most));
  });
  const store = at('store');
  const pull = () => {
    const args = [CARPORT, 'pull', path!, '--from', url, '--allow-unsigned', '--store', store];
    const child = spawn(process.execPath, args, { env: box().env, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    const said = { out: '', err: '' };
    child.stdout!.on('data', (bytes) => {
      said.out += bytes;
    });
    child.stderr!.on('data', (bytes) => {
      said.err += bytes;
    });
    const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
    return { child, said, ended };
  };
  const bytesMade = async () => {
    const names = await readdir(join(store, 'nix/store')).catch(() => []);
    const trees = names.filter((name) => name.startsWith('.'));
    const files = await Promise.all(
      trees.map(async (tree) =>
        (await readdir(join(store, 'nix/store', tree))).map((f) => join(store, 'nix/store', tree, f)),
      ),
    );
    const sizes = await Promise.all(files.flat().map(async (file) => (await stat(file)).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  const expectWhole = async () => {
    expect((await readdir(join(store, 'nix/store'))).filter((name) => name.startsWith('.'))).toEqual([]);
    await box().succeed(['store', 'verify', '--store', store]);
    // Whoever comes next removes what killed ones have left.
    expect(await pull().ended).toBe(0);
    expect(await readdir(join(store, 'nix/var/carport/active'))).toEqual([]);
  };
  return { path: path!, server, pull, bytesMade, expectWhole };
}

const waiting = (text: string) => text.match(/waiting: process \d+ pulls/g)?.length ?? 0;

it('two that begin at the same time fetch a large path once, and one says that it waits', async () => {
  const { path, server, pull, expectWhole } = await cacheOf();
  server.most = 12 * MIB;
  const pulls = [pull(), pull(), pull()];
  const said = () => pulls.map(({ said: { err } }) => waiting(err)).sort();
  await expect.poll(said, { timeout: 60_000 }).toEqual([0, 1, 1]);
  await setTimeout(1000);
  server.goOn();
  expect(await Promise.all(pulls.map(({ ended }) => ended))).toEqual([0, 0, 0]);
  expect(said()).toEqual([0, 1, 1]);
  for (const { said: each } of pulls) expect(each.out).toBe(`${path}\n`);
  expect(server.sent).toBeLessThan(SIZE * 1.05);
  await expectWhole();
});

it('who has waited goes on from the tree of one that was killed', async () => {
  const { server, pull, bytesMade, expectWhole } = await cacheOf();
  server.most = 16 * MIB;
  const first = pull();
  await expect.poll(bytesMade, { timeout: 60_000 }).toBeGreaterThan(10 * MIB);
  const second = pull();
  await expect.poll(() => waiting(second.said.err), { timeout: 60_000 }).toBe(1);
  first.child.kill('SIGKILL');
  expect(await first.ended).toBe('SIGKILL');
  await setTimeout(1000);
  server.goOn();
  expect(await second.ended).toBe(0);
  expect(server.sent).toBeLessThan(SIZE * 1.5);
  await expectWhole();
});

it('nobody waits for one that is stopped, which finds the path there when it goes on', async () => {
  const { server, pull, bytesMade, expectWhole } = await cacheOf();
  server.most = 12 * MIB;
  const first = pull();
  await expect.poll(bytesMade, { timeout: 60_000 }).toBeGreaterThan(MIB);
  first.child.kill('SIGSTOP');
  server.goOn();
  const second = pull();
  expect(await second.ended).toBe(0);
  expect(waiting(second.said.err)).toBe(0);
  first.child.kill('SIGCONT');
  expect(await first.ended).toBe(0);
  await expectWhole();
});

it('who waits can be interrupted, and whom it has waited for goes on', async () => {
  const { server, pull, bytesMade, expectWhole } = await cacheOf();
  server.most = 12 * MIB;
  const first = pull();
  await expect.poll(bytesMade, { timeout: 60_000 }).toBeGreaterThan(MIB);
  const second = pull();
  await expect.poll(() => waiting(second.said.err), { timeout: 60_000 }).toBe(1);
  second.child.kill('SIGINT');
  expect(await second.ended).toBe(130);
  server.goOn();
  expect(await first.ended).toBe(0);
  await expectWhole();
});
