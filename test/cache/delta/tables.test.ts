import { expect, it } from 'vitest';
import { usefulTable } from '#cache/delta/tables.js';
import type { FoundPath } from '#cache/find-path.js';
import { tellChunks } from '#lib/compression/chunks/field.js';
import { openMemoryStore } from '#lib/object-store/memory.js';

const KIB = 1024;
const GB = 1_000_000_000;
const { key } = tellChunks([]).field;

/** What is made of a field of a NAR of 100 GB. */
const told = (value: string) => {
  const info = {
    ...{ path: `/nix/store/${'1'.repeat(32)}-x`, narHash: { algorithm: 'sha256', digest: Buffer.alloc(32) } },
    ...{ narSize: 100 * GB, fileSize: 50 * GB, references: [], signatures: [], url: 'nar/x', compression: 'zstd' },
    unknownFields: [{ key, value }],
  } satisfies FoundPath['info'];
  const found: FoundPath = { info, objects: openMemoryStore(new Map()) };
  return usefulTable(found);
};

it('looks at no table that would take long to parse, wherever it is', () => {
  const inline = (size: number) => `2:${Buffer.alloc(size).toString('base64')}`;
  expect(told(inline(2100 * KIB))).toBeUndefined();
  expect(told(inline(20 * KIB))).toMatchObject({ rows: { length: 20 * KIB } });
  expect(told(`2@0+${2100 * KIB}`)).toBeUndefined();
  expect(told(`2@0+${2000 * KIB}`)).toMatchObject({ place: { length: 2000 * KIB } });
});
