import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import { directoryOf, fileOf, linkTo, noise, stream, useDirectory, writeTree } from '../../../support/files.js';
import { naiveNar, type Tree } from '../../../support/nar.js';
import { usePool } from '../../../support/pool.js';
import { frameOf } from '../../../support/zstd.js';

const pool = usePool(1);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);

const [SELF, OTHER, THIRD, NEW] = ['0', '1', '2', '3'].map((digit) => digit.repeat(32)) as [
  string,
  string,
  string,
  string,
];

/** Mentions its own path in contents, names and targets. */
const REFERRING: Tree = directoryOf({
  a: fileOf(`/nix/store/${SELF}-x and /nix/store/${OTHER}-y`),
  b: linkTo(`/nix/store/${SELF}-x/a`),
  [`c-${SELF}`]: fileOf('named', true),
});

describe('unpacking in a worker', () => {
  const tree = directoryOf({ file: fileOf(noise(100_000)), link: linkTo('file') });
  const nar = naiveNar(tree);
  const file = frameOf(nar);
  const promise = { compression: 'zstd', narHash: hashBytes('sha256', nar), narSize: nar.length };
  const unpack = (changes = {}) =>
    ({ type: 'unpack', destination: at('out'), promise: { ...promise, ...changes } }) as const;

  it('makes the tree of a NAR that is streamed in', async () => {
    expect(await pool.run(unpack(), { source: stream(file, 1000) })).toEqual({ fileSize: file.length });
    expect(hashesEqual((await pool.run({ type: 'hash', path: at('out') })).narHash, promise.narHash)).toBe(true);
  });

  it('makes the tree of a NAR that is a file here', async () => {
    writeFileSync(at('file.nar.zst'), file);
    expect(await pool.run({ ...unpack(), file: at('file.nar.zst') })).toEqual({ fileSize: file.length });
    expect(readFileSync(at('out', 'file')).equals(noise(100_000))).toBe(true);
  });

  it('says so when the file is not here', async () => {
    const run = pool.run({ ...unpack(), file: at('missing') });
    await expect(run).rejects.toMatchObject({ code: 'E_NOT_FOUND', message: `\`${at('missing')}\` is missing` });
    expect(existsSync(at('out'))).toBe(false);
  });

  it('refuses a NAR that is not what was promised', async () => {
    const other = hashBytes('sha256', 'other');
    await expect(pool.run(unpack({ narHash: other }), { source: stream(file) })).rejects.toThrow("the NAR's hash is");
  });

  it('refuses a NAR that is what was promised, and no NAR', async () => {
    const garbage = noise(1000);
    const changes = { compression: 'none', narHash: hashBytes('sha256', garbage), narSize: garbage.length };
    await expect(pool.run(unpack(changes), { source: stream(garbage) })).rejects.toMatchObject({ code: 'E_FORMAT' });
    const cut = nar.subarray(0, nar.length - 8);
    const promised = { compression: 'none', narHash: hashBytes('sha256', cut), narSize: cut.length };
    const run = pool.run({ ...unpack(promised), destination: at('cut') }, { source: stream(cut) });
    await expect(run).rejects.toThrow('NAR: is truncated');
  });
});

describe('scanning in a worker', () => {
  const scan = (candidates: readonly string[], selfHashPart?: string) =>
    pool.run({
      type: 'scan',
      path: at('tree'),
      candidates,
      storeDir: '/nix/store',
      ...(selfHashPart && { selfHashPart }),
    });

  it('finds the candidates that the tree names, in contents, names and targets', async () => {
    writeTree(at('tree'), REFERRING);
    const result = await scan([OTHER, THIRD, SELF]);
    expect(result.found).toEqual([SELF, OTHER]);
    expect(result.mentions).toEqual([SELF, OTHER]);
    expect(result).not.toHaveProperty('self');
    expect(hashesEqual(result.narHash, hashBytes('sha256', naiveNar(REFERRING)))).toBe(true);
  });

  it('tells whether the tree names itself, and its hash without that', async () => {
    writeTree(at('tree'), REFERRING);
    const result = await scan([OTHER], SELF);
    expect(result.found).toEqual([OTHER]);
    const nar = naiveNar(REFERRING).toString('latin1');
    const positions = [...nar.matchAll(new RegExp(SELF, 'g'))].map(({ index }) => `|${index}`);
    expect(positions).toHaveLength(3);
    const text = nar.replaceAll(SELF, '\0'.repeat(32)) + positions.join('');
    const expected = createHash('sha256').update(text, 'latin1').digest('hex');
    expect(result.self).toMatchObject({ seen: true });
    expect(Buffer.from(result.self!.hash.digest).toString('hex')).toBe(expected);
  });

  it('does not see a name of its own where there is none', async () => {
    writeTree(at('tree'), REFERRING);
    const { self, narHash } = await scan([], THIRD);
    expect(self?.seen).toBe(false);
    expect(hashesEqual(self!.hash, narHash)).toBe(true);
  });
});

describe('copying in a worker', () => {
  it('gives the same tree, as a store keeps it', async () => {
    writeTree(at('tree'), REFERRING);
    const result = await pool.run({ type: 'copy', path: at('tree'), destination: at('copy') });
    expect(hashesEqual(result.narHash, hashBytes('sha256', naiveNar(REFERRING)))).toBe(true);
    expect(await pool.run({ type: 'hash', path: at('copy') })).toEqual(result);
    const { mode, mtimeMs } = lstatSync(at('copy', `c-${SELF}`));
    expect([mode & 0o777, mtimeMs]).toEqual([0o555, 1000]);
  });

  it('replaces a hash part in contents, names and targets', async () => {
    writeTree(at('tree'), REFERRING);
    const rewrite = { from: SELF, to: NEW };
    const result = await pool.run({ type: 'copy', path: at('tree'), destination: at('copy'), rewrite });
    expect(readFileSync(at('copy', 'a'), 'utf8')).toBe(`/nix/store/${NEW}-x and /nix/store/${OTHER}-y`);
    expect(readlinkSync(at('copy', 'b'))).toBe(`/nix/store/${NEW}-x/a`);
    expect(readFileSync(at('copy', `c-${NEW}`), 'utf8')).toBe('named');
    expect(await pool.run({ type: 'hash', path: at('copy') })).toEqual(result);
  });

  it('replaces a hash part across the edges of what is read at once', async () => {
    for (const before of [256 * 1024 - 200, 256 * 1024 - 16, 16 * 1024 - 130, 64 * 1024 - 100]) {
      const path = at(`tree-${before}`);
      writeFileSync(path, 'x'.repeat(before) + SELF + 'y'.repeat(100_000));
      await pool.run({ type: 'copy', path, destination: `${path}.copy`, rewrite: { from: SELF, to: NEW } });
      expect(readFileSync(`${path}.copy`, 'utf8')).toBe('x'.repeat(before) + NEW + 'y'.repeat(100_000));
    }
  });
});
