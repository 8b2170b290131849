import { copyFile, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { serve } from '../support/cache-commands.js';
import { createAdder } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);
const KEYS = 'carport/keys.json';

/** A cache whose path and pin only the second key has signed; gives the path. */
async function rotated(old: KeyFile, next: KeyFile, ...more: readonly string[]): Promise<string> {
  const add = createAdder(at('store'), at('trees'));
  const { path } = await add('tool', { file: 'x' });
  await add.close();
  await box().succeed([
    'push',
    path,
    '--store',
    at('store'),
    '--to',
    at('cache'),
    '--secret-key',
    old.file,
    '--pin',
    'tool',
  ]);
  await box().succeed([
    'key',
    'rotate',
    '--to',
    at('cache'),
    '--secret-key',
    old.file,
    '--successor',
    next.publicKey,
    ...more,
  ]);
  await box().succeed(['cache', 'sign', at('cache'), '--secret-key', next.file, '--trusted-key', old.publicKey]);
  await box().succeed(['cache', 'sign', at('cache'), '--secret-key', next.file, '--remove', 'old-1']);
  return path;
}

const pull = (what: string, trusted: KeyFile, from = at('cache')) =>
  box().carport([
    'pull',
    '--dry-run',
    what,
    '--from',
    from,
    '--trusted-key',
    trusted.publicKey,
    '--store',
    at(`pulled-${Math.random()}`),
  ]);

describe('a reader who trusts the old key', () => {
  it('gets what its successor has signed, by pin and by path, with a notice, in this cache only', async () => {
    const [old, next] = [await box().makeKey('old-1'), await box().makeKey('new-1')];
    const path = await rotated(old, next);
    for (const what of ['tool', path]) {
      const ran = await pull(what, old);
      expect(ran).toMatchObject({ exitCode: 0, lines: [path] });
      expect(ran.stderr).toMatch(
        /`new-1` signs .* `old-1`, which is trusted, vouches for it there until 20.*carport use/,
      );
    }
    expect((await pull('tool', next)).stderr).not.toContain('vouches');
    // The same documents elsewhere: what is said of one cache is not said of another.
    await cp(at('cache'), at('other'), { recursive: true });
    const elsewhere = await pull('tool', old, at('other'));
    expect(elsewhere).toMatchObject({ exitCode: 6, stderr: expect.stringContaining(`file://${at('cache')}`) });
    expect(elsewhere.stderr).toContain('--url');
    // Beside a cache that is followed, another is not.
    const both = ['--from', at('cache'), '--from', at('other'), '--trusted-key', old.publicKey];
    await rm(at('cache/carport/pins/tool.json'));
    expect(await box().carport(['pull', 'tool', ...both, '--store', at('both')])).toMatchObject({ exitCode: 6 });
    // The maintainer can add the address.
    await box().succeed([
      'key',
      'publish',
      '--to',
      at('cache'),
      '--secret-key',
      old.file,
      '--url',
      `file://${at('other')}`,
    ]);
    await copyFile(at('cache', KEYS), at('other', KEYS));
    expect(await pull('tool', old, at('other'))).toMatchObject({ exitCode: 0 });
  });

  it('is told what to do where it ends, is taken back, damaged or gone, and when an older statement comes back', async () => {
    const [old, next, stranger] = [
      await box().makeKey('old-1'),
      await box().makeKey('new-1'),
      await box().makeKey('stranger-1'),
    ];
    await rotated(old, next);
    expect(await pull('tool', old)).toMatchObject({ exitCode: 0 });
    expect(await pull('tool', stranger)).toMatchObject({
      exitCode: 6,
      stderr: expect.stringMatching(/tells of `old-1`, and no key|tells of `.*carport use/),
    });
    const before = await readFile(at('cache', KEYS));
    const refused = async (text: RegExp) => {
      const ran = await pull('tool', old);
      expect(ran).toMatchObject({ exitCode: 6, stderr: expect.stringMatching(text) });
    };
    await box().succeed(['key', 'publish', '--to', at('cache'), '--secret-key', old.file, '--no-successors']);
    await refused(/is not signed by a trusted key[\s\S]*`old-1`, which is trusted, vouches for no other key there/);
    await writeFile(at('cache', KEYS), before);
    await refused(/older than what was seen/);
    // Nor is it signed anew by the key that has taken it back.
    const sign = ['--cache', at('cache'), '--secret-key', old.file];
    const again = ['key', 'publish', ...sign, '--url', 'https://nix.example.org'];
    for (const args of [again, [...again, '--dry-run'], ['cache', 'init', at('cache'), '--secret-key', old.file]]) {
      expect(await box().carport(args)).toMatchObject({
        exitCode: 6,
        stderr: expect.stringContaining('is older than what was seen'),
      });
    }
    await refused(/older than what was seen/);
    await box().succeed([...again, '--no-successors']);
    await refused(/is not signed by a trusted key/);
    await writeFile(at('cache', KEYS), before);
    await box().succeed([...again, '--allow-rollback']);
    expect(await pull('tool', old)).toMatchObject({ exitCode: 0 });
    for (const [hostile, text] of [
      ['{', /cannot be read/],
      ['x'.repeat(300_000), /cannot be read/],
      [before.toString().replace('old-1:', 'older-1:'), /is gone from .*carport use/],
      ['{"version":1,"keys":[]}', /is gone from .*carport use/],
    ] as const) {
      await writeFile(at('cache', KEYS), hostile);
      await refused(text);
    }
    await rm(at('cache', KEYS));
    await refused(/is gone from .*carport use/);
    const fsck = ['cache', 'fsck', at('cache'), '--trusted-key', next.publicKey];
    expect(await box().carport(fsck)).toMatchObject({ exitCode: 0 });
    await writeFile(at('cache', KEYS), '{');
    expect(await box().carport(fsck)).toMatchObject({ exitCode: 6, stdout: expect.stringContaining(KEYS) });
  });

  it('gets it from a web server, whose address the maintainer has named', async () => {
    const [old, next] = [await box().makeKey('old-1'), await box().makeKey('new-1')];
    const url = await serve((request, response) => {
      const file = at('cache', decodeURIComponent(new URL(request.url!, 'http://x').pathname));
      readFile(file).then(
        (bytes) => response.end(request.method === 'HEAD' ? undefined : bytes),
        () => response.writeHead(404).end(),
      );
    });
    await rotated(old, next, '--url', url);
    expect(await pull('tool', old, url)).toMatchObject({ exitCode: 0 });
  });
});

describe('carport key rotate', () => {
  it('keeps what keys have said before, and says it once', async () => {
    const [old, next] = [await box().makeKey('old-1'), await box().makeKey('new-1')];
    const init = ['cache', 'init', at('cache'), '--secret-key', old.file, '--base-url', 'https://nix.example.org'];
    await box().succeed(init);
    const read = async () => JSON.parse(await readFile(at('cache', KEYS), 'utf8'));
    expect(await read()).toMatchObject({
      version: 1,
      keys: [{ key: old.publicKey, caches: [`file://${at('cache')}`, 'https://nix.example.org'], successors: [] }],
    });
    const rotate = ['key', 'rotate', '--cache', at('cache'), '--secret-key', old.file, '--successor', next.publicKey];
    const dry = await box().succeed([...rotate, '--dry-run', '--json']);
    expect(JSON.parse(dry.stdout)).toMatchObject({ changed: true, keys: [{ successors: [{ key: next.publicKey }] }] });
    expect((await read()).keys[0].successors).toEqual([]);
    await box().succeed([...rotate, '--until', '2027-01-31']);
    const written = await readFile(at('cache', KEYS), 'utf8');
    await box().succeed([...rotate, '--until', '2027-01-31']);
    await box().succeed(init);
    expect(await readFile(at('cache', KEYS), 'utf8')).toBe(written);
    await box().succeed(['key', 'publish', '--to', at('cache'), '--secret-key', next.file]);
    expect((await read()).keys).toMatchObject([{ key: old.publicKey }, { key: next.publicKey }]);
    for (const wrong of [
      [...rotate, '--until', '2040-01-01'],
      [...rotate, '--url', 'nix.example.org'],
      ['key', 'rotate', '--to', at('cache'), '--successor', next.publicKey, '--secret-key', next.file],
      ['key', 'publish', '--to', at('cache')],
    ]) {
      expect(await box().carport(wrong)).toMatchObject({ exitCode: 2 });
    }
  });
});
