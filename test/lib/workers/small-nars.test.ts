import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SmallPromise } from '#lib/compression/small-nar.js';
import type { Placement } from '#lib/workers/jobs.js';
import { createSmallNarUnpacker, type WaitingNar } from '#lib/workers/small-nars.js';
import { directoryOf, fileOf, noise, useDirectory } from '../../support/files.js';
import { directoryTokens, naiveNar, narOf } from '../../support/nar.js';
import { usePool } from '../../support/pool.js';
import { frameOf } from '../../support/zstd.js';

const pool = usePool(2);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function promiseOf(nar: Buffer, file: Buffer): SmallPromise {
  return {
    ...{ compression: 'zstd', narHash: sha256(nar), narSize: nar.length },
    ...{ fileHash: sha256(file), fileSize: file.length },
  };
}

function narNumber(number: number) {
  const nar = naiveNar(directoryOf({ file: fileOf(noise(1000, `${number}`)) }));
  const file = frameOf(nar);
  return { nar, file, promise: promiseOf(nar, file) };
}

/** Where a tree is to be placed, and nothing else is yet. */
function placementAt(name: string): Placement {
  for (const each of ['claims', 'info', 'store']) mkdirSync(at(each), { recursive: true });
  return { path: at('store', name), claim: at('claims', name), content: `about ${name}`, metadata: at('info', name) };
}

const unpack = (nar: Omit<WaitingNar, 'placement' | 'destination'>, placement?: Placement, destination = at('out')) =>
  createSmallNarUnpacker(pool)({ ...nar, destination, placement: () => placement });

describe('small NARs', () => {
  it('become trees, each its own, as files and as bytes', async () => {
    const take = createSmallNarUnpacker(pool);
    const numbers = Array.from({ length: 150 }, (_, number) => number);
    const states = await Promise.all(
      numbers.map((number) => {
        const { file, promise } = narNumber(number);
        if (number % 2 === 0) writeFileSync(at(`${number}.nar`), file);
        const content = number % 2 === 0 ? { file: at(`${number}.nar`) } : { bytes: file };
        return take({ ...content, promise, destination: at(`${number}`), placement: () => undefined });
      }),
    );
    expect(new Set(states.map(({ state }) => state))).toEqual(new Set(['unpacked']));
    for (const number of numbers) expect(readFileSync(at(`${number}`, 'file'))).toEqual(noise(1000, `${number}`));
  });

  it('get their names, and leave no claim', async () => {
    const { file, promise } = narNumber(1);
    expect((await unpack({ bytes: file, promise }, placementAt('x'))).state).toBe('placed');
    expect(readFileSync(at('store/x/file'))).toEqual(noise(1000, '1'));
    expect(readFileSync(at('info/x'), 'utf8')).toBe('about x');
    expect(readdirSync(at('claims'))).toEqual([]);
  });

  it.each(['store/x/file', 'info/x'])('stay where they are when %s is there, and it stays as it is', async (taken) => {
    const { file, promise } = narNumber(1);
    const placement = placementAt('x');
    mkdirSync(at('store/x'), { recursive: taken.startsWith('store') });
    if (taken.startsWith('store')) writeFileSync(at(taken), 'another');
    else writeFileSync(at(taken), 'another');
    expect((await unpack({ bytes: file, promise }, placement)).state).toBe('unpacked');
    expect(readFileSync(at(taken), 'utf8')).toBe('another');
    expect(readFileSync(at('out/file'))).toEqual(noise(1000, '1'));
    expect(readdirSync(at('claims'))).toEqual([]);
  });

  const { nar, file, promise } = narNumber(2);
  const other = narNumber(3);
  const hostile = narOf(...directoryTokens('..'));
  const bomb = frameOf(Buffer.alloc(1024 * 1024));
  it.each<[string, Buffer, SmallPromise]>([
    ['another NAR', other.file, { ...promise, fileSize: other.file.length, fileHash: sha256(other.file) }],
    ['another file', other.file, { ...promise, fileSize: other.file.length }],
    ['a larger file', Buffer.concat([file, file]), promise],
    ['a file that is cut', file.subarray(0, -1), { ...promiseOf(nar, file.subarray(0, -1)) }],
    [
      'a frame that is cut',
      Buffer.concat([file, file.subarray(0, 9)]),
      promiseOf(nar, Buffer.concat([file, file.subarray(0, 9)])),
    ],
    [
      'bytes after the frame',
      Buffer.concat([file, Buffer.from('x')]),
      promiseOf(nar, Buffer.concat([file, Buffer.from('x')])),
    ],
    ['more than it may hold', bomb, { ...promiseOf(nar, bomb) }],
    ['a file that is not compressed', nar, promiseOf(nar, nar)],
    ['a NAR that leads out', frameOf(hostile), promiseOf(hostile, frameOf(hostile))],
    ['no NAR', frameOf(Buffer.from('none')), promiseOf(Buffer.from('none'), frameOf(Buffer.from('none')))],
  ])('are refused with %s, and those after them are not', async (_, bytes, wrong) => {
    const take = createSmallNarUnpacker(pool);
    const states = [
      take({ bytes, promise: wrong, destination: at('wrong'), placement: () => placementAt('x') }),
      take({ bytes: file, promise, destination: at('right'), placement: () => undefined }),
    ];
    expect((await Promise.all(states)).map(({ state }) => state)).toEqual(['refused', 'unpacked']);
    expect(existsSync(at('store/x'))).toBe(false);
    expect(readFileSync(at('right/file'))).toEqual(noise(1000, '2'));
  });

  it('are refused when their file is missing, or is none', async () => {
    mkdirSync(at('directory'));
    for (const name of ['missing', 'directory']) {
      expect((await unpack({ file: at(name), promise })).state).toBe('refused');
    }
  });
});
