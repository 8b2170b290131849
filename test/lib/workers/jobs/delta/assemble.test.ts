import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { noteReferences } from '#lib/compression/chunks/references.js';
import { CarportError } from '#lib/errors.js';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import { createChunkLine } from '#lib/workers/chunk-line.js';
import { assembleNar } from '#lib/workers/jobs/delta/assemble.js';
import type { Assembly, AssemblyPart } from '#lib/workers/jobs/delta/assembly.js';
import type { WorkerPool } from '#lib/workers/pool.js';
import { directoryOf, fileOf, gather, noise, stream, useDirectory, writeTree } from '../../../../support/files.js';
import { naiveNar, type Tree } from '../../../../support/nar.js';
import { usePool } from '../../../../support/pool.js';
import { frameOf } from '../../../../support/zstd.js';

const directory = useDirectory();
const [alone, together] = [usePool(1), usePool(3)];

/** As large a job as threads share. */
const WEIGHT = 64 * 1024 * 1024;

const OLD = '0123456789abcdfghijklmnpqrsvwxyz';
const NEW = [...OLD].reverse().join('');
const OTHER = '7'.repeat(32);

/** Large files and small ones, of which some tell the path that they are in. */
function treeWith(hashPart: string): Tree {
  const files = Array.from({ length: 90 }, (_, index) => {
    const size = index % 30 === 7 ? 1_500_000 : (index * 977) % 40_000;
    return [
      `f${index}`,
      fileOf(Buffer.concat([noise(size, `${index}`), Buffer.from(index % 3 ? '' : hashPart)])),
    ] as const;
  });
  return directoryOf({ bin: directoryOf(Object.fromEntries(files)), z: fileOf(hashPart) });
}

const [HERE, NAR] = [OLD, NEW].map((hashPart) => naiveNar(treeWith(hashPart))) as [Buffer, Buffer];

/** Chunks of the tree that is here, some of which are fetched all the same; none ends within a hash part. */
function partsOf(isFetched: (index: number) => boolean): readonly AssemblyPart[] {
  const parts: AssemblyPart[] = [];
  for (let offset = 0; offset < HERE.length; ) {
    let end = Math.min(offset + 90_000, HERE.length);
    while (HERE.subarray(end - 32, end + 32).includes(OLD)) end++;
    const size = end - offset;
    const count = HERE.subarray(offset, end).toString('latin1').split(OLD).length - 1;
    const references = noteReferences(new Array<number>(count).fill(1));
    parts.push(isFetched(parts.length) ? { size } : { size, from: { tree: 0, offset, references } });
    offset = end;
  }
  return parts;
}

function written(hashPart = OLD): string {
  const path = join(directory(), hashPart);
  writeTree(path, treeWith(hashPart));
  return path;
}

function fetchedOf(parts: readonly AssemblyPart[]): Buffer {
  let at = 0;
  const frames = parts.flatMap(({ size, from }) => {
    at += size;
    return from ? [] : [frameOf(NAR.subarray(at - size, at))];
  });
  return Buffer.concat(frames);
}

const assemblyOf = (path: string, parts: readonly AssemblyPart[]): Assembly => {
  return { trees: [{ path, list: [OLD, OTHER] }], parts, list: [OTHER, NEW] };
};

/** What came of it: whether it is the NAR, or what is said against it. */
async function make(pool: WorkerPool, assembly: Assembly, fetched: Buffer): Promise<unknown> {
  const destination = join(directory(), `made-${pool.size}`);
  const promise = { compression: 'none', narHash: hashBytes('sha256', NAR), narSize: NAR.length };
  try {
    const job = { type: 'unpack', destination, promise, assembly } as const;
    await pool.run(job, { source: stream(fetched, 10_000), weight: WEIGHT });
    const { narHash } = await pool.run({ type: 'hash', path: destination });
    return { isWhole: hashesEqual(narHash, promise.narHash) };
  } catch (error) {
    if (!(error instanceof CarportError)) throw error;
    return { code: error.code, message: error.message };
  }
}

const REFUSED: readonly [string, (path: string, parts: readonly AssemblyPart[]) => readonly AssemblyPart[]][] = [
  [
    'a file is another',
    (path, parts) => {
      truncateSync(join(path, 'bin', 'f60'), 10);
      return parts;
    },
  ],
  ['more is fetched than there is', (_, parts) => [...parts.slice(0, -1), { size: parts.at(-1)!.size }]],
  [
    'hash parts are noted that are not there',
    (_, parts) => {
      const references = noteReferences([1, 1, 1, 1, 1, 1, 1, 1, 1]);
      return parts.map((part, index) => (index === 20 ? { ...part, from: { ...part.from!, references } } : part));
    },
  ],
];

describe('a NAR that threads make together of what is here', () => {
  it.each<[string, (index: number) => boolean]>([
    ['all is here', () => false],
    ['the first and the last are not', (index) => index === 0 || index > 50],
    ['each fifth is not', (index) => index % 5 === 3],
    ['nothing is', () => true],
  ])('is what was promised: %s', async (_, isFetched) => {
    const parts = partsOf(isFetched);
    const fetched = fetchedOf(parts);
    const assembly = assemblyOf(written(), parts);
    for (const pool of [alone, together]) expect(await make(pool, assembly, fetched)).toEqual({ isWhole: true });
  });

  it.each(REFUSED)('is refused as by one thread: %s', async (_, change) => {
    const path = written();
    const parts = partsOf((index) => index === 3);
    const fetched = fetchedOf(parts);
    const assembly = assemblyOf(path, change(path, parts));
    const expected = await make(alone, assembly, fetched);
    expect(expected).toHaveProperty('code', 'E_INTEGRITY');
    expect(await make(together, assembly, fetched)).toEqual(expected);
  });

  it('is read by whoever has time, chunk for chunk, behind what is there', async () => {
    const path = written();
    const parts = partsOf((index) => index > 20 && index % 5 === 3);
    const line = createChunkLine(4, 600_000);
    const there = { path: written(NEW), size: 1_234_567 };
    const fetched = fetchedOf(parts);
    const nar = await gather(assembleNar({ ...assemblyOf(path, parts), there }, stream(fetched), { line }));
    expect(nar.equals(NAR)).toBe(true);
    // How many slots were done: chunks that are together lie in one.
    const done = new Int32Array(line.memory)[1]!;
    expect(done).toBeGreaterThan(8);
    expect(done).toBeLessThan(parts.length / 2);
  });
});
