import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { md5OfFile, moveFile, readSmallFile, writeFileAtomic, writeThenMove } from '#lib/filesystem/small-files.js';
import { createTemporaryNames } from '#lib/filesystem/temporary.js';
import { noise, useDirectory } from '../../support/files.js';

const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const temporary = async (): Promise<string> => (await createTemporaryNames(directory()))();

describe('the MD5 of a part of a file', () => {
  it('is that of its bytes, and an error where there are fewer', async () => {
    const bytes = noise(600_000);
    writeFileSync(at('file'), bytes);
    for (const [start, size] of [
      [0, 600_000],
      [1, 599_999],
      [300_000, 10],
      [5, 0],
    ] as const) {
      const expected = createHash('md5')
        .update(bytes.subarray(start, start + size))
        .digest();
      expect((await md5OfFile(at('file'), start, size)).equals(expected)).toBe(true);
    }
    await expect(md5OfFile(at('file'), 1, 600_000)).rejects.toThrow(/fewer bytes than it should/);
    await expect(md5OfFile(at('missing'), 0, 1)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('writing a file that is there whole or not at all', () => {
  it('makes the directories above it, and leaves nothing else', async () => {
    await writeFileAtomic(at('a', 'b', 'file'), await temporary(), 'content é');
    expect(readFileSync(at('a', 'b', 'file'), 'utf8')).toBe('content é');
    expect(readdirSync(directory())).toEqual(['a']);
  });

  it('replaces a file, and the link rather than what it points to', async () => {
    writeFileSync(at('old'), 'old');
    symlinkSync('old', at('link'));
    await writeFileAtomic(at('link'), await temporary(), 'new');
    await writeFileAtomic(at('file'), await temporary(), 'first');
    await writeFileAtomic(at('file'), await temporary(), 'second');
    expect(readFileSync(at('old'), 'utf8')).toBe('old');
    expect(readFileSync(at('link'), 'utf8')).toBe('new');
    expect(readFileSync(at('file'), 'utf8')).toBe('second');
  });

  it.each([
    ['a directory is in its place', () => mkdirSync(at('file')), 'EISDIR'],
    ['a file is where its directory would be', () => writeFileSync(at('dir'), 'x'), 'ENOTDIR'],
  ])('leaves nothing when %s', async (_, prepare, code) => {
    prepare();
    const before = readdirSync(directory());
    const path = code === 'EISDIR' ? at('file') : at('dir', 'file');
    await expect(writeFileAtomic(path, await temporary(), 'x')).rejects.toMatchObject({ code });
    expect(readdirSync(directory())).toEqual(before);
  });

  it('never writes into what is at the temporary name', async () => {
    writeFileSync(at('outside'), 'old');
    symlinkSync('outside', at('planted'));
    await expect(writeFileAtomic(at('file'), at('planted'), 'new')).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readFileSync(at('outside'), 'utf8')).toBe('old');
    expect(existsSync(at('file'))).toBe(false);
  });

  it('leaves the caller’s bytes as they are, also a part of a larger buffer', async () => {
    const bytes = Buffer.from('0123456789');
    await writeFileAtomic(at('file'), await temporary(), bytes.subarray(2, 5));
    expect(readFileSync(at('file'), 'utf8')).toBe('234');
    expect(bytes.toString()).toBe('0123456789');
  });

  it('keeps many that are written at once apart', async () => {
    const names = await createTemporaryNames(directory());
    const files = Array.from({ length: 300 }, (_, index) => ({ path: at('many', String(index)), text: `${index}` }));
    await Promise.all(files.map(({ path, text }) => writeFileAtomic(path, names(), text)));
    const found = await Promise.all(files.map(({ path }) => readSmallFile(path, 100)));
    expect(found.map(String)).toEqual(files.map(({ text }) => text));
    expect(readdirSync(directory())).toEqual(['many']);
  });

  it('fails when the same bytes are given twice, and goes on', { timeout: 60_000 }, async () => {
    const bytes = new Uint8Array(100).fill(0x78);
    const names = [await temporary(), await temporary()];
    const together = ['a', 'b'].map((name, index) => writeFileAtomic(at(name), names[index]!, bytes));
    expect((await Promise.allSettled(together)).map(({ status }) => status)).toContain('rejected');
    await writeFileAtomic(at('b'), await temporary(), bytes);
    await expect(writeFileAtomic(at('c'), await temporary(), bytes)).rejects.toThrow();
    await writeFileAtomic(at('d'), await temporary(), 'after');
    expect(readFileSync(at('d'), 'utf8')).toBe('after');
  });

  it('is done before things are renamed, in their order, and not when it fails', async () => {
    writeFileSync(at('tree'), 'tree');
    await writeThenMove(at('claim'), 'claim', [
      [at('tree'), at('place', 'tree')],
      [at('claim'), at('info')],
    ]);
    expect([readFileSync(at('place', 'tree'), 'utf8'), readFileSync(at('info'), 'utf8')]).toEqual(['tree', 'claim']);
    expect(readdirSync(directory()).sort()).toEqual(['info', 'place']);
    await expect(writeThenMove(at('info'), 'x', [[at('place'), at('gone')]])).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(writeThenMove(at('claim'), 'x', [[at('none'), at('gone')]])).rejects.toMatchObject({ code: 'ENOENT' });
    expect(readdirSync(directory()).sort()).toEqual(['claim', 'info', 'place']);
  });

  it('shows readers the old content or the new, never a part', async () => {
    const contents = ['a', 'b'].map((letter) => Buffer.alloc(500_000, letter));
    await writeFileAtomic(at('file'), await temporary(), Buffer.from(contents[0]!));
    const writes = (async () => {
      for (let round = 0; round < 20; round++) {
        await writeFileAtomic(at('file'), await temporary(), Buffer.from(contents[round % 2]!));
      }
    })();
    let reads = 0;
    let done = false;
    const finished = writes.then(() => {
      done = true;
    });
    while (!done) {
      const bytes = readFileSync(at('file'));
      expect(contents.some((content) => content.equals(bytes))).toBe(true);
      reads++;
      await new Promise(setImmediate);
    }
    await finished;
    expect(reads).toBeGreaterThan(3);
  });
});

describe('reading a small file', () => {
  it('gives its bytes', async () => {
    writeFileSync(at('file'), noise(100_000));
    writeFileSync(at('empty'), '');
    expect((await readSmallFile(at('file'), 100_000))?.equals(noise(100_000))).toBe(true);
    expect((await readSmallFile(at('empty'), 0))?.length).toBe(0);
  });

  it('gives nothing where there is no file', async () => {
    writeFileSync(at('file'), 'x');
    for (const path of [at('missing'), at('file', 'below'), directory(), at('n'.repeat(300))]) {
      expect(await readSmallFile(path, 100)).toBeUndefined();
    }
  });

  it('refuses one that is larger than its limit', async () => {
    writeFileSync(at('file'), 'four');
    expect(String(await readSmallFile(at('file'), 4))).toBe('four');
    await expect(readSmallFile(at('file'), 3)).rejects.toMatchObject({
      message: expect.stringContaining('more than 3'),
    });
  });

  it('refuses a pipe without waiting for its other end', { timeout: 60_000 }, async () => {
    execFileSync('mkfifo', [at('pipe')]);
    await expect(readSmallFile(at('pipe'), 100)).rejects.toThrow('is not a plain file');
  });

  it('tells of other errors by their code', async () => {
    symlinkSync('circle', at('circle'));
    await expect(readSmallFile(at('circle'), 100)).rejects.toMatchObject({ code: 'ELOOP' });
  });

  it('that fails does not disturb others of the same turn', async () => {
    writeFileSync(at('file'), 'x');
    symlinkSync('circle', at('circle'));
    const [bad, good] = await Promise.allSettled([readSmallFile(at('circle'), 9), readSmallFile(at('file'), 9)]);
    expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled']);
  });
});

describe('moving', () => {
  it('takes a file or a tree along, and makes the directories above', async () => {
    mkdirSync(at('tree'));
    writeFileSync(at('tree', 'file'), 'x');
    chmodSync(at('tree'), 0o755);
    await moveFile(at('tree'), at('a', 'b', 'tree'));
    expect(readFileSync(at('a', 'b', 'tree', 'file'), 'utf8')).toBe('x');
    expect(existsSync(at('tree'))).toBe(false);
  });

  it('fails when there is nothing to move', async () => {
    await expect(moveFile(at('missing'), at('to'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
