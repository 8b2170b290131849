import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rm } from '#lib/workers/bundled/sync-fs.js';
import { useDirectory } from '../../../support/files.js';

const directory = useDirectory();

it('removes files and trees, as Node does', async () => {
  const [file, tree] = [join(directory(), 'file'), join(directory(), 'tree')];
  await writeFile(file, 'x');
  await mkdir(join(tree, 'below'), { recursive: true });
  await expect(rm(tree, { force: true })).rejects.toThrow();
  await rm(file);
  await rm(file, { force: true });
  await expect(rm(file)).rejects.toMatchObject({ code: 'ENOENT' });
  await rm(tree, { recursive: true, force: true });
  expect(await readdir(directory())).toEqual([]);
});
