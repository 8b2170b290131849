import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openOwnStore } from '#lib/store/own-store.js';
import { checkReplaceable, makeOutLink } from '#lib/store/roots.js';
import { useDirectory } from '../../support/files.js';
import { infoOf } from '../../support/own-store.js';

const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const open = () => openOwnStore(at('root'));

const realPath = (content: string) => {
  const store = open();
  return store.realPath(infoOf('thing', { type: 'regular', executable: false, contents: Buffer.from(content) }));
};

/** Where the links of the store's roots point to. */
const rootsOf = () => {
  const { rootsDir } = open().layout;
  return readdirSync(rootsDir).map((name) => readlinkSync(join(rootsDir, name)));
};

describe('an out-link', () => {
  it('points to the path, and the store has a root that points to it', async () => {
    await makeOutLink(open(), at('result'), realPath('one'));
    expect(readlinkSync(at('result'))).toBe(realPath('one'));
    expect(rootsOf()).toEqual([at('result')]);
  });

  it('replaces an older one, and its root', async () => {
    await makeOutLink(open(), at('result'), realPath('one'));
    await makeOutLink(open(), at('result'), realPath('two'));
    expect(readlinkSync(at('result'))).toBe(realPath('two'));
    expect(rootsOf()).toEqual([at('result')]);
    expect(readdirSync(directory()).sort()).toEqual(['result', 'root']);
  });

  it('of another name has a root of its own', async () => {
    await makeOutLink(open(), at('one'), realPath('x'));
    await makeOutLink(open(), at('sub', 'two'), realPath('x'));
    expect(rootsOf().sort()).toEqual([at('one'), at('sub', 'two')]);
  });

  it('replaces one that Nix made, and one to a path that is gone', async () => {
    symlinkSync(`/nix/store/${'0'.repeat(32)}-gone`, at('result'));
    await makeOutLink(open(), at('result'), realPath('one'));
    expect(readlinkSync(at('result'))).toBe(realPath('one'));
  });

  it('takes the place of nothing else', async () => {
    writeFileSync(at('file'), 'x');
    mkdirSync(at('dir'));
    symlinkSync('file', at('link'));
    mkdirSync(at(`${'0'.repeat(32)}-directory`));
    for (const name of ['file', 'dir', 'link', `${'0'.repeat(32)}-directory`]) {
      const error = await makeOutLink(open(), at(name), realPath('one')).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_USAGE', message: `\`${at(name)}\` is there already and is no out-link` });
      expect(error.hint).toContain('--out-link');
    }
    expect(readFileSync(at('file'), 'utf8')).toBe('x');
    expect(lstatSync(at('dir')).isDirectory()).toBe(true);
    expect(readlinkSync(at('link'))).toBe('file');
  });

  it('can be asked about before the work is done', async () => {
    writeFileSync(at('file'), 'x');
    await expect(checkReplaceable(at('free'))).resolves.toBeUndefined();
    await expect(checkReplaceable(at('missing', 'free'))).resolves.toBeUndefined();
    await expect(checkReplaceable(at('file'))).rejects.toMatchObject({ code: 'E_USAGE' });
    const error = await checkReplaceable(at('file', 'below')).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('cannot be made') });
    expect(error.cause).toMatchObject({ code: 'ENOTDIR' });
  });
});
