import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPublicKey } from '#lib/signing/key.js';
import { createSampleStore, type SampleStore, sampleKey } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { createTransfers, type Transfers } from '../support/transfers.js';

const [KEY, OTHER, SAME_NAME] = [sampleKey('test-1', 1), sampleKey('test-2', 2), sampleKey('test-1', 3)];
const publicKey = (key: typeof KEY) => renderPublicKey(key.publicKey);

describe('what a pull trusts', () => {
  const shared = useSandbox('all');
  const box = useSandbox();
  let transfers: Transfers;
  let samples: SampleStore;
  beforeAll(async () => {
    transfers = createTransfers();
    samples = await createSampleStore(shared().root);
    const [store, roots] = [samples.root, [samples.top.path]];
    await transfers.push({ store, roots, cache: shared().path('signed'), keys: [KEY] });
    await transfers.push({ store, roots, cache: shared().path('unsigned') });
    await transfers.push({ store, roots, cache: shared().path('twice'), keys: [OTHER, KEY] });
  });
  afterAll(() => transfers.close());
  const pull = (cache: string, ...more: readonly string[]) =>
    box().carport(['pull', samples.top.path, '--from', shared().path(cache), ...more]);

  const expectRefused = async (
    { exitCode, stdout, stderr }: Awaited<ReturnType<typeof pull>>,
    ...reasons: readonly string[]
  ) => {
    expect([exitCode, stdout]).toEqual([6, '']);
    expect(stderr).toContain('error[E_SIGNATURE]');
    for (const reason of reasons) expect(stderr).toContain(reason);
    expect((await box().succeed(['store', 'ls'])).stdout).toBe('');
    const names = await readdir(box().path('data/carport/nix/store')).catch(() => []);
    expect(names).toEqual([]);
  };

  it('is nothing when no key is named', async () => {
    await expectRefused(
      await pull('signed'),
      'is not signed by a trusted key',
      'it is signed by `test-1`',
      '--trusted-key',
    );
  });

  it('is what any of the trusted keys has signed', async () => {
    expect((await pull('signed', '--trusted-key', publicKey(OTHER), '--trusted-key', publicKey(KEY))).exitCode).toBe(0);
  });

  it('is what one of several signatures vouches for', async () => {
    expect((await pull('twice', '--trusted-key', publicKey(KEY))).exitCode).toBe(0);
  });

  it('is not what only another key has signed', async () => {
    await expectRefused(await pull('signed', '--trusted-key', publicKey(OTHER)), 'it is signed by `test-1`');
  });

  it('is not what a key of the same name, but of other bytes has signed', async () => {
    const reasons = ['the signature of', 'by `test-1` is wrong'];
    await expectRefused(await pull('signed', '--trusted-key', publicKey(SAME_NAME)), ...reasons);
    await expectRefused(await pull('signed', '--trusted-key', publicKey(SAME_NAME), '--allow-unsigned'), ...reasons);
  });

  it('is what nobody has signed only when told so', async () => {
    await expectRefused(
      await pull('unsigned', '--trusted-key', publicKey(KEY)),
      'it has no signature',
      '--allow-unsigned',
    );
    const { exitCode, lines } = await pull('unsigned', '--allow-unsigned');
    expect([exitCode, lines]).toEqual([0, samples.paths]);
  });

  it('holds for files that are looked at, too', async () => {
    const cat = (cache: string, ...more: readonly string[]) =>
      box().carport(['cache', 'cat', shared().path(cache), `${samples.top.path}/share/doc/README`, ...more]);
    expect(await cat('signed')).toMatchObject({ exitCode: 6, stdout: '' });
    expect(await cat('signed', '--trusted-key', publicKey(SAME_NAME))).toMatchObject({ exitCode: 6, stdout: '' });
    expect(await cat('unsigned', '--allow-unsigned')).toMatchObject({
      exitCode: 0,
      stdout: `see ${samples.middle.path}\n`,
    });
    const trusted = await cat('signed', '--trusted-key', publicKey(KEY));
    expect(trusted).toMatchObject({ exitCode: 0, stdout: `see ${samples.middle.path}\n` });
  });

  it.each([
    ['', 'no text'],
    ['test-1', 'no key'],
    ['test-1:', 'no bytes'],
    [`:${publicKey(KEY).split(':')[1]}`, 'no name'],
    [`test-1:${Buffer.alloc(31).toString('base64')}`, 'too few bytes'],
    [`test-1:${Buffer.alloc(64).toString('base64')}`, 'a secret key, or a signature'],
    [`${publicKey(KEY)}!`, 'lax base64'],
  ])('is refused when it is not a key: %s', async (text) => {
    const { exitCode, stderr } = await pull('signed', '--trusted-key', text);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('is not `NAME:BASE64`');
  });
});
