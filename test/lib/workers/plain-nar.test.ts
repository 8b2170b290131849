import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ExpectedNar } from '#lib/compression/verified-nar.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { NarPiece, NarProgress } from '#lib/workers/jobs.js';
import { readPlainNar } from '#lib/workers/plain-nar.js';
import { useDirectory } from '../../support/files.js';
import { usePool } from '../../support/pool.js';
import { frameOf } from '../../support/zstd.js';

const pool = usePool(1);
const scratch = useDirectory();
const nar = randomBytes(1_700_000);
const file = frameOf(nar);
const promise: ExpectedNar = { compression: 'zstd', narHash: hashBytes('sha256', nar), narSize: nar.length };
const running = new AbortController().signal;

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

describe('readPlainNar', () => {
  it('gives the bytes of a NAR, and of one without any pieces before its end', async () => {
    const pieces = await gather(readPlainNar(pool, promise, { source: inPieces(file) }, running));
    expect(pieces.bytes.equals(nar)).toBe(true);
    const small = { compression: 'none', narHash: hashBytes('sha256', 'x'), narSize: 1 };
    const one = await gather(readPlainNar(pool, small, { source: inPieces(Buffer.from('x')) }, running));
    expect(one.bytes.toString()).toBe('x');
  });

  it('goes on from bytes that somebody has, where the NAR begins with these', async () => {
    const digestOf = (size: number) => hashBytes('sha256', nar.subarray(0, size)).digest;
    for (const size of [1, 524_288, 600_000, nar.length - 1]) {
      const after = { size, digest: digestOf(size) };
      const rest = await gather(readPlainNar(pool, promise, { source: inPieces(file) }, running, after));
      expect(rest.bytes.equals(nar.subarray(size))).toBe(true);
      expect(rest.after).toEqual({ size: nar.length, digest: Uint8Array.from(promise.narHash.digest) });
    }
    const other = { size: 600_000, digest: digestOf(600_001) };
    const refused = await gather(readPlainNar(pool, promise, { source: inPieces(file) }, running, other));
    expect([refused.bytes.length, refused.error]).toEqual([0, expect.objectContaining({ code: 'E_INTEGRITY' })]);
  });

  it('gives the last piece of no NAR that is another than was promised', async () => {
    const wrong = Buffer.from(nar);
    wrong[nar.length - 1]! ^= 1;
    const pieces = await gather(readPlainNar(pool, promise, { source: inPieces(frameOf(wrong)) }, running));
    expect(pieces.error).toMatchObject({ code: 'E_INTEGRITY' });
    expect(pieces.bytes.length).toBeLessThan(nar.length);
    expect(pieces.bytes.equals(nar.subarray(0, pieces.bytes.length))).toBe(true);
  });

  it('gives nothing of a wrong NAR that is one piece', async () => {
    const small = { compression: 'none', narHash: hashBytes('sha256', 'x'), narSize: 1 };
    const { bytes, error } = await gather(readPlainNar(pool, small, { source: inPieces(Buffer.from('y')) }, running));
    expect([bytes.length, error]).toEqual([0, expect.objectContaining({ code: 'E_INTEGRITY' })]);
  });

  it('lets its source go when nobody reads on, and goes on with others meanwhile', async () => {
    let isLeft = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield frameOf(randomBytes(200_000));
      } finally {
        isLeft = true;
      }
    }
    const large = { ...promise, narSize: 2 ** 40 };
    const slow = readPlainNar(pool, large, { source: endless() }, running);
    await slow.next();
    // One thread has both.
    const other = await gather(readPlainNar(pool, promise, { source: inPieces(file) }, running));
    expect(other.bytes.equals(nar)).toBe(true);
    await slow.return(undefined);
    await expect.poll(() => isLeft, { timeout: 30_000 }).toBe(true);
  });

  it('holds up no other work when its readers stand still, however many', async () => {
    const directory = scratch();
    const tree = join(directory, 'tree');
    await writeFile(tree, Buffer.alloc(3_000_000));
    const content = await pool.run({ type: 'hash', path: tree });
    // More than is under way to a reader.
    const large = Buffer.alloc(4_000_000);
    await writeFile(join(directory, 'nar'), large);
    const plain = { compression: 'none', narHash: hashBytes('sha256', large), narSize: large.length };
    const stops = Array.from({ length: 40 }, () => new AbortController());
    const from = { file: join(directory, 'nar') };
    const slow = stops.map(({ signal }) => readPlainNar(pool, plain, from, signal));
    await Promise.all(slow.map((reader) => reader.next()));
    const job = { type: 'index-chunks', path: tree, list: [], cutting: 3, narSize: content.narSize } as const;
    const heavy = [1, 2].map(() => pool.run(job, { weight: content.narSize }));
    const other = await gather(readPlainNar(pool, promise, { source: inPieces(file) }, running));
    expect(other.bytes.equals(nar)).toBe(true);
    for (const { sizes } of await Promise.all(heavy)) expect(sizes.length).toBeGreaterThan(0);
    for (const stop of stops) stop.abort(new Error('enough'));
    const ends = await Promise.all(slow.map(gather));
    expect(new Set(ends.map(({ error }) => String(error)))).toEqual(new Set(['Error: enough']));
  });

  it('stops while it waits for bytes that never come', async () => {
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, 1000);
      await new Promise(() => {});
    }
    const stop = new AbortController();
    const reading = gather(readPlainNar(pool, promise, { source: stuck() }, stop.signal));
    stop.abort(new Error('nobody wants it'));
    expect((await reading).error).toMatchObject({ message: 'nobody wants it' });
    const other = await gather(readPlainNar(pool, promise, { source: inPieces(file) }, running));
    expect(other.bytes.equals(nar)).toBe(true);
  });
});

async function gather(
  pieces: AsyncIterable<NarPiece>,
): Promise<{ bytes: Buffer; after?: NarProgress; error?: unknown }> {
  const all: NarPiece[] = [];
  const bytes = () => Buffer.concat(all.map((piece) => piece.bytes));
  try {
    for await (const piece of pieces) all.push(piece);
    return { bytes: bytes(), after: all.at(-1)!.after };
  } catch (error) {
    return { bytes: bytes(), error };
  }
}
