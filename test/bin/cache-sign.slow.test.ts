import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { parseSecretKey } from '#lib/signing/key.js';
import { putRelease } from '../support/releases.js';
import { useSampleCache } from '../support/sample-cache.js';
import { type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describe('carport cache sign', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let old: KeyFile;
  let next: KeyFile;
  let cache: string;
  beforeEach(async () => {
    ({ samples, keyFile: old } = sample());
    next = await box().makeKey('next-1');
    cache = await sample().copy(box().path('cache'));
    await box().succeed(['pin', 'set', 'tool', samples.top.path, '--to', cache, '--secret-key', old.file]);
    const key = parseSecretKey(await readFile(old.file, 'utf8'));
    await putRelease(cache, { version: 'v1.0.0', keys: [key] });
  });

  const sign = (...args: readonly string[]) => box().carport(['cache', 'sign', cache, ...args]);
  const rotate = (...more: readonly string[]) =>
    sign('--secret-key', next.file, '--trusted-key', old.publicKey, ...more);
  const narInfoOf = (path: string) => `${cache}/${path.slice(11, 43)}.narinfo`;
  const infos = async () => {
    const names = (await readdir(cache)).filter((name) => name.endsWith('.narinfo'));
    return Promise.all(names.map(async (name) => parseNarInfo(await readFile(`${cache}/${name}`, 'latin1'))));
  };
  const signers = (signatures: readonly string[]) => signatures.map((text) => text.replace(/:.*/, '')).sort();
  let stores = 0;
  const pull = (what: string, { publicKey }: KeyFile) =>
    box().carport(['pull', what, '--from', cache, '--trusted-key', publicKey, '--store', box().path(`s-${stores++}`)]);
  const edit = async (path: string, change: (text: string) => string) =>
    writeFile(narInfoOf(path), change(await readFile(narInfoOf(path), 'latin1')), 'latin1');

  it('signs every path, pin and release, and then readers of either key take all', async () => {
    const done = await rotate('--json');
    expect(done.exitCode, done.stderr).toBe(0);
    const number = samples.paths.length;
    expect(JSON.parse(done.stdout)).toEqual({
      paths: { signed: number, asTheyWere: 0, refused: [] },
      pins: { signed: 1, asTheyWere: 0, refused: [] },
      realisations: { signed: 0, asTheyWere: 0, refused: [] },
      documents: { signed: 1, asTheyWere: 0, refused: [] },
      dryRun: false,
      version: 1,
    });
    for (const { signatures } of await infos()) expect(signers(signatures)).toEqual(['next-1', 'test-1']);
    for (const key of [old, next]) expect((await pull('tool', key)).lines).toEqual(samples.paths);
    const again = await rotate('--json');
    expect(JSON.parse(again.stdout).paths).toEqual({ signed: 0, asTheyWere: number, refused: [] });
  });

  it('takes the old signatures away, also in one go, and then only the new key is good', async () => {
    expect((await rotate('--remove', 'test-1')).exitCode).toBe(0);
    for (const { signatures } of await infos()) expect(signers(signatures)).toEqual(['next-1']);
    expect((await pull('tool', next)).lines).toEqual(samples.paths);
    expect((await pull('tool', old)).exitCode).toBe(6);
    const { signatures } = JSON.parse(await readFile(`${cache}/carport/pins/tool.json`, 'utf8'));
    expect(signers(signatures)).toEqual(['next-1']);
  });

  it('changes nothing with --dry-run', async () => {
    const before = await snapshot(cache);
    const { exitCode, stderr } = await rotate('--remove', 'test-1', '--dry-run');
    expect([exitCode, stderr]).toEqual([
      0,
      `would change the signatures of ${samples.paths.length} paths of ${samples.paths.length}, 1 pin, 1 document about releases\n`,
    ]);
    expect(await snapshot(cache)).toEqual(before);
  });

  it('leaves nothing without a trusted signature', async () => {
    const before = await snapshot(cache);
    const ran = await sign('--trusted-key', old.publicKey, '--remove', 'test-1');
    expect(ran.exitCode).toBe(6);
    expect(ran.stderr).toContain('stays as it is: no other trusted key has signed it');
    expect(await snapshot(cache)).toEqual(before);
  });

  it('signs nothing that no trusted key has signed, and nothing that refers to it', async () => {
    await edit(samples.base.path, (text) => text.replace(/^Sig: .*\n/m, ''));
    const ran = await rotate('--json');
    expect(ran.exitCode).toBe(6);
    const { paths, pins } = JSON.parse(ran.stdout);
    const why = Object.fromEntries(paths.refused.map((one: { path: string; why: string }) => [one.path, one.why]));
    expect(why[samples.base.path]).toBe('untrusted');
    expect(why[samples.top.path]).toBe('refers-to-refused');
    expect(pins.refused).toEqual([{ key: 'carport/pins/tool.json', why: 'unsigned-paths' }]);
    expect((await rotate('--contents')).exitCode).toBe(0);
    expect((await pull('tool', next)).lines).toEqual(samples.paths);
  });

  it.each([
    ['a wrong signature', (text: string) => text.replace(/^(NarSize: ).*/m, '$18'), 'wrong-signature'],
    ['no narinfo', () => 'damaged', 'damaged'],
  ])('refuses %s, also with --contents', async (_, spoil, why) => {
    await edit(samples.base.path, spoil);
    const before = await readFile(narInfoOf(samples.base.path), 'latin1');
    const ran = await rotate('--contents', '--json');
    expect(ran.exitCode).toBe(6);
    expect(JSON.parse(ran.stdout).paths.refused).toContainEqual({ path: expect.any(String), why });
    expect(await readFile(narInfoOf(samples.base.path), 'latin1')).toBe(before);
  });

  it('reads with --contents what nobody signed, and refuses another NAR', async () => {
    for (const path of samples.paths) await edit(path, (text) => text.replace(/^Sig: .*\n/m, ''));
    const [base] = (await infos()).filter(({ path }) => path === samples.base.path);
    const nar = `${cache}/${base!.url}`;
    const bytes = await readFile(nar);
    bytes[bytes.length >> 1]! ^= 1;
    await rm(nar);
    await writeFile(nar, bytes);
    const ran = await rotate('--contents', '--json');
    expect(ran.exitCode).toBe(6);
    expect(JSON.parse(ran.stdout).paths.refused).toContainEqual({ path: samples.base.path, why: 'nar-damaged' });
    await rm(nar);
    const missing = await rotate('--contents', '--json');
    expect(JSON.parse(missing.stdout).paths.refused).toContainEqual({ path: samples.base.path, why: 'nar-missing' });
  });

  it('says what is missing', async () => {
    expect((await sign()).stderr).toContain('there is nothing to do');
    expect(await sign('--secret-key', next.file, '--remove', 'next-1')).toMatchObject({ exitCode: 2 });
    expect((await box().carport(['cache', 'sign', box().path('none'), '--secret-key', next.file])).exitCode).toBe(5);
  });
});
