import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { readNarInfo } from '#cache/binary-cache.js';
import { readRealisation, readTrace, realisationIdsOf } from '#cache/realisations/objects.js';
import { publishRealisations } from '#cache/realisations/publish.js';
import { realisationsOfPulled } from '#cache/realisations/pulled.js';
import { realisationFingerprint, realisationId, traceFingerprint } from '#lib/nix/realisation.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { parsePublicKey, parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { signText, verifyText } from '#lib/signing/signature.js';
import type { WarningEvent } from '#lib/work.js';
import { useSampleCache } from '../../support/sample-cache.js';
import { type KeyFile, useSandbox } from '../../support/sandbox.js';

const ID = realisationId('a'.repeat(64), 'out');
const OTHER = realisationId('b'.repeat(64), 'out');

describe('realisations in a cache', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let cache: string;
  let objects: ObjectStore;
  let keyFile: KeyFile;
  let key: SecretKey;
  let path: string;
  const traced = () => ({ drvPath: `${'0'.repeat(32)}-top.drv`, outputName: 'out' });
  beforeEach(async () => {
    cache = await sample().copy(box().path('cache'));
    objects = openFileStore(cache);
    ({ key, keyFile } = sample());
    path = sample().samples.top.path;
  });

  const made = (changes: object = {}) => ({
    ...{ id: ID, outPath: path, dependentRealisations: {}, signatures: [], traced: traced() },
    ...changes,
  });
  const read = (from = objects) => readRealisation(from, ID, '/nix/store');
  const info = async (from = objects) => (await readNarInfo(from, hashPartOf(path)))!;
  const signersOf = (signatures: readonly string[] = []) => signatures.map((text) => text.replace(/:.*/, '')).sort();
  const pulled = async (keys = [key.publicKey], allowUnsigned = false) => {
    const warnings: WarningEvent[] = [];
    const fetched = [{ info: await info(), objects }];
    const found = await realisationsOfPulled(fetched, { keys, allowUnsigned }, (event) => void warnings.push(event));
    return { ids: found.map(({ id }) => id), warnings: warnings.map(({ message }) => message) };
  };

  it('are signed in both forms, and named by the narinfo', async () => {
    await publishRealisations(objects, [made(), made({ id: OTHER, dependentRealisations: { [ID]: 'x' } })], [key]);
    const realisation = (await read())!;
    const trace = (await readTrace(objects, traced(), '/nix/store'))!;
    const keys = [key.publicKey];
    expect(verifyText(realisationFingerprint(realisation), realisation.signatures, keys).state).toBe('valid');
    expect(verifyText(traceFingerprint(traced(), path), trace.signatures, keys).state).toBe('valid');
    expect((await readRealisation(objects, OTHER, '/nix/store'))!.dependentRealisations).toEqual({});
    expect(realisationIdsOf(await info())).toEqual([ID, OTHER]);
    expect(await pulled()).toEqual({ ids: [ID, OTHER], warnings: [] });
  });

  it('keep the signatures of others, and are not touched by a push without a key', async () => {
    await publishRealisations(objects, [made()], [key]);
    const next = await box().makeKey('next-1');
    await publishRealisations(objects, [made()], [parseSecretKey(await readFile(next.file, 'utf8'))]);
    await publishRealisations(objects, [made()], []);
    expect(signersOf((await read())!.signatures)).toEqual(['next-1', 'test-1']);
    expect(signersOf((await readTrace(objects, traced(), '/nix/store'))!.signatures)).toEqual(['next-1', 'test-1']);
  });

  it('that others have signed with their dependencies keep these, so that all signatures are right', async () => {
    const other = parseSecretKey(await readFile((await box().makeKey('other-1')).file, 'utf8'));
    const built = made({ dependentRealisations: { [OTHER]: path.slice(11) } });
    const signed = { ...built, signatures: [signText(realisationFingerprint(built), other)] };
    const expectBoth = async (names: readonly string[]) => {
      const realisation = (await read())!;
      expect(signersOf(realisation.signatures)).toEqual([...names].sort());
      const text = realisationFingerprint(realisation);
      for (const { publicKey } of [other, key])
        expect(verifyText(text, realisation.signatures, [publicKey]).state, publicKey.name).toBe('valid');
    };
    await publishRealisations(objects, [signed], [key]);
    await expectBoth(['other-1', 'test-1']);
    // As it is known without dependencies by another version of Nix.
    await publishRealisations(objects, [made()], [key]);
    await expectBoth(['other-1', 'test-1']);
  });

  it('lose them when they are of another path', async () => {
    const wrong = { outPath: sample().samples.base.path };
    await publishRealisations(objects, [made(wrong)], [key]);
    await publishRealisations(objects, [made()], []);
    expect(await read()).toMatchObject({ outPath: path, signatures: [] });
  });

  it('are believed by readers only when a trusted key has signed them', async () => {
    await publishRealisations(objects, [made(), made({ id: OTHER })], []);
    const { ids, warnings } = await pulled();
    expect([ids, warnings.length]).toEqual([[], 1]);
    expect(warnings[0]).toMatch(/`sha256:a+!out` of .* is not signed by a trusted key, and is left out, and 1 other$/);
    expect((await pulled([], true)).ids).toEqual([ID, OTHER]);
    const forged = signText('something else', key);
    await publishRealisations(
      objects,
      [made({ id: 'sha256:'.concat('c'.repeat(64), '!out'), signatures: [forged] })],
      [],
    );
    expect((await pulled([key.publicKey], true)).warnings[0]).toContain('is wrongly signed');
  });

  it('of another path than the one that names them are passed over, and so are damaged ones, with a word', async () => {
    await publishRealisations(objects, [made(), made({ id: OTHER })], [key]);
    const file = (id: string) => `${cache}/realisations/${id}.doi`;
    await writeFile(file(ID), await readFile(file(OTHER), 'utf8'));
    const { ids, warnings } = await pulled();
    expect([ids, warnings]).toEqual([[OTHER], [expect.stringContaining(`the realisation \`${ID}\` in `)]]);
    await rm(file(ID));
    expect(await pulled()).toEqual({ ids: [OTHER], warnings: [] });
  });

  it('are copied with their paths, signed again, and erased', async () => {
    await publishRealisations(objects, [made()], [key]);
    const mirror = box().path('mirror');
    const next = await box().makeKey('next-1');
    const trust = ['--trusted-key', keyFile.publicKey];
    await box().succeed(['cache', 'copy', cache, mirror, path, ...trust]);
    const copied = openFileStore(mirror);
    expect(await read(copied)).toEqual(await read());
    expect(realisationIdsOf(await info(copied))).toEqual([ID]);

    await box().succeed(['cache', 'sign', mirror, '--secret-key', next.file, '--remove', 'test-1', ...trust]);
    expect(signersOf((await read(copied))!.signatures)).toEqual(['next-1']);
    expect(signersOf((await readTrace(copied, traced(), '/nix/store'))?.signatures)).toEqual([]);
    const { state } = verifyText(realisationFingerprint((await read(copied))!), (await read(copied))!.signatures, [
      parsePublicKey(next.publicKey),
    ]);
    expect(state).toBe('valid');

    await box().succeed(['cache', 'erase', mirror, '--yes']);
    const left = await readdir(mirror, { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
  });
});
