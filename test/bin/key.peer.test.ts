import { chmod, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createNixStore, describeWithNix } from '../support/nix.js';
import { useSandbox } from '../support/sandbox.js';

describe('carport key', () => {
  const box = useSandbox();
  const file = () => box().path('work/cache.sec');

  it('generate makes a file that only its owner can read, and prints the public key', async () => {
    const { stdout, stderr } = await box().succeed(['key', 'generate', 'cache.example.org-1', '--out', 'cache.sec']);
    expect(stdout).toMatch(/^cache\.example\.org-1:[A-Za-z0-9+/]{43}=\n$/);
    expect(stderr).toBe('the secret key is in `cache.sec`; this is its public key:\n');
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    const secret = await readFile(file(), 'utf8');
    expect(secret).toMatch(/^cache\.example\.org-1:[A-Za-z0-9+/]{86}==\n$/);
    expect(stdout + stderr).not.toContain(secret.split(':')[1]!.slice(0, 43));
    expect((await box().succeed(['key', 'public', file()])).stdout).toBe(stdout);
  });

  it('generate makes another key each time', async () => {
    const keys = await Promise.all(
      ['a', 'b'].map(async (name) => (await box().succeed(['key', 'generate', 'k', '--out', name])).stdout),
    );
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('generate and public print JSON', async () => {
    const made = JSON.parse((await box().succeed(['key', 'generate', 'k', '--out', file(), '--json'])).stdout);
    expect(made).toEqual({
      ...{ version: 1, name: 'k', publicKey: expect.stringMatching(/^k:/) },
      fingerprint: expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/),
    });
    expect(JSON.parse((await box().succeed(['key', 'public', file(), '--json'])).stdout)).toEqual(made);
  });

  it('generate never overwrites: no file, and nothing through a link', async () => {
    await writeFile(file(), 'precious');
    await symlink('elsewhere', box().path('work/link'));
    for (const out of ['cache.sec', 'link']) {
      const { exitCode, stdout, stderr } = await box().carport(['key', 'generate', 'k', '--out', out]);
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toContain(`\`${out}\` is there already`);
      expect(stderr).toContain('hint: a key is never overwritten');
    }
    expect(await readFile(file(), 'utf8')).toBe('precious');
    await expect(stat(box().path('work/elsewhere'))).rejects.toThrow('ENOENT');
  });

  it.each(['', 'a:b', 'with space', 'line\nbreak'])('generate refuses the name %j', async (name) => {
    const { exitCode, stdout } = await box().carport(['key', 'generate', name, '--out', 'cache.sec']);
    expect([exitCode, stdout]).toEqual([2, '']);
    await expect(stat(file())).rejects.toThrow('ENOENT');
  });

  it('public refuses what others can read, and what is no secret key, without showing it', async () => {
    await box().succeed(['key', 'generate', 'k', '--out', file()]);
    const secret = await readFile(file(), 'utf8');
    const refuse = async (reason: string) => {
      for (const more of [[], ['--json'], ['-vv']]) {
        const { exitCode, stdout, stderr } = await box().carport(['key', 'public', file(), ...more]);
        expect([exitCode, stdout]).toEqual([4, '']);
        expect(stderr).toContain(reason);
        expect(stderr).not.toContain(secret.split(':')[1]!.slice(0, 20));
      }
    };
    await chmod(file(), 0o640);
    await refuse('its mode is 0640');
    await chmod(file(), 0o600);
    for (const text of [
      secret.slice(0, 40),
      secret.replace('k:', ''),
      `${secret}${secret}`,
      secret.replace('=', '!'),
    ]) {
      await writeFile(file(), text);
      await refuse('is not a secret key file');
    }
  });
});

describeWithNix('keys of carport and Nix', () => {
  const box = useSandbox();

  it('are the same', async () => {
    const nix = await createNixStore();
    try {
      const secret = await nix.run('nix', ['key', 'generate-secret', '--key-name', 'made-by-nix']);
      await writeFile(box().path('nix.sec'), secret, { mode: 0o600 });
      const wanted = await nix.run('nix', ['key', 'convert-secret-to-public'], { input: secret });
      expect((await box().succeed(['key', 'public', box().path('nix.sec')])).stdout).toBe(`${wanted}\n`);

      const { stdout } = await box().succeed([
        'key',
        'generate',
        'made-by-carport',
        '--out',
        box().path('carport.sec'),
      ]);
      const ours = await readFile(box().path('carport.sec'), 'utf8');
      expect(`${await nix.run('nix', ['key', 'convert-secret-to-public'], { input: ours })}\n`).toBe(stdout);
    } finally {
      await nix.remove();
    }
  });
});
