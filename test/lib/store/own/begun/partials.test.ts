import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isBetterWithout } from '#cache/pull/kept.js';
import { NarRefusal } from '#lib/compression/nar-refusal.js';
import { CarportError } from '#lib/errors.js';
import { openPartials, type PartialFile } from '#lib/store/own/begun/partials.js';
import { createKeeper } from '#lib/workers/files/kept-source.js';
import { useDirectory } from '../../../../support/files.js';

const MIB = 1024 * 1024;
const directory = useDirectory();
const partialsDir = () => join(directory(), 'partial');
const partials = () => openPartials({ partialsDir: partialsDir() });
const names = () => readdirSync(partialsDir()).sort();
const NEEDS = { room: 1 };
const read = async (partial: PartialFile) => {
  const pieces: Uint8Array[] = [];
  for await (const piece of partial.read()) pieces.push(piece);
  return Buffer.concat(pieces);
};
/** As a thread does that has all bytes as its source. */
const add = (partial: PartialFile | undefined, bytes: Buffer) => {
  const keep = createKeeper(partial!.kept(partial!.size + bytes.length));
  const [half, rest] = [Math.floor(bytes.length / 2), Buffer.alloc(partial!.size)];
  for (const piece of [rest.subarray(0, 10), Buffer.concat([rest.subarray(10), bytes.subarray(0, half)])]) keep(piece);
  keep(bytes.subarray(half));
  keep(Buffer.from('more'));
};
/** Bytes that a run has left; that of a process which is gone with `pid`. */
const leave = async (bytes: Buffer, pid?: number) => {
  const before = new Set(partialsDirNames());
  const partial = await partials().take('a', NEEDS);
  add(partial, bytes);
  await partial!.leave();
  const [name] = names().filter((each) => !before.has(each));
  if (pid === undefined) return join(partialsDir(), name!);
  const gone = name!.replace(`-${process.pid}-`, `-${pid}-`);
  renameSync(join(partialsDir(), name!), join(partialsDir(), gone));
  return join(partialsDir(), gone);
};
const partialsDirNames = () => {
  mkdirSync(partialsDir(), { recursive: true });
  return names();
};

describe('partial files', () => {
  it('are gone on with from what one run has left, the most of several', async () => {
    const bytes = randomBytes(3 * MIB);
    const first = await leave(bytes.subarray(0, 2 * MIB), 999_999_997);
    writeFileSync(first.replace('-999999997-', '-999999998-'), bytes.subarray(0, MIB));
    mkdirSync(join(partialsDir(), 'a-directory'));
    const partial = await partials().take('a', NEEDS);
    expect(partial!.size).toBe(2 * MIB);
    expect(await partials().take('a', NEEDS)).toBeUndefined();
    expect((await read(partial!)).equals(bytes.subarray(0, 2 * MIB))).toBe(true);
    add(partial, bytes.subarray(2 * MIB));
    await partial!.leave();
    const whole = await partials().take('a', NEEDS);
    expect((await read(whole!)).equals(bytes)).toBe(true);
    await whole!.remove();
    expect(names()).toEqual(['a-directory']);
  });

  it('are no longer than can be read, and then nothing more is kept', async () => {
    await leave(randomBytes(2 * MIB), 999_999_997);
    const partial = await partials().take('a', NEEDS);
    truncateSync(join(partialsDir(), names()[0]!), MIB);
    expect(await read(partial!)).toHaveLength(MIB);
    add(partial, randomBytes(2 * MIB));
    await partial!.leave();
    expect(names()).toEqual([]);
  });

  it('are not kept where the disk has no room for them and what becomes of them', async () => {
    await leave(randomBytes(MIB));
    expect(await partials().take('a', { room: 2 ** 60 })).toBeUndefined();
    expect(names()).toEqual([]);
    expect(await partials().take('a', NEEDS)).toMatchObject({ size: 0 });
  });

  it('go when they are many, the oldest first, and the newest stays, however large it is', async () => {
    const large = await leave(randomBytes(MIB), 999_999_997);
    const old = large.replace('-999999997-', '-999999998-');
    writeFileSync(old, 'x');
    utimesSync(old, 1, 1);
    truncateSync(large, 9 * 1024 * MIB);
    await (await partials().take('b', NEEDS))!.remove();
    expect(names()).toEqual([basename(large)]);
  });

  it('free their space when the disk is full, and are not kept after that', async () => {
    await leave(randomBytes(MIB), 999_999_997);
    const [used, all] = [randomBytes(2 * MIB), partials()];
    expect(await partials().giveUp()).toBe(true);
    expect(names()).toEqual([]);
    expect(await all.giveUp()).toBe(false);
    const mine = partials();
    const partial = await mine.take('b', NEEDS);
    add(partial, used);
    const isBetter = (code: string) => isBetterWithout(Object.assign(new Error('x'), { code }), {}, { partials: mine });
    expect(await isBetter('ENOSPC')).toBe(true);
    expect(await isBetter('EDQUOT')).toBe(true);
    expect(await isBetter('EACCES')).toBe(false);
    expect(await read(partial!)).toHaveLength(0);
    add(partial, used);
    await partial!.leave();
    expect(names()).toEqual([]);
    expect(await mine.take('b', NEEDS)).toBeUndefined();
  });

  it('are left by who went away, and removed by who refuses: then all may be fetched again', async () => {
    const ended = async (error: Error) => {
      await rm(partialsDir(), { recursive: true, force: true });
      await leave(randomBytes(MIB));
      const isBetter = await isBetterWithout(
        error,
        { partial: await partials().take('a', NEEDS) },
        { partials: partials() },
      );
      return [isBetter, names().length];
    };
    for (const code of ['E_UNAVAILABLE', 'E_INTERRUPTED', 'E_REMOTE', 'E_NOT_FOUND'] as const) {
      expect(await ended(new CarportError(code, 'x'))).toEqual([false, 1]);
    }
    expect(await ended(new NarRefusal('E_INTEGRITY', 'x', 'another'))).toEqual([true, 0]);
    expect(await ended(new NarRefusal('E_UNSUPPORTED', 'x', 'another'))).toEqual([true, 0]);
    expect(await ended(new NarRefusal('E_INTEGRITY', 'x', 'as told'))).toEqual([false, 0]);
  });

  it('are not had where nothing can be written, and lie where a link of the user leads', async () => {
    writeFileSync(partialsDir(), '');
    expect(await partials().take('a', NEEDS)).toBeUndefined();
    expect(await partials().giveUp()).toBe(false);
    await rm(partialsDir());
    mkdirSync(join(directory(), 'elsewhere'));
    symlinkSync('elsewhere', partialsDir());
    await leave(randomBytes(MIB));
    expect(await partials().take('a', NEEDS)).toMatchObject({ size: MIB });
  });
});
