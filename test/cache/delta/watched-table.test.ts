import { expect, it } from 'vitest';
import { watchedTable } from '#cache/delta/watched-table.js';
import type { FoundPath } from '#cache/find-path.js';
import { tellChunks } from '#lib/compression/chunks/field.js';
import { renderTables } from '#lib/compression/chunks/frames.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import { gather } from '../../support/files.js';

const MIB = 1024 * 1024;

/** A file of so many chunks of a MiB each, and the path that it is of. */
const fileOf = (count: number) => {
  const references = { count: 0, runs: new Uint8Array() };
  const rows = Array.from({ length: count }, (_, index) => ({
    ...{ compressedSize: 20_000, size: MIB, viewHash: Buffer.alloc(32, index), references },
  }));
  const file = Buffer.concat([Buffer.alloc(20_000 * count), ...renderTables(rows)]);
  const info = {
    ...{ path: `/nix/store/${'1'.repeat(32)}-x`, narHash: { algorithm: 'sha256', digest: Buffer.alloc(32) } },
    ...{
      narSize: count * MIB,
      fileSize: file.length,
      references: [],
      signatures: [],
      url: 'nar/x',
      compression: 'zstd',
    },
    unknownFields: [tellChunks(rows).field],
  } satisfies FoundPath['info'];
  return { rows, file, found: { info, objects: openMemoryStore(new Map()) } };
};

async function* inPieces(file: Uint8Array, size: number) {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
}

it.each([
  [2, 7000],
  [300, 999],
  [300, 10_000_000],
])('tells how a NAR of %i chunks is cut, when its file comes in pieces of %i bytes', async (count, size) => {
  const { rows, file, found } = fileOf(count);
  const table = watchedTable(found)!;
  expect(Buffer.compare(await gather(table.watch(inPieces(file, size))), file)).toBe(0);
  expect(table.cuts()!.sizes).toEqual(new Uint32Array(count).fill(MIB));
  expect(Buffer.compare(table.cuts()!.hashes, Buffer.concat(rows.map(({ viewHash }) => viewHash)))).toBe(0);
});

it('takes no memory for a table that is only said to be there', () => {
  const { found } = fileOf(300);
  const field = { ...found.info.unknownFields[0]!, value: `2@0+${512 * 1024}` };
  const fileSize = 1024 * MIB;
  const before = process.memoryUsage().arrayBuffers;
  const tables = Array.from({ length: 64 }, () =>
    watchedTable({ ...found, info: { ...found.info, fileSize, unknownFields: [field] } }),
  );
  expect(tables).not.toContain(undefined);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * MIB);
});

it('tells nothing of a file that has no table where it should be, and of a small NAR', async () => {
  const { file, found } = fileOf(300);
  for (const wrong of [Buffer.alloc(file.length), file.subarray(0, 6_000_100), Buffer.alloc(0)]) {
    const table = watchedTable(found)!;
    await gather(table.watch(inPieces(wrong, 100_000)));
    expect(table.cuts()).toBeUndefined();
  }
  expect(watchedTable(fileOf(1).found)).toBeUndefined();
});
