import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { decompress } from '#lib/compression/decompress.js';
import { compressFileXz } from '#lib/compression/xz/write.js';
import { gather, noise, stream, useDirectory } from '../../../support/files.js';
import { describeWithProgram, runOnBytes } from '../../../support/programs.js';

describeWithProgram('xz', 'compressing with the program xz', () => {
  const directory = useDirectory();
  const PATH = process.env.PATH;
  afterEach(() => {
    process.env.PATH = PATH;
  });

  /** Compresses; gives the bytes of the file that was made. */
  async function compress(content: Uint8Array, level: number): Promise<Buffer> {
    const [from, to] = [join(directory(), 'from'), join(directory(), 'to')];
    writeFileSync(from, content);
    await compressFileXz(from, to, level);
    return readFileSync(to);
  }

  it.each([
    ['nothing', Buffer.alloc(0), 6],
    ['one byte', Buffer.from('x'), 0],
    ['noise', noise(3_000_000), 0],
    ['what compresses', Buffer.alloc(3_000_000, 'text '), 9],
  ])('keeps %s, for the program and for carport', async (_, content, level) => {
    const file = await compress(content, level);
    expect(runOnBytes('xz', ['-d', '-c'], file).equals(content)).toBe(true);
    expect((await gather(decompress('xz', stream(file)))).equals(content)).toBe(true);
  });

  it('gives the same bytes each time, and fewer at a higher level', async () => {
    const content = Buffer.from(Array.from({ length: 50_000 }, (_, line) => `${line * line} lines\n`).join(''));
    const small = await compress(content, 9);
    expect((await compress(content, 9)).equals(small)).toBe(true);
    expect((await compress(content, 0)).length).toBeGreaterThan(small.length);
  });

  it('says so when the program is not there', async () => {
    process.env.PATH = directory();
    const error = await compress(Buffer.from('x'), 6).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_PROGRAM', message: expect.stringContaining('not on PATH') });
    expect(error.hint).toContain('install xz');
  });

  it('does not say so when it is the file that is not there', async () => {
    const [from, to] = [join(directory(), 'missing'), join(directory(), 'to')];
    const error = await compressFileXz(from, to, 6).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_PROGRAM', message: '`xz` failed' });
    expect(String(error.cause.message)).toContain('missing');
  });

  it.skipIf(!existsSync('/dev/full'))('fails where nothing can be written, and says why', async () => {
    const from = join(directory(), 'from');
    writeFileSync(from, 'x');
    const error = await compressFileXz(from, '/dev/full', 6).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_PROGRAM', message: '`xz` failed' });
    expect(error.cause.message).toMatch(/no space left/i);
  });
});
