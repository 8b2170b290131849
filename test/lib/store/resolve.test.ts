import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveStorePath } from '#lib/store/resolve.js';
import { useDirectory } from '../../support/files.js';

const HASH = '0123456789abcdfghijklmnpqrsvwxyz';
const NAME = `${HASH}-name`;
const PATH = `/nix/store/${NAME}`;

const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const link = (target: string, ...names: string[]): string => {
  symlinkSync(target, at(...names));
  return at(...names);
};

/** A store whose root is `root` in the test's directory; the path is a directory in it. */
const store = () => ({ storeDir: '/nix/store', realStoreDirs: [at('root/nix/store')] });
const resolve = (what: string): Promise<string> => resolveStorePath(what, store());

beforeEach(() => {
  mkdirSync(at('root', PATH, 'bin'), { recursive: true });
  writeFileSync(at('root', PATH, 'bin/tool'), 'x');
});

describe('what a user names is found to be a store path:', () => {
  it.each([
    ['the path itself', PATH],
    ['a file in it', `${PATH}/bin/tool`],
    ['the path with a slash', `${PATH}/`],
    ['a file in it that need not be there', `${PATH}/no/such/file`],
    ['its base name', NAME],
  ])('%s', async (_, what) => {
    expect(await resolve(what)).toBe(PATH);
  });

  it('a link to where the store really is, to a file in it, or to what it says', async () => {
    expect(await resolve(link(at('root', PATH), 'result'))).toBe(PATH);
    expect(await resolve(link(at('root', PATH, 'bin/tool'), 'tool'))).toBe(PATH);
    expect(await resolve(link(PATH, 'says'))).toBe(PATH);
    expect(await resolve(at('root', PATH))).toBe(PATH);
  });

  it('a link to a link, relative or absolute', async () => {
    link(`root${PATH}`, 'first');
    link('first', 'second');
    expect(await resolve(link(at('second'), 'third'))).toBe(PATH);
  });

  it('a link below another directory, and a file below a link', async () => {
    mkdirSync(at('sub'));
    link('../third', 'sub', 'result');
    link(at('root', PATH), 'third');
    link('sub', 'linked-sub');
    expect(await resolve(at('linked-sub', 'result'))).toBe(PATH);
    expect(await resolve(at('third', 'bin', 'tool'))).toBe(PATH);
    expect(await resolve(at('sub', '..', 'third'))).toBe(PATH);
  });

  it('a link to a path that is gone', async () => {
    const gone = `/nix/store/${HASH}-gone`;
    expect(await resolve(link(gone, 'stale'))).toBe(gone);
    expect(await resolve(link(at('root', gone), 'stale-too'))).toBe(gone);
  });

  it('a link to a path of a store dir that is not there', async () => {
    const elsewhere = { storeDir: '/no/such/store', realStoreDirs: [] };
    const path = `/no/such/store/${NAME}`;
    expect(await resolveStorePath(link(`${path}/bin/tool`, 'result'), elsewhere)).toBe(path);
  });

  it('a link in the store, without following it: it is content', async () => {
    const inside = `${HASH}-link`;
    symlinkSync('/etc/passwd', at('root/nix/store', inside));
    expect(await resolve(at('root/nix/store', inside))).toBe(`/nix/store/${inside}`);
    expect(await resolve(link(at('root/nix/store', inside), 'to-link'))).toBe(`/nix/store/${inside}`);
  });

  it('a link to any of several stores', async () => {
    const several = { storeDir: '/nix/store', realStoreDirs: [at('other'), at('root/nix/store')] };
    expect(await resolveStorePath(link(at('root', PATH), 'result'), several)).toBe(PATH);
  });

  describe('relative to the working directory', () => {
    const cwd = process.cwd();
    beforeEach(() => process.chdir(directory()));
    afterEach(() => process.chdir(cwd));

    it.each(['result', './result', 'sub/../result', `root${PATH}`, `./root${PATH}/bin`])('%s', async (what) => {
      mkdirSync(at('sub'));
      link(`root${PATH}`, 'result');
      expect(await resolve(what)).toBe(PATH);
    });

    it('where a file is named as a store path is', async () => {
      writeFileSync(at(NAME), 'x');
      expect(await resolve(NAME)).toBe(PATH);
      await expect(resolve(`./${NAME}`)).rejects.toMatchObject({ code: 'E_USAGE' });
    });
  });
});

describe('what a user names is refused:', () => {
  it.each([
    ['a file elsewhere', 'file'],
    ['a directory elsewhere', 'sub'],
    ['a link to a file elsewhere', 'to-file'],
    ['the store dir itself', 'root/nix/store'],
    ['something in the store dir that is no store path', 'root/nix/store/.links'],
  ])('%s', async (_, name) => {
    writeFileSync(at('file'), 'x');
    mkdirSync(at('sub'));
    link('file', 'to-file');
    mkdirSync(at('root/nix/store/.links'));
    const error = await resolve(at(name)).catch((reason) => reason);
    expect(error).toMatchObject({
      code: 'E_USAGE',
      message: `\`${at(name)}\` is neither a store path nor a link to one`,
    });
    expect(error.hint).toContain('carport store add');
  });

  it.each([
    ['nothing', 'missing', 'missing'],
    ['a link to nothing', 'dangling', 'dangling'],
    ['what would be below a file', 'file/below', 'file/below'],
    ['what would be below nothing', 'missing/below', 'missing/below'],
  ])('%s', async (_, name) => {
    writeFileSync(at('file'), 'x');
    link('nowhere', 'dangling');
    const error = await resolve(at(name)).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_NOT_FOUND', message: `\`${at(name)}\` does not exist` });
    expect(error.hint).toContain('./result');
  });

  it.each([
    ['that is there', 'other/store', NAME],
    ['that is there, and a file in it', 'other/store', `${NAME}/bin/tool`],
    ['that is not there', 'nowhere', NAME],
  ])('a path of another store dir, %s', async (_, storeDir, name) => {
    mkdirSync(at('other/store', NAME, 'bin'), { recursive: true });
    const error = await resolve(at(storeDir, name)).catch((reason) => reason);
    expect(error).toMatchObject({
      code: 'E_USAGE',
      message: `\`${at(storeDir, name)}\` is a path of the store dir \`${at(storeDir)}\`, not of \`/nix/store\``,
    });
    expect(error.hint).toContain('--store nix');
  });

  it('a circle of links', { timeout: 30_000 }, async () => {
    link('two', 'one');
    link('one', 'two');
    link('self', 'self');
    for (const name of ['one', 'self']) await expect(resolve(at(name))).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('a hash part alone, with the reason', async () => {
    const error = await resolve(HASH).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_NOT_FOUND' });
    expect(error.hint).toContain('a hash part alone');
  });

  it.each(['', '/', '/nix/store', `/nix/store/${HASH}`, `/nix/store/../${NAME}`])('%j', async (what) => {
    await expect(resolve(what)).rejects.toMatchObject({ code: expect.stringMatching(/^E_(USAGE|NOT_FOUND)$/) });
  });
});
