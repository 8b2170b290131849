import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createPartMemory, type ReadPart } from '#lib/object-store/s3/parts/part-memory.js';
import { gather, noise, useDirectory } from '../../../../support/files.js';

const MIB = 1024 * 1024;
const directory = useDirectory();

/** A file of one byte more than memory may hold of it, and its bytes. */
const bytes = noise(16 * MIB + 3);
function makeFile(): string {
  const path = join(directory(), 'file');
  writeFileSync(path, bytes);
  return path;
}

const bytesOf = async ({ body }: ReadPart): Promise<Buffer> =>
  body instanceof Uint8Array ? Buffer.from(body) : gather(body.open());

describe('the memory of parts that are sent', () => {
  it('has so many bytes of a file, and their MD5', async () => {
    const path = makeFile();
    const { hold } = createPartMemory();
    for (const size of [0, 1, 300_000, MIB, MIB + 1, 16 * MIB, 16 * MIB + 1]) {
      const wanted = bytes.subarray(1, size + 1);
      await hold({ path, start: 1, size }, async (read) => {
        expect(read.md5.equals(createHash('md5').update(wanted).digest())).toBe(true);
        expect((await bytesOf(read)).equals(wanted)).toBe(true);
        expect(read.body instanceof Uint8Array).toBe(size <= 16 * MIB);
      });
    }
  });

  it('is bounded: who wants more waits in its turn until others have sent', async () => {
    const path = makeFile();
    const { hold } = createPartMemory();
    const ends: (() => void)[] = [];
    const held: number[] = [];
    const all = Array.from({ length: 42 }, (_, start) =>
      hold({ path, start, size: MIB }, async ({ body }) => {
        held.push(start);
        const first = Buffer.from((body as Uint8Array).subarray(0, 50));
        await new Promise<void>((end) => ends.push(end));
        // Nobody else had this memory meanwhile.
        expect(first.equals((body as Uint8Array).subarray(0, 50))).toBe(true);
      }),
    );
    while (held.length < 32) await turn();
    for (let count = 0; count < 20; count++) await turn();
    expect(held).toEqual(Array.from({ length: 32 }, (_, start) => start));
    for (const end of ends.splice(0, 2)) end();
    while (held.length < 34) await turn();
    expect(held.slice(32)).toEqual([32, 33]);
    let ended = 2;
    while (ended < 42) {
      await turn();
      ended += ends.length;
      for (const end of ends.splice(0)) end();
    }
    await Promise.all(all);
  });

  it('is free again after a failure, of the file or of who sends', async () => {
    const path = makeFile();
    const { hold } = createPartMemory();
    for (let count = 0; count < 4; count++) {
      const refused = hold({ path, start: 0, size: 16 * MIB }, () => Promise.reject(new Error('refused')));
      await expect(refused).rejects.toThrow('refused');
      await expect(hold({ path, start: 4, size: 16 * MIB }, bytesOf)).rejects.toThrow(/fewer bytes than it should/);
    }
    expect(await hold({ path, start: 0, size: 3 }, bytesOf)).toHaveLength(3);
  });
});
