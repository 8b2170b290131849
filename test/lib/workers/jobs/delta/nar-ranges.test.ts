import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openNarRanges } from '#lib/workers/jobs/delta/nar-ranges.js';
import { directoryOf, fileOf, linkTo, noise, useDirectory, writeTree } from '../../../../support/files.js';
import { naiveNar, type Tree } from '../../../../support/nar.js';

const TREES: Readonly<Record<string, Tree>> = {
  directory: directoryOf({
    a: fileOf(noise(1000)),
    'a.b': directoryOf({ empty: fileOf(''), run: fileOf('#!', true), '\xff': fileOf('seven 7') }),
    link: linkTo('a.b/run'),
    z: directoryOf({}),
  }),
  file: fileOf('12345678', true),
  link: linkTo('somewhere'),
};

describe('ranges of a NAR', () => {
  const directory = useDirectory();
  const written = (tree: Tree): string => {
    const path = join(directory(), 'tree');
    writeTree(path, tree);
    return path;
  };

  it.each(Object.entries(TREES))('are those of its bytes: %s', (_, tree) => {
    const nar = naiveNar(tree);
    const ranges = openNarRanges(written(tree));
    const read = (offset: number, length: number) => {
      const into = Buffer.alloc(length);
      ranges.read(into, offset);
      return into;
    };
    for (const step of [1, 7, 100, 555]) {
      for (let at = 0; at < nar.length; at += step * 3) {
        const length = Math.min(step * 5, nar.length - at);
        expect(read(at, length).equals(nar.subarray(at, at + length))).toBe(true);
        // Back to the beginning, but for a few times.
        if (at > step * 9) break;
      }
    }
    expect(read(0, nar.length).equals(nar)).toBe(true);
    expect(() => read(nar.length - 1, 2)).toThrow(/is not what it was/);
    expect(ranges.readSome(Buffer.alloc(9), nar.length - 2)).toBe(2);
    expect(ranges.readSome(Buffer.alloc(9), nar.length)).toBe(0);
    ranges.close();
  });

  it('are an error where a file has changed, is gone, or is a link now', () => {
    const tree = directoryOf({ a: fileOf('x'.repeat(100)), b: fileOf('y'.repeat(100)) });
    const contents = naiveNar(tree).indexOf('yyy');
    const path = written(tree);
    const secret = join(directory(), 'secret');
    writeFileSync(secret, 's'.repeat(100));
    const ways: readonly ((file: string) => void)[] = [
      (file) => symlinkSync(secret, file),
      (file) => writeFileSync(file, 'y'.repeat(99)),
      (file) => mkdirSync(file),
      () => {},
    ];
    for (const change of ways) {
      const ranges = openNarRanges(path);
      // It has been looked at, and not opened yet.
      ranges.read(Buffer.alloc(contents), 0);
      const file = join(path, 'b');
      rmSync(file, { recursive: true });
      change(file);
      expect(() => ranges.read(Buffer.alloc(100), contents)).toThrow();
      ranges.close();
      rmSync(file, { recursive: true, force: true });
      writeFileSync(file, 'y'.repeat(100));
    }
  });

  it('does not go back for ever', () => {
    const ranges = openNarRanges(written(fileOf('x')));
    const back = () => {
      for (let times = 0; times < 100; times++) {
        ranges.read(Buffer.alloc(1), 100);
        ranges.read(Buffer.alloc(1), 0);
      }
    };
    expect(back).toThrow(/out of order/);
    ranges.close();
  });
});
