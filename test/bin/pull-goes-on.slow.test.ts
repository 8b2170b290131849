import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { CHUNK_SIZES } from '#lib/compression/chunks/chunker.js';
import { serve } from '../support/cache-commands.js';
import { readPart } from '../support/cache-server.js';
import { createAdder } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);
const SIZE = 10_000_000;

/** How the server answers for a part of a NAR. */
type Ranges = (response: ServerResponse, from: number, bytes: Buffer) => void;

const goOn: Ranges = (response, from, bytes) => {
  const headers = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(206, { ...headers, 'content-length': bytes.length - from }).end(bytes.subarray(from));
};
const sendAll: Ranges = (response, _, bytes) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
const refuse =
  (status: number): Ranges =>
  (response) =>
    response.writeHead(status).end();
const partOf =
  (headers: (from: number, size: number) => OutgoingHttpHeaders, status = 206): Ranges =>
  (response, from, bytes) =>
    response.writeHead(status, headers(from, bytes.length)).end(bytes.subarray(from));

/** A cache on a server with a large path, whose file tells nothing of its parts, and what pulls it. */
async function largeCache() {
  const key = await box().makeKey('k-1');
  const add = createAdder(at('store'), at('trees'));
  const { path } = await add('large', { file: randomBytes(SIZE).toString('latin1') });
  await add.close();
  const to = ['--to', at('cache'), '--secret-key', key.file, '--compression', 'none'];
  await box().succeed(['push', path, '--store', at('store'), ...to]);

  /** Bytes of a NAR that are sent before the server is gone, or says nothing more, and how it answers for a part. */
  const server = { sends: Number.POSITIVE_INFINITY, stays: false, ranges: goOn };
  const asked: string[] = [];
  const url = await serve((request, response) => {
    const name = new URL(request.url!, 'http://x').pathname;
    readFile(at('cache', name)).then(
      (bytes) => {
        if (!name.startsWith('/nar/')) return response.end(bytes);
        const { range } = request.headers;
        asked.push(range ?? 'all');
        if (server.sends < SIZE) {
          if (asked.length > 1) return response.destroy();
          const begun = bytes.subarray(0, server.sends);
          response.writeHead(200, { 'content-length': bytes.length });
          return response.write(begun, () => server.stays || response.destroy());
        }
        const from = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
        return range === undefined ? sendAll(response, 0, bytes) : server.ranges(response, from, bytes);
      },
      () => response.writeHead(404).end(),
    );
  });
  const args = (store: string) => [
    ...['pull', path, '--from', url, '--trusted-key', key.publicKey, '--store', at(store)],
    ...['--retry-seconds', '1'],
  ];
  const kept = async (store: string) => {
    const directory = at(store, 'nix/var/carport/partial');
    return (await readdir(directory).catch(() => [])).map((name) => join(directory, name));
  };
  const become = (state: Partial<typeof server>) => {
    Object.assign(server, { sends: Number.POSITIVE_INFINITY, stays: false, ranges: goOn }, state);
    asked.length = 0;
  };
  const breakOff = async (store: string) => {
    become({ sends: 6_000_000 });
    expect((await box().carport(args(store))).exitCode).toBe(75);
    const [file, ...more] = await kept(store);
    expect(more).toEqual([]);
    become({});
    return file!;
  };
  const whole = async (store: string) => {
    expect(await box().carport(args(store))).toMatchObject({ exitCode: 0, lines: [path] });
    expect(await kept(store)).toEqual([]);
  };
  return { args, asked, kept, become, breakOff, whole };
}

it('a pull that ends in a large path is gone on with: by ranges or without, also where what is kept is wrong', async () => {
  const { asked, kept, become, breakOff, whole } = await largeCache();
  const size = (await stat(await breakOff('a'))).size;
  expect(size).toBeGreaterThan(2_000_000);
  await whole('a');
  expect(asked).toEqual([expect.stringMatching(new RegExp(`^bytes=${size}-\\d+$`))]);

  await breakOff('b');
  become({ ranges: sendAll });
  await whole('b');

  const file = await breakOff('c');
  await writeFile(file, randomBytes(size));
  await whole('c');
  expect(asked.at(-1)).toBe('all');

  // What nobody goes on with is removed a day later, and with all the rest.
  const old = await breakOff('d');
  const [name] = [old.replace(`-${process.pid}-`, '-999999999-')];
  await writeFile(name!, 'x');
  await box().succeed(['store', 'gc', '--store', at('d')]);
  expect(await kept('d')).toHaveLength(2);
  await utimes(name!, 1, 1);
  await box().succeed(['store', 'gc', '--store', at('d')]);
  expect(await kept('d')).toEqual([old]);
});

it('what is kept is of no harm, whatever a server says to who asks for a part, nor is a run that was killed', async () => {
  const { args, asked, kept, become, whole } = await largeCache();
  become({ sends: 6_000_000, stays: true });
  const child = spawn(process.execPath, [CARPORT, ...args('killed')], { env: box().env, stdio: 'ignore' });
  const sizes = async () => Promise.all((await kept('killed')).map(async (file) => (await stat(file)).size));
  await expect.poll(sizes, { timeout: 60_000 }).toEqual([expect.toSatisfy((size: number) => size > 3_000_000)]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const [file] = await kept('killed');
  const bytes = await readFile(file!);
  become({});
  await whole('killed');
  expect(asked).toEqual([expect.stringMatching(new RegExp(`^bytes=${bytes.length}-\\d+$`))]);

  const answers: readonly Ranges[] = [
    ...[400, 403, 404, 416, 501].map(refuse),
    // No Content-Range, or that of another part, or of a file that has become another.
    partOf(() => ({})),
    partOf((from, size) => ({ 'content-range': `bytes ${from - 1}-${size - 1}/${size}` })),
    partOf((from, size) => ({ 'content-range': `bytes 0-${size - from - 1}/${size}` }), 200),
    partOf((from) => ({ 'content-range': `bytes ${from}-${from + 9}/${from + 10}`, 'content-length': 10 })),
    // Encoded; other bytes than those that were meant.
    partOf((from, size) => ({ 'content-range': `bytes ${from}-${size - 1}/${size}`, 'content-encoding': 'gzip' })),
    (response, from, all) => goOn(response, from, Buffer.alloc(all.length)),
  ];
  for (const [index, ranges] of answers.entries()) {
    const store = `store-${index}`;
    const left = at(store, 'nix/var/carport/partial', basename(file!));
    await mkdir(dirname(left), { recursive: true });
    await writeFile(left, bytes);
    become({ ranges });
    await whole(store);
    expect(
      asked.map((range) => (range === 'all' ? range : 'part')),
      `answer ${index}`,
    ).toEqual(['part', 'all']);
    await rm(at(store), { recursive: true, force: true });
  }
});

/** Bytes that are in memory when nothing more comes, at most: a few chunks, and what is not one yet. */
const IN_FLIGHT = 12_000_000;

/** Paths of a large file, and of many small ones; nothing of them can be compressed. */
const PATHS = {
  one: { file: randomBytes(60_000_000) },
  many: Object.fromEntries(Array.from({ length: 6000 }, (_, index) => [`f${index}`, randomBytes(10_000)])),
} as const;

it.each(Object.entries(PATHS))(
  'a pull that is killed or interrupted goes on from its tree, wherever that was: %s',
  async (_, files) => {
    await mkdir(at('tree'));
    for (const [name, bytes] of Object.entries(files)) await writeFile(at('tree', name), bytes);
    const [path] = (await box().succeed(['store', 'add', at('tree'), '--store', at('store')])).lines;
    await box().succeed(['push', path!, '--store', at('store'), '--to', at('cache')]);
    const [nar] = await readdir(at('cache/nar'));
    const { size } = await stat(at('cache/nar', nar!));
    const server = { most: Number.POSITIVE_INFINITY, sent: 0 };
    const url = await serve(async (request, response) => {
      const found = await readPart(at('cache'), request);
      if (found === undefined) return response.writeHead(404).end();
      const { name, part } = found;
      response.writeHead(found.status, { 'content-length': part.length, ...found.headers });
      if (!name.startsWith('/nar/')) return response.end(part);
      server.sent += Math.min(part.length, server.most);
      return part.length > server.most ? response.write(part.subarray(0, server.most)) : response.end(part);
    });
    for (const [kill, [fraction, signal]] of (
      [
        [0.25, 'SIGKILL'],
        [0.5, 'SIGTERM'],
        [0.75, 'SIGINT'],
        [0.95, 'SIGKILL'],
      ] as const
    ).entries()) {
      const store = at(`store-${kill}`);
      const args = ['pull', path!, '--from', url, '--allow-unsigned', '--store', store];
      const left = async () =>
        (await readdir(join(store, 'nix/store')).catch(() => [])).filter((name) => name[0] === '.');
      const bytesLeft = async () => {
        const trees = (await left()).map((name) => join(store, 'nix/store', name));
        if (trees.length === 0) return 0;
        return Number((await run('du', ['-sc', '-B1', '--apparent-size', ...trees])).match(/(\d+)\ttotal/)?.[1] ?? 0);
      };
      Object.assign(server, { most: fraction * size, sent: 0 });
      const child = spawn(process.execPath, [CARPORT, ...args], { env: box().env, stdio: 'ignore' });
      await expect.poll(bytesLeft, { timeout: 60_000 }).toBeGreaterThan(fraction * size - IN_FLIGHT);
      child.kill(signal);
      await once(child, 'exit');
      expect(await left()).toHaveLength(1);
      server.most = Number.POSITIVE_INFINITY;
      const { lines } = await box().succeed([...args, '--json', ...(kill === 0 ? ['--no-delta'] : [])]);
      // What was in flight is fetched again: some chunks, and those at both ends of the file that was not ended.
      expect(server.sent).toBeLessThan(size * 1.01 + IN_FLIGHT + 2 * CHUNK_SIZES.max);
      const { fetchSize } = JSON.parse(lines[0]!);
      expect(Math.abs(fetchSize - (server.sent - fraction * size))).toBeLessThan(100_000);
      expect(await left()).toEqual([]);
      await box().succeed(['store', 'verify', '--store', store]);
      await rm(store, { recursive: true, force: true });
    }
  },
);

async function run(program: string, args: readonly string[]): Promise<string> {
  return (await execa(program, args, { reject: false })).stdout;
}
