import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openChunkMemory } from '#cache/delta/chunk-memory.js';
import { useDirectory } from '../../support/files.js';

const content = (name: string, narSize = 30) => ({
  realPath: `/nix/store/${name}`,
  narHash: createHash('sha256').update(name).digest(),
  narSize,
});
const CHUNKS = { cutting: 3, sizes: Uint32Array.of(10, 20), hashes: new Uint8Array(64).fill(7) } as const;
const NOTHING_GONE = () => false;

describe('what is remembered of local chunks', () => {
  const directory = useDirectory();
  const file = () => join(directory(), 'state/local-chunks');
  const kept = async (...names: readonly string[]) => {
    const memory = await openChunkMemory(file());
    for (const name of names) memory.note(content(name), CHUNKS);
    await memory.keep(NOTHING_GONE);
  };

  it('is there in the next run, for the same content', async () => {
    await kept('one', 'two');
    const memory = await openChunkMemory(file());
    expect(memory.recall(content('one'), 3)).toEqual(CHUNKS);
    expect(memory.recall({ ...content('two'), narHash: content('one').narHash }, 3)).toBeUndefined();
    expect(memory.recall(content('two', 31), 3)).toBeUndefined();
    expect(memory.recall(content('three'), 3)).toBeUndefined();
  });

  it('is of one way of cutting, and of another one, too', async () => {
    const other = { ...CHUNKS, cutting: 2, sizes: Uint32Array.of(5, 25) } as const;
    const memory = await openChunkMemory(file());
    for (const chunks of [CHUNKS, other]) memory.note(content('one'), chunks);
    await memory.keep(NOTHING_GONE);
    const after = await openChunkMemory(file());
    expect([2, 3].map((cutting) => after.recall(content('one'), cutting as 2 | 3))).toEqual([other, CHUNKS]);
    after.forget(content('one').realPath);
    expect([2, 3].map((cutting) => after.recall(content('one'), cutting as 2 | 3))).toEqual([undefined, undefined]);
    const next = await openChunkMemory(file());
    next.note(content('two'), other);
    expect(next.recall(content('two'), 3)).toBeUndefined();
    await next.keep((path) => path === content('one').realPath);
    const last = await openChunkMemory(file());
    expect(last.recall(content('one'), 2) ?? last.recall(content('one'), 3)).toBeUndefined();
    expect(last.recall(content('two'), 2)).toEqual(other);
  });

  it('is dropped when the path is gone, or it was wrong', async () => {
    await kept('one', 'two', 'three');
    const memory = await openChunkMemory(file());
    memory.note(content('four'), CHUNKS);
    memory.forget('/nix/store/three');
    await memory.keep((path) => path === '/nix/store/one' || path === '/nix/store/four');
    const after = await openChunkMemory(file());
    expect(['one', 'two', 'three', 'four'].map((name) => after.recall(content(name), 3) !== undefined)).toEqual([
      ...[false, true, false],
      // It was noted in this run: the names of the store are those of its beginning.
      true,
    ]);
    memory.note(content('five'), CHUNKS);
    await memory.keep((path) => path === '/nix/store/four');
    expect((await openChunkMemory(file())).recall(content('four'), 3)).toBeDefined();
  });

  it('stays beside what another process has noted meanwhile, and is forgotten by whoever finds it wrong', async () => {
    await kept('one', 'two');
    const memory = await openChunkMemory(file());
    await kept('three');
    memory.forget('/nix/store/one');
    await memory.keep(NOTHING_GONE);
    await kept('four');
    memory.note(content('five'), CHUNKS);
    await memory.keep(NOTHING_GONE);
    const after = await openChunkMemory(file());
    const names = ['one', 'two', 'three', 'four', 'five'];
    expect(names.filter((name) => after.recall(content(name), 3))).toEqual(names.slice(1));
  });

  it('is not written where nothing is new', async () => {
    await (await openChunkMemory(file())).keep(NOTHING_GONE);
    expect(existsSync(file())).toBe(false);
  });

  it('counts for nothing where it is not whole, and takes no more than its bounds', async () => {
    await kept('one', 'two');
    const bytes = await readFile(file());
    const withDigest = (changed: Buffer) => Buffer.concat([changed, createHash('sha256').update(changed).digest()]);
    const body = bytes.subarray(0, -32);
    const spoiled = (at: number, value: number) => {
      const copy = Buffer.from(body);
      copy.writeUInt32LE(value, at);
      return withDigest(copy);
    };
    const first = 'carport local chunks 3\n'.length;
    const files = [
      Buffer.alloc(0),
      bytes.subarray(0, -1),
      bytes.subarray(0, 50),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      withDigest(body.subarray(0, -1)),
      withDigest(Buffer.from('carport local chunks 1\n')),
      ...[0, 1, 5, 40, 0x7fffffff, 0xffffffff].map((size) => spoiled(first, size)),
      spoiled(first + 4, 0xffffffff),
      Buffer.alloc(9 * 1024 * 1024),
    ];
    for (const wrong of files) {
      await writeFile(file(), wrong);
      const memory = await openChunkMemory(file());
      expect(memory.recall(content('one'), 3)).toBeUndefined();
      memory.note(content('three'), CHUNKS);
      await memory.keep(NOTHING_GONE);
      expect((await openChunkMemory(file())).recall(content('three'), 3)).toEqual(CHUNKS);
    }
    await mkdir(join(directory(), 'a directory'));
    expect((await openChunkMemory(join(directory(), 'a directory'))).recall(content('one'), 3)).toBeUndefined();
  });

  it('keeps what was used last where there is no room for all', async () => {
    const memory = await openChunkMemory(file());
    const many = { ...CHUNKS, sizes: new Uint32Array(55_000).fill(1), hashes: new Uint8Array(55_000 * 32) };
    for (const name of ['a', 'b', 'c', 'd', 'e']) memory.note(content(name, 55_000), many);
    memory.recall(content('a', 55_000), 3);
    await memory.keep(NOTHING_GONE);
    const after = await openChunkMemory(file());
    expect(['a', 'b', 'c', 'd', 'e'].filter((name) => after.recall(content(name, 55_000), 3))).toEqual([
      'a',
      'c',
      'd',
      'e',
    ]);
  });
});
