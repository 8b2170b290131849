import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { createSampleStore, type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

// Every run of carport in every test is searched for the secrets of `makeKey` (sandbox.ts). Here: where they would be met.
describe('a secret key', () => {
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  let secret: string;
  beforeEach(async () => {
    samples = await createSampleStore(box().root);
    key = await box().makeKey('test-1');
    secret = (await readFile(key.file, 'utf8')).trim().split(':')[1]!;
  });
  const push = (...more: readonly string[]) =>
    box().carport(['push', samples.top.path, '--store', samples.root, '--to', box().path('cache'), ...more]);

  /** Encodings in which the secret could leave: whole, its seed alone, in hexadecimal. */
  const forms = () => {
    const bytes = Buffer.from(secret, 'base64');
    const seed = bytes.subarray(0, 32);
    return [secret, seed.toString('base64').slice(0, 42), bytes.toString('hex'), seed.toString('hex')];
  };
  const expectNoSecret = (text: string) => {
    for (const form of forms()) expect(text.includes(form)).toBe(false);
  };

  it.each([[[]], [['-vv']], [['--json']], [['-q']], [['--dry-run']]])('is in no output of a push %j', async (more) => {
    const { exitCode, stdout, stderr } = await push('--secret-key', key.file, ...more);
    expect(exitCode).toBe(0);
    expectNoSecret(stdout + stderr);
  });

  it('is in no file of a cache or a store', async () => {
    await push('--secret-key', key.file);
    await box().succeed(['pull', samples.top.path, '--from', box().path('cache'), '--trusted-key', key.publicKey]);
    for (const directory of ['cache', 'data']) {
      const files = await snapshot(box().path(directory));
      expect(Object.keys(files).length).toBeGreaterThan(5);
      for (const [name, text] of Object.entries(files)) expectNoSecret(`${name}\n${text}`);
    }
  });

  it('is in no error about its file', async () => {
    const damaged = box().path('damaged.sec');
    for (const text of [
      secret,
      `test-1:${secret}x`,
      `test-1:${secret.slice(0, -4)}`,
      `x:y:${secret}`,
      `test 1:${secret}`,
    ]) {
      await writeFile(damaged, text, { mode: 0o600 });
      for (const more of [[], ['-vv'], ['--json']]) {
        const { exitCode, stdout, stderr } = await push('--secret-key', damaged, ...more);
        expect([exitCode, stdout]).toEqual([4, '']);
        expectNoSecret(stderr);
        expect(stderr).not.toContain(secret.slice(0, 20));
      }
    }
  });

  it('is in no error when it is given where a public key or a path is wanted', async () => {
    const text = `test-1:${secret}`;
    for (const args of [
      ['pull', samples.top.path, '--from', box().path('cache'), '--trusted-key', text],
      ['narinfo', 'show', 'none', '--trusted-key', text],
    ]) {
      for (const more of [[], ['-vv'], ['--json']]) {
        const { exitCode, stderr } = await box().carport([...args, ...more]);
        expect(exitCode).toBeGreaterThan(0);
        expectNoSecret(stderr);
      }
    }
  });

  it('is not shown by config show, which shows where it is', async () => {
    const env = { CARPORT_SECRET_KEY_FILES: key.file };
    const { stdout } = await box().succeed(['config', 'show', '--json'], { env });
    expect(stdout).toContain(key.file);
    expectNoSecret(stdout);
  });

  it('is refused when others may read it, before anything is written', async () => {
    await chmod(key.file, 0o604);
    expect((await push('--secret-key', key.file)).exitCode).toBe(4);
    expect((await push('--to', `file://${box().path('cache')}?secret-key=${key.file}`)).exitCode).toBe(4);
    await expect(stat(box().path('cache'))).rejects.toThrow('ENOENT');
  });

  it('named by a parameter of a URL does not come out with the URL', async () => {
    const to = `file://${box().path('cache')}?secret-key=${key.file}`;
    const { stdout } = await box().succeed(['cache', 'init', to, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ url: `file://${box().path('cache')}`, publicKeys: [key.publicKey] });
    expect(stdout).not.toContain('secret');
  });
});
