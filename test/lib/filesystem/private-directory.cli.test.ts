import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isOwnDirectory, makePrivateDirectory } from '#lib/filesystem/private-directory.js';
import { isTemporaryName } from '#lib/filesystem/temporary.js';
import { useDirectory } from '../../support/files.js';
import { deadPid, nameBy } from '../../support/leftovers.js';

const directory = useDirectory();
const OWN = `carport-${process.getuid?.()}`;

describe('a private directory', () => {
  it.each([0o1777, 0o755])('is in one of this user alone, in a place of mode %o', async (mode) => {
    chmodSync(directory(), mode);
    const { path, remove } = await makePrivateDirectory(directory());
    expect([dirname(path), isTemporaryName(basename(path))]).toEqual([join(directory(), OWN), true]);
    expect([path, dirname(path)].map((each) => statSync(each).mode & 0o7777)).toEqual([0o700, 0o700]);
    writeFileSync(join(path, 'file'), 'x');
    await remove();
    expect(readdirSync(directory())).toEqual([]);
  });

  it('removes what killed processes left where it is', async () => {
    const own = join(directory(), OWN);
    mkdirSync(own, { mode: 0o700 });
    mkdirSync(join(own, await nameBy({ pid: deadPid() })));
    writeFileSync(join(own, 'something else'), 'x');
    const { path, remove } = await makePrivateDirectory(directory());
    expect(readdirSync(own).sort()).toEqual([basename(path), 'something else'].sort());
    await remove();
    expect(readdirSync(own)).toEqual(['something else']);
  });

  it('is there though others are made and removed at the same time', async () => {
    const one = async () => {
      const { path, remove } = await makePrivateDirectory(directory());
      expect(existsSync(path)).toBe(true);
      await remove();
    };
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 10 }, one));
    expect(readdirSync(directory())).toEqual([]);
  });

  it('cannot be where there is no directory', async () => {
    await expect(makePrivateDirectory(join(directory(), 'missing'))).rejects.toThrow('ENOENT');
  });
});

describe('a directory of one’s own', () => {
  it('is one that nobody else can write to', async () => {
    const answers: boolean[] = [];
    for (const mode of [0o700, 0o755, 0o775, 0o1777]) {
      chmodSync(directory(), mode);
      answers.push(await isOwnDirectory(directory()));
    }
    expect(answers).toEqual([true, true, false, false]);
    expect(await isOwnDirectory(join(directory(), 'missing'))).toBe(false);
    if (process.getuid?.() !== 0) expect(await isOwnDirectory('/etc')).toBe(false);
  });
});
