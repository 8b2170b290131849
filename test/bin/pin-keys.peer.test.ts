import { readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { signClosures } from '#cache/signatures.js';
import { openFileStore } from '#lib/object-store/file.js';
import { parseSecretKey } from '#lib/signing/key.js';
import { signText } from '#lib/signing/signature.js';
import { parsePin, pinMessage, renderPin } from '../support/pins.js';
import { useSampleCache } from '../support/sample-cache.js';
import { type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describe('a pin whose key changes', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let [old, next]: KeyFile[] = [];
  let cache: string;
  beforeEach(async () => {
    ({ samples, keyFile: old } = sample());
    next = await box().makeKey('next-1');
    cache = await sample().copy(box().path('cache'));
    await set(['tool', samples.base.path], old!);
    await set(['tool', samples.top.path], old!);
  });

  const set = (args: readonly string[], ...keys: readonly KeyFile[]) =>
    box().carport(['pin', 'set', ...args, '--to', cache, ...keys.flatMap(({ file }) => ['--secret-key', file])]);
  const trusting = ({ publicKey }: KeyFile) => ['--trusted-key', publicKey];
  let stores = 0;
  const pull = (what: string, key: KeyFile) =>
    box().carport(['pull', what, '--from', cache, ...trusting(key), '--store', box().path(`store-${stores++}`)]);
  const states = async (key: KeyFile) =>
    (await box().succeed(['pin', 'ls', 'tool', '--history', '--from', cache, ...trusting(key)])).lines.map((line) =>
      line.split(/ {2}/).at(-2),
    );
  const narInfoOf = (path: string) => `${cache}/${path.slice(11, 43)}.narinfo`;
  const pinFile = () => `${cache}/carport/pins/tool.json`;
  const unsign = async (path: string) => {
    const text = await readFile(narInfoOf(path), 'utf8');
    await writeFile(narInfoOf(path), text.replace(/^Sig: .*\n/gm, ''));
  };

  it.each(['new before old', 'old before new'])('is for readers of either key: %s', async (order) => {
    const keys = order.startsWith('new') ? [next!, old!] : [old!, next!];
    const { exitCode, stderr } = await set(['tool', 'tool'], ...keys);
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain('signed 3 paths in the cache: all have the signature of');
    for (const key of keys) expect((await pull('tool', key)).lines).toEqual(samples.paths);
    // What it stood for before is in that closure, and signed with it.
    expect([await states(old!), await states(next!)]).toEqual([
      ['good', 'good'],
      ['good', 'good'],
    ]);
    const again = await set(['tool', 'tool'], ...keys);
    expect(again.stderr).toBe('`tool` is as it was: 1 path\n');
  });

  it('is signed by the new key alone when the old one is trusted', async () => {
    const { exitCode, stderr } = await set(['tool', 'tool', ...trusting(old!)], next!);
    expect(exitCode, stderr).toBe(0);
    expect((await pull('tool', next!)).lines).toEqual(samples.paths);
    expect(await states(old!)).toEqual(['untrusted', 'untrusted']);
  });

  it('tells what a reader of the new key cannot pull of its history, and how that is mended', async () => {
    const { stderr } = await set(['tool', samples.base.path], old!, next!);
    expect(stderr).toContain('signed 1 path in the cache');
    expect(stderr).toContain(
      'warning: who trusts `next-1` alone cannot pull 1 of the values that `tool` stood for before',
    );
    expect(await states(next!)).toEqual(['good', 'paths-untrusted', 'good']);
    expect((await pull('tool@previous', next!)).exitCode).toBe(6);
    const json = await box().succeed(['pin', 'ls', '--history', '--json', '--from', cache, ...trusting(next!)]);
    const [{ history }] = JSON.parse(json.stdout).pins;
    expect(history.map(({ state }: { state: string }) => state)).toEqual(['paths-untrusted', 'good']);
    await set(['other', 'tool@previous'], old!, next!);
    expect(await states(next!)).toEqual(['good', 'good', 'good']);
    expect((await pull('tool@previous', next!)).lines).toEqual(samples.paths);
    // Both have signed it by now.
    expect((await set(['tool', 'tool'], old!, next!)).stderr).not.toContain('warning');
  });

  it('is not signed by a key that has not signed its paths, when nobody who is trusted has', async () => {
    const refuse = async (code: number, text: string, ...keys: readonly KeyFile[]) => {
      const before = await snapshot(cache);
      const { exitCode, stderr } = await set(['tool', 'tool'], ...keys);
      expect([exitCode, stderr]).toEqual([code, expect.stringContaining(text)]);
      expect(await snapshot(cache)).toEqual(before);
    };
    await refuse(6, 'is not signed by a trusted key', next!);
    const narInfo = await readFile(narInfoOf(samples.base.path));
    await unsign(samples.base.path);
    await refuse(6, `\`${samples.base.path}\` is not signed by a trusted key`, next!, old!);
    await rm(narInfoOf(samples.base.path));
    await refuse(5, 'has not all that is to be signed', next!, old!);
    await writeFile(narInfoOf(samples.base.path), 'damaged');
    await refuse(6, 'is damaged', next!, old!);
    await writeFile(narInfoOf(samples.base.path), narInfo);
    expect((await set(['tool', 'tool'], next!, old!)).exitCode).toBe(0);
  });

  it('is told from a good one where a key signed it that has not signed its paths', async () => {
    const { signatures, ...pin } = parsePin(await readFile(pinFile(), 'utf8'));
    const key = parseSecretKey(await readFile(next!.file, 'utf8'));
    await writeFile(pinFile(), renderPin({ ...pin, signatures: [...signatures, signText(pinMessage(pin), key)] }));
    expect([(await states(next!))[0], (await states(old!))[0]]).toEqual(['paths-untrusted', 'good']);
    expect((await pull('tool', next!)).exitCode).toBe(6);
    await writeFile(narInfoOf(samples.top.path), 'damaged');
    expect((await states(old!))[0]).toBe('paths-damaged');
    await rm(narInfoOf(samples.top.path));
    expect((await states(old!))[0]).toBe('paths-missing');
  });

  it('is carried on by a push with both keys, which signs the whole closure', async () => {
    const args = ['push', samples.top.path, '--store', samples.root, '--to', cache, '--pin', 'tool'];
    await box().succeed([...args, '--secret-key', next!.file, '--secret-key', old!.file]);
    for (const key of [old!, next!]) expect((await pull('tool', key)).lines).toEqual(samples.paths);
  });

  it('is not set by a push to paths that stay in the cache as others signed them', async () => {
    const other = (text: string) => text.replace(/^NarHash: .*$/m, `NarHash: sha256:${'1'.repeat(52)}`);
    const before = await readFile(pinFile());
    // Below a root that its key has signed nothing is asked for: the other key has signed none.
    for (const [path, keys] of [
      [samples.top.path, [old!]],
      [samples.base.path, [old!, next!]],
    ] as const) {
      const narInfo = await readFile(narInfoOf(path), 'utf8');
      await writeFile(narInfoOf(path), other(narInfo));
      const args = ['push', samples.top.path, '--store', samples.root, '--to', cache, '--pin', 'tool'];
      const { exitCode, stderr } = await box().carport([
        ...args,
        ...keys.flatMap(({ file }) => ['--secret-key', file]),
      ]);
      expect([exitCode, stderr]).toEqual([6, expect.stringContaining(`would need \`${path}\``)]);
      expect(await readFile(pinFile())).toEqual(before);
      await writeFile(narInfoOf(path), narInfo);
    }
  });

  describe('signing in the cache', () => {
    const keyOf = async ({ file }: KeyFile) => parseSecretKey(await readFile(file, 'utf8'));
    const trust = async () => ({ keys: [(await keyOf(old!)).publicKey], allowUnsigned: false });
    const isSigned = async (path: string) => (await readFile(narInfoOf(path), 'utf8')).includes('Sig: next-1:');

    it('signs dependencies first: what is signed vouches for its closure, also when it is stopped', async () => {
      const objects = openFileStore(cache);
      const put: typeof objects.put = async (key, body, metadata) => {
        if (key.startsWith(samples.middle.path.slice(11, 43))) throw new Error('stopped');
        await objects.put(key, body, metadata);
      };
      const signing = signClosures({ ...objects, put }, [samples.top.path], [await keyOf(next!)], await trust());
      await expect(signing).rejects.toThrow('stopped');
      expect(await Promise.all(samples.paths.map(isSigned))).toEqual([true, false, false]);
      const rest = await signClosures(objects, [samples.top.path], [await keyOf(next!)], await trust());
      expect(rest).toEqual([samples.middle.path, samples.top.path]);
    });

    it('signs nothing that somebody writes there after it was checked', async () => {
      const objects = openFileStore(cache);
      // The root is read once, and then once more when it is signed.
      let reads = 0;
      const read: typeof objects.read = async (key, limit) => {
        const bytes = await objects.read(key, limit);
        if (!key.startsWith(samples.top.path.slice(11, 43)) || ++reads < 2 || !bytes) return bytes;
        return Buffer.from(bytes.toString('utf8').replace(/^References: .*$/m, 'References: '));
      };
      const signing = signClosures({ ...objects, read }, [samples.top.path], [await keyOf(next!)], await trust());
      await expect(signing).rejects.toMatchObject({ code: 'E_INTEGRITY', hint: 'run it again' });
      expect(reads).toBe(2);
      expect(await isSigned(samples.top.path)).toBe(false);
    });
  });
});
