import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GOLDEN, goldenText } from '../support/golden.js';
import { describeWithNix, nix } from '../support/nix.js';

/** What generate.sh reads, and what tests the data: not generated. */
const WRITTEN_BY_HAND = /\.test\.ts$|^generate\.sh$|^golden\.nix$|^secret-key\.txt$|^\.gitattributes$/;

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((name) => !WRITTEN_BY_HAND.test(name))
    .sort();
}

describeWithNix(
  'the golden data',
  () => {
    let fresh: string;
    beforeAll(async () => {
      fresh = await mkdtemp(join(tmpdir(), 'carport-golden-'));
      await execa('bash', [join(GOLDEN, 'generate.sh'), fresh]);
    });
    afterAll(() => rm(fresh, { recursive: true, force: true }));

    it('is what Nix makes today, file by file', async () => {
      const names = await filesIn(GOLDEN);
      expect(names.length).toBeGreaterThan(80);
      expect(await filesIn(fresh)).toEqual(names);
      const differing: string[] = [];
      for (const name of names) {
        const [committed, made] = await Promise.all([readFile(join(GOLDEN, name)), readFile(join(fresh, name))]);
        if (!committed.equals(made)) differing.push(name);
      }
      expect(differing).toEqual([]);
    });
  },
  'version' in nix && nix.version !== goldenText('nix-version.txt').trim()
    ? `Nix is ${nix.version}, not ${goldenText('nix-version.txt').trim()}`
    : undefined,
);
