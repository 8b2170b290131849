import { closeSync, lstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createUnpacker, isEnded } from '#lib/filesystem/unpack.js';
import { createChunkLine } from '#lib/workers/chunk-line.js';
import { createSharedFileWriter, createWriteList, openWrites } from '#lib/workers/files/shared-writes.js';
import { noise, useDirectory } from '../../../support/files.js';

const directory = useDirectory();
const SIZE = 64 * 1024;

const files: number[] = [];
function openFile(name: string, flags = 'w+'): number {
  const file = openSync(join(directory(), name), flags);
  files.push(file);
  return file;
}
afterEach(() => {
  for (const file of files.splice(0)) closeSync(file);
});

const fail = (): never => expect.fail('what is not written was closed, or what is was left');

/** The same line as two threads see it, and bytes in it. */
function open() {
  const line = { ...createChunkLine(4, SIZE), writes: createWriteList() };
  const bytes = Buffer.from(line.memory, 4096, 2 * SIZE);
  bytes.set(noise(2 * SIZE));
  const writes = openWrites(line)!;
  return { bytes, writes, writer: createSharedFileWriter(writes), helper: openWrites(line)! };
}

it('is done by who comes first, and a file is closed when all of it is there', () => {
  const { bytes, writer, helper } = open();
  const file = openFile('a');
  const closed: string[] = [];
  writer.write(file, bytes.subarray(0, SIZE), 0);
  writer.write(file, bytes.subarray(SIZE), SIZE);
  writer.end(file, () => closed.push('a'), fail);
  expect(helper.help()).toBe(true);
  expect(closed).toEqual([]);
  writer.finish();
  expect(closed).toEqual(['a']);
  expect(helper.help()).toBe(false);
  expect(readFileSync(join(directory(), 'a')).equals(bytes)).toBe(true);
});

it('is done at once where it is small, or its bytes are in other memory', () => {
  const { bytes, writer, writes } = open();
  const file = openFile('a');
  writer.write(file, bytes.subarray(0, 100), 0);
  writer.write(file, noise(SIZE), 100);
  let closed = false;
  writer.end(
    file,
    () => {
      closed = true;
    },
    fail,
  );
  expect([writes.count(), closed]).toEqual([0, true]);
});

it('is done for as many as there are, at positions of any size', () => {
  const { bytes, writer, helper } = open();
  const [many, far] = [openFile('many'), openFile('far')];
  for (let count = 0; count < 300; count++) writer.write(many, bytes.subarray(0, SIZE), count * SIZE);
  writer.write(far, bytes.subarray(SIZE), 5 * 2 ** 32 + 7);
  while (helper.help());
  writer.finish();
  expect(readFileSync(join(directory(), 'many')).equals(Buffer.concat(Array(300).fill(bytes.subarray(0, SIZE))))).toBe(
    true,
  );
  const read = Buffer.alloc(SIZE);
  readSync(far, read, 0, SIZE, 5 * 2 ** 32 + 7);
  expect(read.equals(bytes.subarray(SIZE))).toBe(true);
});

it('fails for who asked for it, whoever has tried', () => {
  const { bytes, writer, helper } = open();
  writeFileSync(join(directory(), 'a'), '');
  const file = openFile('a', 'r');
  const left: number[] = [];
  for (const position of [0, SIZE]) writer.write(file, bytes.subarray(0, SIZE), position);
  writer.end(file, fail, () => left.push(file));
  expect(helper.help()).toBe(true);
  expect(() => writer.finish()).toThrow(/EBADF/);
  writer.abandon();
  expect(left).toEqual([file]);
  expect(helper.help()).toBe(false);
});

it('is not done any more when it is taken back', () => {
  const { bytes, writer, helper } = open();
  const file = openFile('a');
  writer.write(file, bytes.subarray(0, SIZE), 0);
  writer.abandon();
  expect(helper.help()).toBe(false);
  expect(readFileSync(join(directory(), 'a')).length).toBe(0);
});

it('ends no file of a tree that it was taken back from, and all before it', () => {
  const { bytes, writer } = open();
  const files = ['a', 'b', 'c'];
  const apply = createUnpacker(join(directory(), 'tree'), 'store', writer);
  apply({ type: 'directory' });
  for (const name of files) {
    apply({ type: 'entry', name: Buffer.from(name) });
    apply({ type: 'regular', executable: false, size: SIZE });
    apply({ type: 'contents', bytes: bytes.subarray(0, SIZE) });
    if (name === 'a') writer.finish();
    apply({ type: 'end' });
  }
  writer.abandon();
  apply.close();
  const stats = files.map((name) => lstatSync(join(directory(), 'tree', name)));
  expect(stats.map(({ size }) => size)).toEqual([SIZE, 0, 0]);
  expect(stats.map(isEnded)).toEqual([true, false, false]);
});
