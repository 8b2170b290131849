import { chmod, mkdir, stat } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import { useDirectory } from '../../support/files.js';

const TEXT = { contentType: 'text/plain' } as const;

describe('a directory of objects where the umask hides files', () => {
  const directory = useDirectory();
  const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
  let before: number;
  beforeEach(() => {
    before = process.umask(0o077);
  });
  afterEach(() => void process.umask(before));

  it('can be read by a web server, with all that is made above it', async () => {
    const root = `${directory()}/a/cache`;
    const store = openFileStore(root);
    await store.put('nar/deep/x.nar', Buffer.from('x'), TEXT);
    await store.put('nix-cache-info', Buffer.from('x'), TEXT);
    await store.copy('nix-cache-info', 'copies/of/it');
    await store.alias('nar/deep/x.nar', 'latest/x');
    for (const name of ['nar/deep/x.nar', 'nix-cache-info', 'copies/of/it', 'latest/x']) {
      expect([name, await modeOf(`${root}/${name}`)]).toEqual([name, '644']);
    }
    for (const name of ['', '/nar', '/nar/deep', '/copies/of', '/latest', '/..']) {
      expect([name, await modeOf(root + name)]).toEqual([name, '755']);
    }
  });

  it('stays private where somebody has made it so', async () => {
    const root = `${directory()}/private`;
    await mkdir(root);
    await chmod(root, 0o700);
    await openFileStore(root).put('x', Buffer.from('x'), TEXT);
    expect([await modeOf(root), await modeOf(`${root}/x`)]).toEqual(['700', '644']);
  });
});
