import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { serve } from '../support/cache-commands.js';
import { readPart } from '../support/cache-server.js';
import { useChildren } from '../support/processes.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);
const MIB = 1024 * 1024;
const SIZE = 24 * MIB;

const children = useChildren();

const FILES = 12;

/** A cache with large paths, whose server sends so much of a NAR in an answer until it is told to go on, of the NARs that were asked for first, and what pulls them. */
async function cacheOf(names: readonly string[] = ['tree'], held = names.length) {
  const paths: string[] = [];
  for (const name of names) {
    await mkdir(at(name));
    for (let file = 0; file < FILES; file++) await writeFile(at(name, `file-${file}`), randomBytes(SIZE / FILES));
    paths.push((await box().succeed(['store', 'add', at(name), '--store', at('builds')])).lines[0]!);
  }
  await box().succeed(['push', ...paths, '--store', at('builds'), '--to', at('cache')]);
  const asked = new Set<string>();
  const server = { most: 0, sent: 0, goOn: () => {} };
  const mayGoOn = new Promise<void>((resolve) => {
    server.goOn = resolve;
  });
  const url = await serve(async (request, response) => {
    const found = await readPart(at('cache'), request);
    if (found === undefined) return response.writeHead(404).end();
    const { name, part } = found;
    response.writeHead(found.status, { 'content-length': part.length, ...found.headers });
    if (!name.startsWith('/nar/') || part.length < MIB) return response.end(part);
    asked.add(name);
    const isHeld = [...asked].indexOf(name) < held;
    const first = isHeld ? server.most : part.length;
    response.write(part.subarray(0, first));
    server.sent += first;
    if (isHeld) await mayGoOn;
    if (response.destroyed) return;
    server.sent += part.length - first;
    response.end(part.subarray(first));
  });
  const store = at('store');
  const pull = (wanted: readonly string[] = paths, options: readonly string[] = []) => {
    const args = [CARPORT, 'pull', ...wanted, '--from', url, '--allow-unsigned', '--store', store, ...options];
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
  return { paths, server, pull, bytesMade, expectWhole };
}

const waiting = (text: string) => text.match(/waiting: process \d+ pulls/g)?.length ?? 0;

it('two that begin at the same time fetch a large path once, and one says that it waits', async () => {
  const { paths, server, pull, expectWhole } = await cacheOf();
  server.most = 12 * MIB;
  const pulls = [pull(), pull(), pull()];
  // The one that fetches may have seen another that tried at the same time.
  const said = () => pulls.map(({ said: { err } }) => waiting(err)).sort();
  await expect.poll(() => said().slice(1), { timeout: 60_000 }).toEqual([1, 1]);
  await setTimeout(1000);
  server.goOn();
  expect(await Promise.all(pulls.map(({ ended }) => ended))).toEqual([0, 0, 0]);
  expect(said().slice(1)).toEqual([1, 1]);
  for (const { said: each } of pulls) expect(each.out).toBe(`${paths[0]}\n`);
  expect(server.sent).toBeLessThan(SIZE * 1.05);
  await expectWhole();
});

it('nobody waits for a path that another pull has not begun', async () => {
  const { paths, server, pull, bytesMade, expectWhole } = await cacheOf(['a', 'b', 'c'], 1);
  server.most = 12 * MIB;
  const first = pull(paths, ['--jobs', '1']);
  await expect.poll(bytesMade, { timeout: 60_000 }).toBeGreaterThan(MIB);
  let done = 0;
  const others = paths.map((path) => pull([path]));
  for (const { ended } of others) void ended.then(() => done++);
  const told = () => others.map(({ said: { err } }) => waiting(err)).sort();
  await expect.poll(() => [done, told()], { timeout: 60_000 }).toEqual([2, [0, 0, 1]]);
  server.goOn();
  expect(await Promise.all([first, ...others].map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(told()).toEqual([0, 0, 1]);
  expect(server.sent).toBeLessThan(3 * SIZE * 1.05);
  await expectWhole();
});

it('pulls that have paths in common make each once, in whatever order', async () => {
  const { paths, server, pull, expectWhole } = await cacheOf(['a', 'b', 'c'], 0);
  const [a, b, c] = paths as [string, string, string];
  const wanted = [
    [a, b, c],
    [c, b, a],
    [b, c],
    [a, c],
  ];
  const pulls = wanted.map((each) => pull(each, ['--jobs', '1']));
  expect(await Promise.all(pulls.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(server.sent).toBeLessThan(3 * SIZE * 1.05);
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
