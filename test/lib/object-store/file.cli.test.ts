import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTemporaryNames } from '#lib/filesystem/temporary.js';
import { openFileStore } from '#lib/object-store/file.js';
import { asOrdinaryUser } from '../../support/files.js';
import { createSandbox, useSandbox } from '../../support/sandbox.js';
import { describeObjectStore } from './conformance.js';

const TEXT = { contentType: 'text/plain' };

describeObjectStore('a directory', async () => {
  const box = await createSandbox();
  const root = box.path('objects');
  const objects = openFileStore(root);
  return {
    ...{ objects, reopen: () => openFileStore(root), remove: () => box.remove() },
    visit: async (key) => (await objects.read(key, 1000))?.toString(),
  };
});

describe('a directory of objects', () => {
  const box = useSandbox();

  it('is made by the first put, and by nothing else', async () => {
    const root = box().path('not', 'yet');
    const objects = openFileStore(root);
    expect(await objects.read('x', 10)).toBeUndefined();
    await expect(stat(root)).rejects.toThrow('ENOENT');
    await objects.put('x', Buffer.from('now'), TEXT);
    expect((await stat(join(root, 'x'))).size).toBe(3);
  });

  it('has a URL with what a URL needs escaped, and a local path for each key', () => {
    const objects = openFileStore(box().path('with space#?'));
    expect(objects.url).toBe(`file://${box().root}/with%20space%23%3F`);
    expect(objects.localFile('nar/x.nar')).toBe(box().path('with space#?', 'nar/x.nar'));
    expect(() => objects.localFile('../x')).toThrow('leads outside');
  });

  it('shows no file that is not finished in the listing', async () => {
    const objects = openFileStore(box().path('objects'));
    await writeFile(await objects.spoolName(), 'half');
    const keys: string[] = [];
    for await (const { key } of objects.list({ recursive: true })) keys.push(key);
    expect(keys.filter((key) => key.startsWith('.'))).toEqual([]);
  });

  it('is listed whole and in order, where much is in one directory and where much is below it', async () => {
    const root = box().path('objects');
    const many = (directory: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${directory}/${index}`);
    const keys = [
      ...['a', 'a!', 'a0', 'b/\u{1F600}', 'b/\uFF21', 'd/e/f/g', 'm!'],
      ...many('a', 1500),
      ...many('m/flat', 1001),
      ...Array.from({ length: 150 }, (_, index) => many(`m/deep/${index}`, 10)).flat(),
    ].filter((key) => key !== 'a');
    for (const key of keys) {
      await mkdir(dirname(join(root, key)), { recursive: true });
      await writeFile(join(root, key), key);
    }
    await symlink('a', join(root, 'link'));
    await symlink('nowhere', join(root, 'm/broken'));
    spawnSync('mkfifo', [join(root, 'm/pipe')]);
    const objects = openFileStore(root);
    const list = async (prefix: string, recursive = true) => {
      const found: string[] = [];
      for await (const { key, size } of objects.list({ prefix, recursive })) {
        expect(size, key).toBe(Buffer.byteLength(key));
        found.push(key);
      }
      return found;
    };
    const sorted = keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const prefix of [
      '',
      'a',
      'a/',
      'a/1',
      'b/',
      'm',
      'm/',
      'm/d',
      'm/deep/',
      'm/deep/14',
      'd/e/f',
      'link',
      'link/',
    ]) {
      expect(await list(prefix), prefix).toEqual(sorted.filter((key) => key.startsWith(prefix)));
    }
    expect(await list('a/', false)).toHaveLength(1500);
    expect(await list('a', false)).toEqual(['a!', 'a0']);
  });

  it('leaves nothing behind when a put fails', async () => {
    const root = box().path('objects');
    const objects = openFileStore(root);
    await objects.put('directory/below', Buffer.from('x'), TEXT);
    await expect(objects.put('directory', Buffer.from('no file can be here'), TEXT)).rejects.toThrow();
    expect(await readdir(join(root, 'carport/tmp'))).toEqual([]);
  });

  it('removes what a killed process left, and nothing of one that lives', async () => {
    const root = box().path('objects');
    const spool = join(root, 'carport/tmp');
    await mkdir(spool, { recursive: true });
    const mine = (await createTemporaryNames(spool))();
    // The name of a process that has ended: its own, with the number of one that is no more.
    const { pid } = spawnSync('true');
    const dead = mine.replace(`-${process.pid}-`, `-${pid}-`);
    const elsewhere = mine.replace(/\.carport-.{17}/, '.carport-00000000-00000000');
    const names = { mine, dead, elsewhere, foreign: join(spool, 'notes.txt') };
    for (const name of Object.values(names)) await writeFile(name, 'x');
    await utimes(names.elsewhere, 1, 1);
    await openFileStore(root).put('x', Buffer.from('x'), TEXT);
    const left = (await readdir(spool)).map((name) => join(spool, name)).sort();
    expect(left).toEqual([names.mine, names.elsewhere, names.foreign].sort());
  });

  it('removes what a killed process left of an xz compression', async () => {
    const root = box().path('objects');
    const spool = join(root, 'carport/tmp');
    await mkdir(spool, { recursive: true });
    const { pid } = spawnSync('true');
    const dead = (await createTemporaryNames(spool))().replace(`-${process.pid}-`, `-${pid}-`);
    for (const ending of ['.nar', '.xz']) await writeFile(dead + ending, 'x');
    await openFileStore(root).put('x', Buffer.from('x'), TEXT);
    expect(await readdir(spool)).toEqual([]);
  });

  it('refuses pipes and devices instead of waiting for them', async () => {
    const root = box().path('objects');
    await mkdir(root);
    spawnSync('mkfifo', [join(root, 'pipe.narinfo')]);
    await symlink('/dev/zero', join(root, 'zero.narinfo'));
    const objects = openFileStore(root);
    for (const key of ['pipe.narinfo', 'zero.narinfo']) {
      await expect(objects.read(key, 100)).rejects.toThrow('is not a plain file');
      await expect(objects.open(key)).rejects.toThrow('is not a plain file');
    }
  });

  it('leaves nothing behind when it cannot copy or name, and when there is nothing to do', async () => {
    const root = box().path('objects');
    const objects = openFileStore(root);
    await objects.put('directory/below', Buffer.from('x'), TEXT);
    await objects.put('file', Buffer.from('x'), TEXT);
    await expect(objects.copy('file', 'directory')).rejects.toThrow();
    await expect(objects.alias('file', 'directory')).rejects.toThrow();
    await expect(objects.alias('file', 'file/below')).rejects.toThrow();
    await Promise.all(Array.from({ length: 20 }, () => objects.alias('file', 'other')));
    expect(await readdir(join(root, 'carport/tmp'))).toEqual([]);
  });

  it('has one file under both names, and knows another with the same bytes', async () => {
    const root = box().path('objects');
    const objects = openFileStore(root);
    for (const key of ['file', 'other']) await objects.put(key, Buffer.from('bytes'), TEXT);
    expect(await objects.alias('file', 'other')).toBe(false);
    await objects.put('other', Buffer.from('BYTES'), TEXT);
    expect(await objects.alias('file', 'other')).toBe(true);
    expect((await stat(join(root, 'other'))).ino).toBe((await stat(join(root, 'file'))).ino);
  });

  it('has a copy as its second name where no link can be made', async ({ skip }) => {
    const isProtected = await readFile('/proc/sys/fs/protected_hardlinks', 'utf8').catch(() => '0');
    if (process.getuid?.() !== 0 || isProtected.trim() !== '1') return skip('links can be made');
    const root = box().path('objects');
    await mkdir(root);
    await chmod(box().root, 0o755);
    await asOrdinaryUser(root, async () => {
      process.seteuid!(0);
      await writeFile(join(root, 'file'), 'of another user');
      process.seteuid!(65534);
      const objects = openFileStore(root);
      expect(await objects.alias('file', 'other')).toBe(true);
      expect(await objects.alias('file', 'other')).toBe(false);
      expect((await objects.read('other', 100))?.toString()).toBe('of another user');
    });
    expect((await stat(join(root, 'other'))).ino).not.toBe((await stat(join(root, 'file'))).ino);
  });

  it('refuses to copy or name pipes and devices instead of waiting for them', async () => {
    const root = box().path('objects');
    await mkdir(root);
    spawnSync('mkfifo', [join(root, 'pipe')]);
    const objects = openFileStore(root);
    await expect(objects.copy('pipe', 'x')).rejects.toThrow('is not a plain file');
    await expect(objects.alias('pipe', 'x')).rejects.toThrow('is not a plain file');
    expect(await objects.stat('x')).toBeUndefined();
  });

  it('says that it may not write', async () => {
    if (process.getuid?.() === 0) return;
    const root = box().path('objects');
    await mkdir(root);
    await chmod(root, 0o500);
    await expect(openFileStore(root).put('x', Buffer.from('x'), TEXT)).rejects.toThrow('EACCES');
  });
});
