import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cutTree } from '#cache/delta/cut-tree.js';
import { CarportError } from '#lib/errors.js';
import type { LocalChunks } from '#lib/workers/jobs/delta/assembly.js';
import { directoryOf, fileOf, noise, useDirectory, writeTree } from '../../support/files.js';
import { naiveNar, type Tree } from '../../support/nar.js';
import { usePool } from '../../support/pool.js';

const directory = useDirectory();
const pool = usePool(3);

const HASH_PART = '0123456789abcdfghijklmnpqrsvwxyz';

const SMALL = directoryOf(
  Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [
      `f${index}`,
      fileOf(Buffer.concat([noise((index * 977) % 40_000, `${index}`), Buffer.from(HASH_PART)])),
    ]),
  ),
);

const TREES: readonly [string, Tree][] = [
  ['small files', SMALL],
  ['a large file', fileOf(noise(12_000_000))],
  ['where ends never meet', fileOf(Buffer.alloc(12_000_000, 'text '))],
  ['where hash parts are everywhere', fileOf(Buffer.alloc(7_000_000, HASH_PART))],
  ['less than a piece', fileOf('x')],
];

function jobOf(tree: Tree) {
  const path = join(directory(), 'tree');
  writeTree(path, tree);
  return { type: 'index-chunks', path, list: [HASH_PART], cutting: 4, narSize: naiveNar(tree).length } as const;
}

describe('a tree that is cut in pieces', () => {
  it.each(TREES)('is cut as a whole: %s', async (_, tree) => {
    const job = jobOf(tree);
    const told = ({ sizes, hashes }: LocalChunks) => [[...sizes], Buffer.from(hashes).toString('hex')];
    const expected = told(await pool.run(job));
    for (const [least, overlap] of [
      [1_000_000, 2_500_000],
      [2_000_000, 700_000],
      [1_999_990, 0],
    ] as const) {
      expect(told(await cutTree(job, pool, { least, overlap }))).toEqual(expected);
    }
  });

  it('is refused where it has less than it should have', async () => {
    const job = jobOf(SMALL);
    const more = { ...job, narSize: job.narSize + 8 };
    const refused = cutTree(more, pool, { least: 1_000_000, overlap: 100_000 });
    await expect(refused).rejects.toSatisfy((error) => error instanceof CarportError && error.code === 'E_INTEGRITY');
  });
});
