import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tellChunks, toldTable } from '#lib/compression/chunks/field.js';
import { findTable, renderTables, rowsOfFrame } from '#lib/compression/chunks/frames.js';
import { noteReferences, referencesOf } from '#lib/compression/chunks/references.js';
import { type ChunkRow, parseRows, renderRows } from '#lib/compression/chunks/table.js';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { readRows, readTables } from '../../../support/zstd.js';

const MIB = 1024 * 1024;

function row(size: number, compressedSize: number, references: readonly number[] = []): ChunkRow {
  return { size, compressedSize, viewHash: Buffer.alloc(32, size), references: noteReferences(references) };
}

const ROWS = [row(MIB + 1, 1000, [0, 0, 0, 2, 1]), row(2 * MIB, 500_000), row(17_000, 300, new Array(500).fill(200))];
const BOUNDS = { narSize: 3 * MIB + 17_001, dataSize: 501_300, fileSize: 600_000, references: 201 };

/** The file, in which the frames are zeros. */
const FILE = Buffer.concat([Buffer.alloc(BOUNDS.dataSize), ...renderTables(ROWS)]);

describe('a table of chunks', () => {
  it('is read as it was written, with where each chunk is', () => {
    const chunks = parseRows(renderRows(ROWS), BOUNDS);
    expect(chunks.map(({ offset, fileOffset }) => [offset, fileOffset])).toEqual([
      [0, 0],
      [MIB + 1, 1000],
      [3 * MIB + 1, 501_000],
    ]);
    expect(chunks.map(({ viewHash }) => Buffer.from(viewHash))).toEqual(ROWS.map(({ viewHash }) => viewHash));
    expect([...referencesOf(chunks[0]!.references, 3)!]).toEqual([0, 0, 0, 2, 1]);
    expect(referencesOf(chunks[2]!.references, 201)).toHaveLength(500);
    expect(referencesOf(chunks[2]!.references, 200)).toBeUndefined();
  });

  it('is small: 32 bytes of hash, and few more', () => {
    expect(renderRows(ROWS.slice(1))).toHaveLength(32 + 3 + 4 + 1 + 32 + 3 + 2 + 2 + 4);
  });

  it('is what its documentation says, read anew', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(300), { maxLength: 60 }), { maxLength: 5 }), (lists) => {
        const rows = lists.map((references, index) => row(MIB + index, 5000 + index, references));
        const told = readRows(renderRows(rows));
        expect(told.map(({ references }) => references)).toEqual(lists);
        const bounds = { narSize: told.reduce((sum, { size }) => sum + size, 0), fileSize: 10 * MIB, references: 301 };
        const read = parseRows(renderRows(rows), bounds);
        expect(read.map(({ references }) => [...referencesOf(references, 301)!])).toEqual(lists);
      }),
      { numRuns: 50 },
    );
  });

  it('may be of smaller chunks behind the first one', () => {
    const read = (...sizes: number[]) =>
      parseRows(renderRows(sizes.map((size) => row(size, 50))), {
        narSize: sizes.reduce((sum, size) => sum + size),
        fileSize: 1000,
        references: 0,
      }).length;
    expect(read(MIB, 32 * 1024, 32 * 1024, 1)).toBe(4);
    expect(() => read(MIB, 32 * 1024 - 1, 1)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
    expect(read(256 * 1024, 32 * 1024, 1)).toBe(3);
    expect(() => read(256 * 1024 - 1, 32 * 1024, 1)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  });

  it('is found in the last bytes of a file', () => {
    const place = findTable(FILE, FILE.length)!;
    expect(findTable(FILE.subarray(-45), FILE.length)).toEqual(place);
    expect(findTable(FILE.subarray(-44), FILE.length)).toBeUndefined();
    expect(place.offset).toBe(BOUNDS.dataSize);
    const rows = rowsOfFrame(FILE.subarray(place.offset, place.offset + place.length));
    expect(Buffer.from(rows).equals(renderRows(ROWS))).toBe(true);
    expect(readTables(FILE).rows.equals(renderRows(ROWS))).toBe(true);
  });
});

describe('a hostile table of chunks', () => {
  const rows = renderRows(ROWS);

  it.each([
    ['whose chunks are more than the NAR', rows, { narSize: BOUNDS.narSize - 1 }],
    ['whose chunks are less than the NAR', rows, { narSize: BOUNDS.narSize + 1 }],
    ['whose frames are more than the file', rows, { fileSize: BOUNDS.dataSize - 1, dataSize: undefined }],
    ['whose frames go on into the table', rows, { dataSize: BOUNDS.dataSize - 1 }],
    ['that leaves out bytes before the table', rows, { dataSize: BOUNDS.dataSize + 1 }],
    ['with a reference that is not of the list', rows, { references: 200 }],
    ['of nothing', new Uint8Array(), {}],
    ['with something behind it', Buffer.concat([rows, Buffer.from([1])]), {}],
    ['of small chunks', renderRows([row(1000, 100), row(1000, 100)]), { narSize: 2000, dataSize: 200 }],
    ['of a large chunk', renderRows([row(2 * MIB + 1, 100)]), { narSize: 2 * MIB + 1, dataSize: 100 }],
    ['of an empty chunk', renderRows([row(0, 100)]), { narSize: 0, dataSize: 100 }],
    ['of a frame of nothing', renderRows([row(1000, 0)]), { narSize: 1000, dataSize: 0 }],
    ['of a frame that is larger than any', renderRows([row(1000, 1069)]), { narSize: 1000, dataSize: 1069 }],
    [
      'with more hash parts than a chunk has room for',
      renderRows([row(63, 60, [0, 0])]),
      { narSize: 63, dataSize: 60 },
    ],
  ])('%s is refused', (_, bytes, others) => {
    const bounds = Object.fromEntries(
      Object.entries({ ...BOUNDS, ...others }).filter(([, value]) => value !== undefined),
    );
    expect(() => parseRows(bytes, bounds as unknown as typeof BOUNDS)).toThrow(
      expect.objectContaining({ code: 'E_FORMAT' }),
    );
  });

  it.each([
    ['more hash parts than are noted', 16_385, [1, ...leb(16_383)]],
    ['a run beyond its hash parts', 3, [1, 2]],
    ['a run of more than there can be', 2, [1, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a number of more bytes than it needs', 1, [0x80, 0]],
    ['a reference that is not there', 2, [0]],
  ])('of a chunk with %s is refused', (_, count, runs) => {
    const references = { count, runs: Uint8Array.from(runs) };
    const bytes = renderRows([{ ...row(MIB, 100), references }]);
    const bounds = { narSize: MIB, dataSize: 100, fileSize: 200, references: 1 };
    expect(() => parseRows(bytes, bounds)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  });

  it('of which bytes are missing or changed is refused, or is another table', () => {
    for (let size = 0; size < rows.length; size++) {
      expect(() => parseRows(rows.subarray(0, size), BOUNDS)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
    }
    fc.assert(
      fc.property(fc.nat(rows.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const changed = Buffer.from(rows);
        changed[at]! ^= bits;
        try {
          const chunks = parseRows(changed, BOUNDS);
          expect(chunks.reduce((sum, { size }) => sum + size, 0)).toBe(BOUNDS.narSize);
          for (const { references } of chunks) expect(referencesOf(references, BOUNDS.references)).toBeDefined();
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_FORMAT' });
        }
      }),
    );
  });

  it('in a frame that is none is refused', () => {
    const [frame] = renderTables(ROWS) as [Buffer];
    const changed = (at: number, byte: number) => Buffer.from(frame).fill(byte, at, at + 1);
    const old = Buffer.from(frame);
    old.write('carport1', 8);
    for (const wrong of [
      frame.subarray(1),
      frame.subarray(0, -1),
      old,
      changed(0, 0),
      changed(4, 0),
      Buffer.alloc(0),
    ]) {
      expect(() => rowsOfFrame(wrong)).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
    }
    expect(() => rowsOfFrame(changed(frame.length - 4, 0))).toThrow(expect.objectContaining({ code: 'E_FORMAT' }));
  });

  it('is not looked for where a file cannot have one', () => {
    const tail = FILE.subarray(-100);
    const changed = (back: number, value: number) => {
      const bytes = Buffer.from(tail);
      bytes.writeUInt32LE(value, bytes.length - back);
      return bytes;
    };
    expect(findTable(tail, FILE.length)).toBeDefined();
    expect(findTable(changed(4, 0), FILE.length)).toBeUndefined();
    for (const count of [0, 2, 4, 2 ** 31, 2 ** 32 - 1])
      expect(findTable(changed(9, count), FILE.length)).toBeUndefined();
    for (const length of [0, 19, FILE.length, 2 ** 32 - 1]) {
      expect(findTable(changed(45, length), FILE.length)).toBeUndefined();
    }
    expect(findTable(new Uint8Array(), 0)).toBeUndefined();
  });
});

describe('the field of a narinfo', () => {
  const narInfo = (lines: string, compression = 'zstd') =>
    parseNarInfo(
      `StorePath: /nix/store/${'0'.repeat(32)}-x\nURL: nar/x\nCompression: ${compression}\nFileSize: 1000\n${lines}` +
        `NarHash: sha256:${'0'.repeat(52)}\nNarSize: 1000\nReferences: \n`,
    );
  const toldOf = (value: string) => toldTable(narInfo(`CarportChunks: ${value}\n`));

  it('holds few chunks, and tells where many are', () => {
    const { field: few } = tellChunks(ROWS);
    expect(few).toMatchObject({ key: 'CarportChunks', after: 'FileSize' });
    expect(Buffer.from(toldOf(few.value)!.rows!).equals(renderRows(ROWS))).toBe(true);
    const { field: many } = tellChunks(new Array(200).fill(row(MIB, 10)));
    expect(many.value).toBe(`4@2000+${renderRows(new Array(200).fill(row(MIB, 10))).length + 20}`);
    for (const cutting of [2, 3, 4]) {
      expect(toldOf(`${cutting}@400+600`)).toEqual({ cutting, place: { offset: 400, length: 600 } });
    }
  });

  it.each([
    '',
    '1:AAAA',
    '5:AAAA',
    '2',
    '2:',
    '2:?',
    '2@',
    '2@1',
    '2@1+',
    '2@-1+5',
    '2@1.5+5',
    '2@1+5 ',
    '2@400+0',
    '2@400+601',
    '2@9999999999999999+1',
  ])('that says %j says nothing', (value) => {
    expect(toldOf(value)).toBeUndefined();
  });

  it('says nothing of other compressions, or when it is there twice', () => {
    const line = 'CarportChunks: 2@400+600\n';
    expect(toldTable(narInfo(line, 'xz'))).toBeUndefined();
    expect(toldTable(narInfo(line + line))).toBeUndefined();
    expect(toldTable(narInfo(''))).toBeUndefined();
  });
});

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}
