import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createUnpacker, isEnded } from '#lib/filesystem/unpack.js';
import { hashBytes } from '#lib/nix/hash.js';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import type { Assembly, AssemblyPart } from '#lib/workers/jobs/delta/assembly.js';
import { endedSize } from '#lib/workers/jobs/delta/begun.js';
import { openNarRanges } from '#lib/workers/jobs/delta/nar-ranges.js';
import { unpackPath } from '#lib/workers/jobs/unpack.js';
import { directoryOf, fileOf, linkTo, noise, removeAll, stream, useDirectory } from '../../../../support/files.js';
import { naiveNar, type Tree } from '../../../../support/nar.js';
import { frameOf } from '../../../../support/zstd.js';

const directory = useDirectory();
const [LEFT, MADE] = ['left', 'made'] as const;
const at = (...names: string[]) => join(directory(), ...names);

const TREE: Tree = directoryOf({
  a: fileOf(noise(1000, 'a')),
  b: directoryOf({ empty: fileOf(''), run: fileOf('#!', true), sub: directoryOf({ '\xff': fileOf('seven 7') }) }),
  c: directoryOf({}),
  link: linkTo('b/run'),
  z: fileOf(noise(500, 'z')),
});
const NAR = naiveNar(TREE);
/** Bytes of a chunk: no end of one is that of a file. */
const CHUNK = 100;

/** What a run has made of the first bytes of a NAR before it was killed. */
function leave(bytes: number, nar = NAR): string {
  const apply = createUnpacker(at(LEFT), 'store');
  for (const event of createNarDecoder().push(nar.subarray(0, bytes))) apply(event);
  apply.close();
  return at(LEFT);
}

/** A NAR whose first so many bytes are whole chunks of the tree that was left, and the rest of which comes. */
function assemblyOf(here: number, nar = NAR): Assembly {
  const chunks = Math.floor(here / CHUNK);
  const references = { count: 0, runs: new Uint8Array() };
  const parts = Array.from({ length: chunks }, (_, chunk): AssemblyPart => {
    return { size: CHUNK, from: { tree: 0, offset: chunk * CHUNK, references } };
  });
  const rest = nar.length - chunks * CHUNK;
  const list = ['0'.repeat(32)];
  return { trees: [{ path: at(LEFT), list, isBegun: true }], parts: [...parts, { size: rest }], list };
}

async function make(assembly: Assembly, nar = NAR): Promise<void> {
  const fetched = nar.subarray(nar.length - assembly.parts.at(-1)!.size);
  const promise = { compression: 'none', narHash: hashBytes('sha256', NAR), narSize: NAR.length };
  const context = { source: stream(frameOf(fetched)), progress: () => {}, output: async () => {} };
  await unpackPath({ type: 'unpack', destination: at(MADE), promise, assembly }, context);
}

function narAt(path: string, size = NAR.length + 1): Buffer {
  const ranges = openNarRanges(path);
  const bytes = Buffer.alloc(size);
  const read = ranges.readSome(bytes, 0);
  ranges.close();
  return bytes.subarray(0, read);
}

const isSame = (...names: string[]) => lstatSync(at(LEFT, ...names)).ino === lstatSync(at(MADE, ...names)).ino;

function changeFunctions(change: () => void): void {
  change();
  syncBuiltinESMExports();
  onTestFinished(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });
}

describe('a tree that was begun', () => {
  it('begins as the whole does, whenever it was stopped, and is gone on with', async () => {
    for (let bytes = 8; bytes <= NAR.length; bytes += 56) {
      const left = leave(bytes);
      const isRoot = existsSync(left);
      const ended = isRoot ? endedSize(left) : 0;
      // Tokens that always follow count.
      expect(ended).toBeLessThan(bytes + 50);
      if (isRoot) expect(narAt(left, ended).equals(NAR.subarray(0, ended))).toBe(true);
      // Nothing but the file that was not ended is lost, and tokens.
      if (bytes > 1300 && bytes < NAR.length - 600) expect(bytes - ended).toBeLessThan(300);
      await make(assemblyOf(ended));
      expect(narAt(at(MADE)).equals(NAR)).toBe(true);
      for (const name of ['.', 'a', 'b', 'b/run', 'b/sub', 'b/sub/\xff', 'c', 'z']) {
        const { mode, mtimeMs } = lstatSync(Buffer.from(at(MADE, name), 'latin1'));
        expect([mode & 0o222, mtimeMs], name).toEqual([0, 1000]);
      }
      for (const name of [LEFT, MADE]) removeAll(at(name));
    }
  });

  it('gives its files to the new one, and neither has what the other makes of its own', async () => {
    leave(NAR.length - 300);
    await make(assemblyOf(endedSize(at(LEFT))));
    expect([isSame('a'), isSame('b', 'run'), isSame('link'), isSame('z')]).toEqual([true, true, false, false]);
    removeAll(at(LEFT));
    expect(narAt(at(MADE)).equals(NAR)).toBe(true);
  });

  it('is copied from where a directory has all its files and was not ended', async () => {
    leave(NAR.length);
    for (const name of ['b', 'b/sub']) chmodSync(at(LEFT, name), 0o700);
    const ended = endedSize(at(LEFT));
    expect(ended).toBeGreaterThan(NAR.indexOf('seven 7'));
    expect(ended).toBeLessThan(NAR.indexOf(noise(500, 'z')) - 200);
    await make(assemblyOf(NAR.length));
    expect([isSame('a'), isSame('b', 'run'), isSame('z')]).toEqual([true, true, false]);
    expect(narAt(at(MADE)).equals(NAR)).toBe(true);
    for (const name of ['.', 'b', 'b/sub', 'c', 'z']) expect(isEnded(lstatSync(at(MADE, name)))).toBe(true);
  });

  it('is copied where its files can have no other names', async () => {
    leave(NAR.length - 300);
    const fs = (await import('node:fs')).default;
    changeFunctions(() =>
      vi.spyOn(fs, 'linkSync').mockImplementation(() => {
        throw Object.assign(new Error('no links'), { code: 'EPERM' });
      }),
    );
    await make(assemblyOf(endedSize(at(LEFT))));
    expect(isSame('a')).toBe(false);
    expect(narAt(at(MADE)).equals(NAR)).toBe(true);
  });

  it('is not taken for ended where the system has stopped since, or somebody has changed its mode or time', () => {
    const left = leave(NAR.length);
    expect(endedSize(left)).toBe(NAR.length);
    const { uptime } = os;
    changeFunctions(() => vi.spyOn(os, 'uptime').mockImplementation(() => -1));
    expect(endedSize(left)).toBeLessThan(200);
    vi.mocked(os.uptime).mockImplementation(uptime);
    for (const mode of [0o644, 0o4555]) {
      chmodSync(join(left, 'z'), mode);
      expect(endedSize(left)).toBeLessThan(NAR.length - 400);
    }
    chmodSync(join(left, 'z'), 0o444);
    expect(endedSize(left)).toBe(NAR.length);
    utimesSync(join(left, 'z'), 2, 2);
    expect(endedSize(left)).toBeLessThan(NAR.length - 400);
  });

  it('is refused when it is not the beginning of what is wanted, whatever it looks like', async () => {
    const other = Buffer.from(NAR);
    other[NAR.indexOf(noise(1000, 'a')) + 500]! ^= 1;
    leave(NAR.length - 300, other);
    await expect(make(assemblyOf(endedSize(at(LEFT))))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('is refused, and nothing else is read or written, when it is exchanged after it was looked at', async () => {
    const secret = at('secret');
    writeFileSync(secret, noise(1000, 'secret'));
    const file = at(LEFT, 'a');
    const ways: readonly (() => void)[] = [
      () => symlinkSync(secret, file),
      () => linkSync(secret, file),
      () => mkdirSync(file),
      () => {},
      () => renameSync(at(LEFT, 'b'), file),
      () => rmSync(at(LEFT), { recursive: true }),
      () => {
        rmSync(at(LEFT), { recursive: true });
        symlinkSync(directory(), at(LEFT));
      },
    ];
    for (const exchange of ways) {
      leave(NAR.length - 300);
      const assembly = assemblyOf(endedSize(at(LEFT)));
      chmodSync(at(LEFT), 0o700);
      rmSync(file);
      exchange();
      await expect(make(assembly)).rejects.toMatchObject({ code: expect.stringMatching(/^E_(INTEGRITY|FORMAT|IO)$/) });
      expect(lstatSync(secret)).toMatchObject({ nlink: expect.any(Number), size: 1000 });
      expect(lstatSync(secret).mode & 0o777).toBe(0o644);
      for (const name of [LEFT, MADE]) removeAll(at(name));
    }
  });
});
