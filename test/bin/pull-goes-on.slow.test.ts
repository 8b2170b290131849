import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { serve } from '../support/cache-commands.js';
import { createAdder } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);
const SIZE = 24_000_000;

it('a pull that ends in a large path is gone on with: by ranges or without, also where what is kept is wrong', async () => {
  const key = await box().makeKey('k-1');
  const add = createAdder(at('store'), at('trees'));
  const { path } = await add('large', { file: randomBytes(SIZE).toString('latin1') });
  await add.close();
  await box().succeed(['push', path, '--store', at('store'), '--to', at('cache'), '--secret-key', key.file]);

  /** Bytes of a NAR that are sent before the server is gone, and whether it knows ranges. */
  const server = { sends: Number.POSITIVE_INFINITY, ranges: true };
  const asked: string[] = [];
  const url = await serve((request, response) => {
    const name = new URL(request.url!, 'http://x').pathname;
    readFile(at('cache', name)).then(
      (bytes) => {
        if (!name.startsWith('/nar/')) return response.end(bytes);
        const from = server.ranges ? Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
        asked.push(request.headers.range ?? 'all');
        if (asked.length > 1 && server.sends < SIZE) return response.destroy();
        response.writeHead(from > 0 ? 206 : 200, {
          'content-length': bytes.length - from,
          ...(from > 0 && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
        });
        const end = Math.min(bytes.length, server.sends);
        response.write(bytes.subarray(from, end), () => (end < bytes.length ? response.destroy() : response.end()));
      },
      () => response.writeHead(404).end(),
    );
  });
  const pull = (store: string) =>
    box().carport([
      ...['pull', path, '--from', url, '--trusted-key', key.publicKey, '--store', at(store)],
      ...['--retry-seconds', '1'],
    ]);
  const kept = async (store: string) => {
    const directory = at(store, 'nix/var/carport/partial');
    return (await readdir(directory).catch(() => [])).map((name) => join(directory, name));
  };
  const breakOff = async (store: string) => {
    Object.assign(server, { sends: 12_000_000, ranges: true });
    asked.length = 0;
    expect((await pull(store)).exitCode).toBe(75);
    const [file, ...more] = await kept(store);
    expect(more).toEqual([]);
    Object.assign(server, { sends: Number.POSITIVE_INFINITY });
    asked.length = 0;
    return file!;
  };
  const whole = async (store: string) => {
    expect(await pull(store)).toMatchObject({ exitCode: 0, lines: [path] });
    expect(await kept(store)).toEqual([]);
    await box().succeed(['store', 'verify', '--store', at(store)]);
  };

  const size = (await stat(await breakOff('a'))).size;
  expect(size).toBeGreaterThan(4_000_000);
  await whole('a');
  expect(asked).toEqual([expect.stringMatching(new RegExp(`^bytes=${size}-\\d+$`))]);

  await breakOff('b');
  server.ranges = false;
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
