import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createChunker } from '#lib/compression/chunks/chunker.js';
import type { Cutting } from '#lib/compression/chunks/density.js';
import { tellChunks } from '#lib/compression/chunks/field.js';
import { renderTables } from '#lib/compression/chunks/frames.js';
import { createHashPartFinder } from '#lib/compression/chunks/hash-parts.js';
import { noteReferences } from '#lib/compression/chunks/references.js';
import { renderRows } from '#lib/compression/chunks/table.js';
import { hashPartsIn, viewHash } from '#lib/compression/chunks/view.js';
import { readRows } from '../support/zstd.js';

interface Vectors {
  readonly list: readonly string[];
  readonly finds: readonly {
    readonly text: string;
    readonly found: readonly (readonly [at: number, which: number])[];
  }[];
  readonly cuts: readonly {
    readonly format: Cutting;
    readonly places: readonly (readonly [at: number, which: number | null])[];
    readonly files?: { readonly first: number; readonly step: number; readonly end: number };
    readonly chunks: unknown;
  }[];
  readonly table: {
    readonly chunks: readonly { compressedSize: number; size: number; viewHash: string; references: number[] }[];
    readonly rows: string;
    readonly frames: string;
    readonly field: string;
  };
}

const page = readFileSync(join(import.meta.dirname, '../../docs/nar-frames.md'), 'utf8');
const { list, finds, cuts, table } = JSON.parse(/```json\n(.*?)```/s.exec(page)![1]!) as Vectors;

const FILE_BEGIN = Buffer.from('\x04\0\0\0\0\0\0\0type\0\0\0\0\x07\0\0\0\0\0\0\0regular\0', 'latin1');

describe('the test vectors of docs/nar-frames.md', () => {
  it.each(finds)('hold for hash parts: $text', ({ text, found }) => {
    const { positions, references } = hashPartsIn(Buffer.from(text), createHashPartFinder(list));
    expect(positions.map((at, index) => [at, references[index]])).toEqual(found);
  });

  it('hold for chunks', () => {
    const block = (n: number) => createHash('sha256').update(`carport vector ${n}`).digest();
    const content = Buffer.concat(Array.from({ length: 163_840 }, (_, n) => block(n)));
    for (const { format, places, files, chunks } of cuts) {
      const bytes = Buffer.from(content);
      for (let at = files?.first ?? 0; at < (files?.end ?? 0); at += files!.step) bytes.set(FILE_BEGIN, at);
      for (const [at, which] of places) bytes.write(which === null ? '\0'.repeat(32) : list[which]!, at, 'latin1');
      const chunker = createChunker(createHashPartFinder(list), { cutting: format });
      const cut = [];
      for (const part of [chunker.push(bytes), chunker.end()]) {
        for (const { bytes, positions, references } of part) {
          const view = Buffer.from(viewHash(bytes, positions)).toString('hex');
          cut.push({ size: bytes.length, positions, references, viewHash: view });
        }
      }
      expect(cut).toEqual(chunks);
    }
  });

  it('hold for tables', () => {
    const rows = table.chunks.map((row) => ({
      ...row,
      viewHash: Buffer.from(row.viewHash, 'hex'),
      references: noteReferences(row.references),
    }));
    expect(renderRows(rows).toString('hex')).toBe(table.rows);
    expect(Buffer.concat(renderTables(rows)).toString('hex')).toBe(table.frames);
    const { key, value } = tellChunks(rows).field;
    expect(`${key}: ${value}`).toBe(table.field);
    expect(readRows(Buffer.from(table.rows, 'hex'))).toMatchObject(table.chunks);
  });
});
