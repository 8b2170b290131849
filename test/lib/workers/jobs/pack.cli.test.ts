import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WritableCompression } from '#lib/compression/compressor.js';
import { decompress } from '#lib/compression/decompress.js';
import { parseListing } from '#lib/nix/nar/listing.js';
import { INLINE_LIMIT, type PackResult } from '#lib/workers/jobs.js';
import { createWorkerPool } from '#lib/workers/pool.js';
import * as arbitrary from '../../../support/arbitraries.js';
import {
  directoryOf,
  fileOf,
  gather,
  linkTo,
  noise,
  removeAll,
  stream,
  useDirectory,
  writeTree,
} from '../../../support/files.js';
import { naiveNar, type Tree } from '../../../support/nar.js';
import { usePool } from '../../../support/pool.js';
import { describeWithProgram } from '../../../support/programs.js';
import { readTables } from '../../../support/zstd.js';

const pool = usePool(1);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);

function pack(path: string, compression: WritableCompression, listing = false): Promise<PackResult> {
  const level = { zstd: 3, xz: 1, none: 0 }[compression];
  return pool.run({ type: 'pack', path, compression, level, listing, hashParts: [], spoolPath: at('spool') });
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const hex = ({ digest }: { readonly digest: Uint8Array }): string => Buffer.from(digest).toString('hex');

/** Packs a tree, and checks what was told of the file against the file and the tree. */
async function check(tree: Tree, compression: WritableCompression): Promise<PackResult> {
  writeTree(at('tree'), tree);
  const nar = naiveNar(tree);
  const result = await pack(at('tree'), compression);
  const file = result.bytes === undefined ? readFileSync(at('spool')) : Buffer.from(result.bytes);
  expect([hex(result.narHash), result.narSize]).toEqual([digest(nar), nar.length]);
  expect([hex(result.fileHash), result.fileSize]).toEqual([digest(file), file.length]);
  expect((await gather(decompress(compression, stream(file)))).equals(nar)).toBe(true);
  removeAll(at('tree'));
  return result;
}

const MIXED = directoryOf({
  bin: directoryOf({ program: fileOf('#!/bin/sh\n', true) }),
  data: fileOf(noise(3000)),
  link: linkTo('bin/program'),
});

function packTests(compression: WritableCompression): void {
  it('hands over a small file in memory, and writes none', async () => {
    const result = await check(MIXED, compression);
    expect(result.bytes).toBeDefined();
    expect(result).not.toHaveProperty('listing');
    expect(readdirSync(directory())).toEqual([]);
  });

  it('puts a large file at its spool path, and leaves nothing else', async () => {
    const result = await check(fileOf(noise(INLINE_LIMIT + 100_000)), compression);
    expect(result.bytes).toBeUndefined();
    expect(readdirSync(directory())).toEqual(['spool']);
  });

  it('gives the same bytes each time', async () => {
    writeTree(at('tree'), MIXED);
    const [one, two] = await Promise.all([pack(at('tree'), compression), pack(at('tree'), compression)]);
    expect(hex(one.fileHash)).toBe(hex(two.fileHash));
  });

  it('never writes over what is at the spool path', async () => {
    writeFileSync(at('spool'), 'old');
    writeFileSync(at('tree'), noise(INLINE_LIMIT + 100_000));
    await expect(pack(at('tree'), compression)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readFileSync(at('spool'), 'utf8')).toBe('old');
  });
}

describe.each(['zstd', 'none'] as const)('packing with %s', (compression) => {
  packTests(compression);

  it('tells of any tree what it is', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary.narTree(), async (tree) => {
        await check(tree, compression);
      }),
      { numRuns: 20 },
    );
  });
});

describeWithProgram('xz', 'packing with xz', () => {
  packTests('xz');

  it('leaves no files behind when it fails', async () => {
    await expect(pack(at('missing'), 'xz')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(readdirSync(directory())).toEqual([]);
  });
});

describe('packing', () => {
  it('lists what the NAR holds, when it is asked', async () => {
    writeTree(at('tree'), MIXED);
    const { listing } = await pack(at('tree'), 'none', true);
    const parsed = parseListing(listing!);
    expect(parsed.type === 'directory' && [...parsed.entries.keys()]).toEqual(['bin', 'data', 'link']);
    const data = parsed.type === 'directory' ? parsed.entries.get('data') : undefined;
    expect(data).toMatchObject({ type: 'regular', size: 3000, executable: false });
    const { narOffset } = data as { narOffset: number };
    expect(
      naiveNar(MIXED)
        .subarray(narOffset, narOffset + 3000)
        .equals(noise(3000)),
    ).toBe(true);
  });

  it('lists names that are not UTF-8 so that they can be read', async () => {
    writeTree(at('tree'), { type: 'directory', entries: new Map([['\xff', fileOf('x')]]) });
    const { listing } = await pack(at('tree'), 'none', true);
    expect(Object.keys(JSON.parse(listing!).root.entries)).toEqual(['\ufffd']);
  });

  it('does not make a spool file for what cannot be read', async () => {
    await expect(pack(at('missing'), 'zstd')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(existsSync(at('spool'))).toBe(false);
  });
});

describe('packing a large path', () => {
  const hashParts = ['0123456789abcdfghijklmnpqrsvwxyz', 'zyxwvsrqpnmlkjihgfdcba9876543210'];
  const paths = noise(9_000_000);
  for (let at = 0; at < paths.length - 32; at += 9973) paths.write(hashParts[at % 2]!, at, 'latin1');
  const tree = directoryOf({ first: fileOf(paths), second: fileOf(Buffer.alloc(21_000_000, 'text ')) });
  const weight = 30_000_000;

  it('gives the same bytes with any number of threads', async () => {
    writeTree(at('tree'), tree);
    const files: string[] = [];
    for (const threads of [1, 2, 5]) {
      const several = createWorkerPool(threads);
      try {
        const spoolPath = at(`spool-${threads}`);
        const { fileHash, narHash, fileSize, chunks } = await several.run(jobOf({ spoolPath }), { weight });
        const file = readFileSync(spoolPath);
        expect(readTables(file).chunks[2]!.references!.slice(0, 3)).toEqual([1, 0, 1]);
        // So few rows are told in the narinfo itself.
        expect(chunks?.field.value).toBe(`4:${readTables(file).rows.toString('base64')}`);
        expect([hex(fileHash), fileSize]).toEqual([digest(file), file.length]);
        expect(hex(narHash)).toBe(digest(naiveNar(tree)));
        files.push(hex(fileHash));
      } finally {
        await several.close();
      }
    }
    expect(new Set(files).size).toBe(1);
  });

  it('leaves the threads that help with it to other work', async () => {
    writeTree(at('tree'), tree);
    const two = createWorkerPool(2);
    try {
      const done: string[] = [];
      const large = two.run(jobOf({ level: 15 }), { weight }).then(() => done.push('large'));
      const small = () => two.run({ type: 'hash', path: at('tree', 'first') }).then(() => done.push('small'));
      await small();
      await small();
      await large;
      expect(done).toEqual(['small', 'small', 'large']);
    } finally {
      await two.close();
    }
  });

  it('fails as a whole, and others go on', async () => {
    writeTree(at('tree'), tree);
    const two = createWorkerPool(2);
    try {
      writeFileSync(at('spool'), 'old');
      await expect(two.run(jobOf({}), { weight })).rejects.toMatchObject({ code: 'EEXIST' });
      removeAll(at('spool'));
      expect((await two.run(jobOf({}), { weight })).narSize).toBe(naiveNar(tree).length);
    } finally {
      await two.close();
    }
  });

  function jobOf({ level = 3, spoolPath = at('spool') }) {
    return {
      type: 'pack',
      path: at('tree'),
      compression: 'zstd',
      level,
      listing: false,
      hashParts,
      spoolPath,
    } as const;
  }
});
