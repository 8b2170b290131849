import { readdir, readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { useSampleCache } from '../support/sample-cache.js';
import type { SampleStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describe('carport pin', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  let cache: string;
  beforeEach(async () => {
    ({ samples, keyFile: key } = sample());
    cache = await sample().copy(box().path('cache'));
  });

  const set = (name: string, ...more: readonly string[]) =>
    box().carport(['pin', 'set', name, ...more, '--to', cache, '--secret-key', key.file]);
  const list = async (...more: readonly string[]) =>
    (await box().succeed(['pin', 'ls', ...more, '--from', cache, '--trusted-key', key.publicKey])).lines;
  const TIME = '[0-9-]{10}T[0-9:.]{12}Z';

  it('sets, lists and removes', async () => {
    expect((await set('tool', samples.base.path)).stderr).toBe('`tool` is new: 1 path\n');
    const second = await set('tool', samples.top.path.slice('/nix/store/'.length), samples.base.path.slice(11, 43));
    expect([second.stdout, second.stderr]).toEqual(['', '`tool` has changed: 2 paths\n']);
    expect((await set('tool', samples.top.path, samples.base.path)).stderr).toBe('`tool` is as it was: 2 paths\n');
    await set('other', 'tool@previous');
    const [other, tool, ...none] = await list();
    expect(none).toEqual([]);
    expect(other).toMatch(new RegExp(`^other  ${TIME}  good  ${samples.base.path}$`));
    expect(tool).toMatch(new RegExp(`^tool  ${TIME}  good  ${samples.top.path} ${samples.base.path}$`));
    const [, older] = await list('tool', '--history');
    expect(older).toMatch(new RegExp(`^tool@${TIME}  ${TIME}  good  ${samples.base.path}$`));
    const gone = await box().carport(['pin', 'rm', 'tool', '--to', cache]);
    expect([gone.exitCode, gone.stdout]).toEqual([0, '']);
    expect(gone.stderr).toContain(`it was ${samples.top.path} ${samples.base.path}`);
    expect((await list()).length).toBe(1);
  });

  it('prints JSON', async () => {
    const { stdout } = await set('tool', samples.base.path, '--json', '--expires', '2100-01-01');
    const [pin, onDisk] = [JSON.parse(stdout), JSON.parse(await readFile(`${cache}/carport/pins/tool.json`, 'utf8'))];
    expect(pin).toEqual(onDisk);
    expect(pin).toMatchObject({
      version: 1,
      name: 'tool',
      expiresAt: '2100-01-01T00:00:00.000Z',
      history: [],
      derivations: [],
    });
    const listed = JSON.parse((await list('--json')).join('\n'));
    const { version: _, ...fields } = onDisk;
    const url = pathToFileURL(cache).href;
    expect(listed).toEqual({ version: 1, pins: [{ ...fields, state: 'good', cache: url }] });
    const removed = await box().succeed(['pin', 'rm', 'tool', '--to', cache, '--json']);
    expect(JSON.parse(removed.stdout)).toEqual({ version: 1, removed: ['tool'] });
  });

  it('tells that there is no cache to list, and how one is named', async () => {
    const wrong = await box().carport(['pin', 'ls', '--from', box().path('nowhere')]);
    expect(wrong).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('there is no binary cache') });
    const none = await box().carport(['pin', 'ls']);
    expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--cache file:///') });
  });

  it('lists by name', async () => {
    for (const name of ['tool-b', 'tool', 'tool.a', 'b']) await set(name, samples.base.path);
    expect((await list()).map((line) => line.split(' ')[0])).toEqual(['b', 'tool', 'tool-b', 'tool.a']);
  });

  it('tells in a list what cannot be trusted', async () => {
    await set('tool', samples.base.path);
    const { lines } = await box().succeed(['pin', 'ls', '--from', cache]);
    expect(lines[0]).toMatch(/ {2}untrusted {2}/);
  });

  it('refuses what the cache does not have, names that cannot be, and missing keys; and changes nothing', async () => {
    const unknown = `/nix/store/${'0'.repeat(32)}-x`;
    expect(await set('tool', unknown)).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('push it first') });
    expect(await set('tool', 'nothing-here')).toMatchObject({ exitCode: 5 });
    expect(await set('tool', 'tool')).toMatchObject({ exitCode: 5 });
    for (const name of ['a/b', '../x', '.hidden', 'a@b', '0'.repeat(32), samples.base.path.slice(11)]) {
      expect(await set(name, samples.base.path)).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('name of a pin'),
      });
    }
    const unsigned = await box().carport(['pin', 'set', 'tool', samples.base.path, '--to', cache]);
    expect(unsigned).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('--secret-key') });
    for (const when of ['yesterday', '0d', '2020-01-01', '5', '1y']) {
      expect(await set('tool', samples.base.path, '--expires', when)).toMatchObject({ exitCode: 2 });
    }
    const foreign = await box().makeKey('other-1');
    const stranger = await box().carport([
      'pin',
      'set',
      'tool',
      samples.base.path,
      '--to',
      cache,
      '--secret-key',
      foreign.file,
    ]);
    expect(stranger).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('is not signed by your key') });
    expect(await box().carport(['pin', 'rm', 'tool', '--to', cache])).toMatchObject({ exitCode: 5 });
    expect(await box().carport(['pin', 'ls', 'tool', '--from', cache])).toMatchObject({ exitCode: 5 });
    expect(await readdir(`${cache}/carport/pins`).catch(() => [])).toEqual([]);
  });

  describe('with a push', () => {
    const push = (...more: readonly string[]) =>
      box().carport([
        'push',
        samples.top.path,
        '--store',
        samples.root,
        '--to',
        cache,
        '--secret-key',
        key.file,
        ...more,
      ]);

    it('is set when all is there, and is what pull takes', async () => {
      const { stdout, stderr } = await push('--pin', 'tool');
      expect(stdout.trim().split('\n')).toEqual(samples.paths);
      expect(stderr).toContain('`tool` stands for 1 path now\n');
      const pulled = await box().succeed(['pull', 'tool', '--from', cache, '--trusted-key', key.publicKey]);
      expect(pulled.lines).toEqual(samples.paths);
      expect((await box().succeed(['store', 'ls', '--roots'])).stdout).toContain('tool');
      const events = (await push('--pin', 'tool', '--json')).lines.map((line) => JSON.parse(line) as { type: string });
      expect(events.map(({ type }) => type)).toEqual(['plan', 'pin', 'summary']);
      expect(events[1]).toMatchObject({ name: 'tool', storePaths: [samples.top.path], derivations: [] });
    });

    it('that would stand for what `--skip-signed-by` leaves out is told before anything is sent', async () => {
      await box().succeed(['pull', samples.top.path, '--from', cache, '--trusted-key', key.publicKey]);
      const other = await box().makeKey('other-1');
      const args = ['push', samples.top.path, '--to', box().path('fresh'), '--secret-key', other.file];
      for (const more of [[], ['--dry-run']]) {
        const refused = await box().carport([...args, '--pin', 'tool', '--skip-signed-by', 'test-1', ...more]);
        expect([refused.exitCode, refused.stdout]).toEqual([2, '']);
        expect(refused.stderr).toContain(`\`tool\` cannot stand for \`${samples.top.path}\`, which is left out`);
        expect(await readdir(box().path('fresh')).catch(() => [])).toEqual([]);
      }
      await box().succeed([...args, '--pin', 'tool', '--skip-signed-by', 'another-1']);
    });

    it('that cannot be set is told before anything is sent, and a dry run sets none', async () => {
      const fresh = box().path('fresh');
      const to = ['--store', samples.root, '--to', fresh];
      expect(await box().carport(['push', samples.top.path, ...to, '--pin', 'tool'])).toMatchObject({ exitCode: 4 });
      expect(
        await box().carport(['push', samples.top.path, ...to, '--pin', 'a/b', '--secret-key', key.file]),
      ).toMatchObject({ exitCode: 2 });
      expect(await readdir(fresh).catch(() => [])).toEqual([]);
      expect((await push('--pin', 'tool', '--dry-run')).exitCode).toBe(0);
      expect(await readdir(`${cache}/carport/pins`).catch(() => [])).toEqual([]);
      // Somebody else's pin is not carried on, and nothing is sent beside it.
      await push('--pin', 'tool');
      const other = await box().makeKey('other-1');
      const before = await readdir(cache);
      const theirs = await box().carport([
        'push',
        samples.top.path,
        '--store',
        samples.root,
        '--to',
        cache,
        '--secret-key',
        other.file,
        '--pin',
        'tool',
      ]);
      expect(theirs).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('--discard-history') });
      expect(await readdir(cache)).toEqual(before);
    });
  });
});
