import { stat, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { makeDirectory } from '#lib/filesystem/make-directory.js';
import { useSandbox } from '../../support/sandbox.js';

describe('a directory that is made', () => {
  const box = useSandbox();

  it('is there with those above it, and stays when it is', async () => {
    const path = box().path('a', 'b', 'c');
    await makeDirectory(path, 0o700);
    await makeDirectory(path);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  it('is made by several at a time', async () => {
    for (let round = 0; round < 20; round++) {
      const path = box().path(`round-${round}`, 'a', 'b', 'c', 'd');
      await Promise.all(Array.from({ length: 8 }, () => makeDirectory(path)));
      expect((await stat(path)).isDirectory()).toBe(true);
    }
  });

  it('fails below a file, and where none can be made', async () => {
    await writeFile(box().path('file'), '');
    await expect(makeDirectory(box().path('file', 'below', 'deep'))).rejects.toThrow('ENOTDIR');
    await expect(makeDirectory('/proc/none/of/it')).rejects.toThrow('ENOENT');
  });
});
