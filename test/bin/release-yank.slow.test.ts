import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { loadSecretKey } from '#bin/settings/keys.js';
import { openFileStore } from '#lib/object-store/file.js';
import { renderPublicKey, type SecretKey } from '#lib/signing/key.js';
import { YANK } from '#release/documents/kinds.js';
import { fileKey, versionKey, YANKS } from '#release/layout.js';
import { readSources, trusted } from '#release/sources/sources.js';
import { hashesIn, latestStable, putDocument, putRelease } from '../support/releases.js';
import { sampleKey } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const [OLD, NEW] = ['v1.2.0', 'v1.3.0'];
const KEY = versionKey(YANKS, NEW);

describe('carport release yank and unyank', () => {
  const box = useSandbox();
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: string;
  beforeEach(async () => {
    keyFile = await box().makeKey('release-1');
    key = await loadSecretKey(keyFile.file);
    bucket = box().path('bucket');
    for (const version of [OLD, NEW]) await putRelease(bucket, { version, keys: [key] });
  });

  const run = (...args: readonly string[]) => box().carport(['release', ...args, '--to', bucket]);
  const yank = (reason: string, ...args: readonly string[]) =>
    run('yank', `--reason=${reason}`, '--secret-key', keyFile.file, ...args);
  const unyank = (...args: readonly string[]) => run('unyank', '--secret-key', keyFile.file, ...args);
  const policy = () => ({ keys: [key.publicKey], allowUnsigned: false });
  const yanks = async () => trusted((await readSources(openFileStore(bucket), policy())).yanks);
  const latest = () => latestStable(bucket, policy());
  const refused = async (exitCode: number, message: string, run: () => ReturnType<typeof yank>) => {
    const before = await hashesIn(bucket);
    expect(await run()).toMatchObject({ exitCode, stdout: '', stderr: expect.stringContaining(message) });
    expect(await hashesIn(bucket)).toEqual(before);
  };

  it('say that a release should not be used, and why, and take it back', async () => {
    expect(await latest()).toBe(NEW);
    const yanked = await yank('loses data — on restart', NEW);
    expect(yanked).toMatchObject({ exitCode: 0, lines: [NEW] });
    expect(yanked.stderr).toBe('`v1.3.0` is yanked\n`carport index publish` shows it\n');
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(await yanks()).toEqual([{ version: NEW, reason: 'loses data — on restart', time }]);
    expect(await latest()).toBe(OLD);
    const back = await unyank(NEW);
    expect(back).toMatchObject({ exitCode: 0, lines: [NEW] });
    expect(back.stderr).toBe('`v1.3.0` is not yanked any more\n`carport index publish` shows it\n');
    expect(await yanks()).toEqual([{ version: NEW, reason: null, time }]);
    expect(await latest()).toBe(NEW);
    expect((await yank('again', NEW)).stderr).toContain('is yanked\n');
    expect(await latest()).toBe(OLD);
  });

  it('do nothing where there is nothing to do, and exchange the reason', async () => {
    await yank('one', NEW);
    const before = await readFile(join(bucket, KEY), 'utf8');
    const again = await yank('one', NEW);
    expect(again).toMatchObject({ exitCode: 0, lines: [NEW] });
    expect(again.stderr).toBe('`v1.3.0` is yanked for this reason already\n');
    expect(await readFile(join(bucket, KEY), 'utf8')).toBe(before);
    expect((await yank('two', OLD, NEW, OLD)).lines).toEqual([OLD, NEW]);
    expect((await yanks()).map(({ version, reason }) => `${version} ${reason}`)).toEqual(['v1.2.0 two', 'v1.3.0 two']);
    const back = await unyank(NEW, NEW);
    expect(back.lines).toEqual([NEW]);
    const none = await unyank(NEW);
    expect(none).toMatchObject({ exitCode: 0, stdout: '', stderr: '`v1.3.0` was not yanked\n' });
  });

  it('print JSON', async () => {
    const time = expect.any(String);
    const first = JSON.parse((await yank('one', NEW, '--json')).stdout);
    expect(first).toEqual({ version: 1, yanked: [{ version: NEW, reason: 'one', time, changed: true }] });
    const second = JSON.parse((await yank('one', NEW, '--json')).stdout);
    expect(second).toEqual({ version: 1, yanked: [{ ...first.yanked[0], changed: false }] });
    expect(JSON.parse((await unyank(OLD, NEW, '--json')).stdout)).toEqual({ version: 1, unyanked: [NEW] });
  });

  it('know releases of which only files are there, and change nothing when one is missing', async () => {
    await openFileStore(bucket).put(fileKey('0.4-alpha', 'linux', 'garage'), Buffer.from('x'), { contentType: 'x/y' });
    expect(await yank('old', '0.4-alpha')).toMatchObject({ exitCode: 0 });
    await refused(5, 'there is no release `v9.9.9`', () => yank('bad', OLD, 'v9.9.9'));
    // Not taken for `v1.2.0`.
    await refused(5, 'there is no release `v1.2`', () => yank('bad', 'v1.2'));
    await refused(5, 'there is no release `v9.9.9`', () => unyank('v9.9.9', '0.4-alpha'));
    await refused(5, 'all its 40 or 64 digits', () => yank('bad', '7fd1a60'));
  });

  it('refuse names and reasons that cannot be', async () => {
    for (const version of ['a/b', '..', '', '<script>', 'refs/tags/v1.2.0']) {
      await refused(2, 'cannot be the version', () => yank('bad', OLD, version));
    }
    await refused(2, 'cannot be the version', () => unyank('a/b'));
    for (const reason of ['', ' \t']) await refused(2, 'is empty', () => yank(reason, NEW));
    for (const reason of ['a\nb', 'a\u001b[31mb', 'a\u0085b', 'a\u2028b']) {
      await refused(2, 'control characters', () => yank(reason, NEW));
    }
    await refused(2, 'more than 2000', () => yank('x'.repeat(2001), NEW));
    expect(await yank('x'.repeat(2000), NEW)).toMatchObject({ exitCode: 0 });
  });

  it('need a key', async () => {
    await refused(4, '--secret-key FILE', () => run('yank', NEW, '--reason', 'bad'));
    await refused(4, '--secret-key FILE', () => run('unyank', NEW));
    expect(await run('yank', NEW, '--reason', 'bad', '--allow-unsigned')).toMatchObject({ exitCode: 0 });
    expect(await yanks()).toEqual([]);
  });

  it('write over nothing that a key has signed that is not trusted, unless that is meant', async () => {
    const other = sampleKey('other-1');
    await putDocument(bucket, YANK, KEY, { version: NEW, reason: 'theirs', time: '2026-11-02T00:00:00Z' }, [other]);
    await refused(6, 'signed by `other-1`: `carport/yanks/v1.3.0.json`', () => yank('bad', OLD, NEW));
    await refused(6, '--allow-lost-signatures', () => unyank(NEW));
    expect((await unyank(NEW, '--trusted-key', renderPublicKey(other.publicKey))).lines).toEqual([NEW]);
    await putDocument(bucket, YANK, KEY, { version: NEW, reason: 'theirs', time: '2026-11-02T00:00:00Z' }, [other]);
    expect(await yank('bad', NEW, '--allow-lost-signatures')).toMatchObject({ exitCode: 0, lines: [NEW] });
    expect(await yanks()).toMatchObject([{ version: NEW, reason: 'bad' }]);
  });

  it('do not believe a yank that nobody has signed, nor a damaged one: it is replaced', async () => {
    const forged = { version: NEW, reason: 'bad', time: '2026-11-02T00:00:00Z' };
    const spoil = [
      () => putDocument(bucket, YANK, KEY, forged),
      () => putDocument(bucket, YANK, KEY, { ...forged, version: OLD }, [key]),
      () => writeFile(join(bucket, KEY), 'nonsense'),
    ];
    for (const each of spoil) {
      await each();
      expect(await yank('bad', NEW)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('is yanked\n') });
      expect(await yanks()).toMatchObject([{ version: NEW, reason: 'bad' }]);
      await each();
      expect((await unyank(NEW)).lines).toEqual([NEW]);
      expect(await yanks()).toMatchObject([{ version: NEW, reason: null }]);
    }
  });

  it('are remembered by the index: a yank that somebody removes, or exchanges for an older one, goes on counting', async () => {
    const publish = async () => {
      const args = ['index', 'publish', '--to', bucket, '--secret-key', keyFile.file];
      const { exitCode, stderr } = await box().carport(args);
      expect(exitCode, stderr).toBe(0);
      return stderr;
    };
    const said = (version: string, reason: string | null, day: number) =>
      putDocument(bucket, YANK, versionKey(YANKS, version), { version, reason, time: `2026-11-0${day}T00:00:00Z` }, [
        key,
      ]);
    await said(NEW, 'bad', 2);
    await publish();
    await rm(join(bucket, KEY));
    expect(await publish()).toContain('has gone: `v1.3.0` goes on being yanked');
    expect(await latest()).toBe(OLD);
    // Also in a second run.
    expect(await publish()).toContain('goes on being yanked');
    expect((await yank('bad', NEW)).stderr).toContain('for this reason already');
    await writeFile(join(bucket, KEY), 'nonsense');
    expect((await yank('bad', NEW)).stderr).toContain('is yanked\n');
    expect(await yanks()).toMatchObject([{ version: NEW, reason: 'bad' }]);
    expect((await unyank(NEW)).lines).toEqual([NEW]);
    await publish();
    expect(await latest()).toBe(NEW);
    await said(NEW, 'bad', 2);
    expect(await publish()).toContain('is older than what was said last: `v1.3.0` is not yanked any more');
    expect(await latest()).toBe(NEW);
    expect((await unyank(NEW)).stderr).toBe('`v1.3.0` was not yanked\n');
    // A clock that is slow has the last word all the same.
    await said(OLD, 'bad', 3);
    await putDocument(bucket, YANK, KEY, { version: NEW, reason: 'bad', time: '2099-01-01T00:00:00Z' }, [key]);
    await publish();
    expect((await unyank(NEW)).lines).toEqual([NEW]);
    await publish();
    expect(await latest()).toBe(NEW);
  });

  it('cannot change a web server', async () => {
    const web = (...args: readonly string[]) =>
      box().carport(['release', ...args, '--to', 'http://127.0.0.1:9/', '--secret-key', keyFile.file]);
    const yanked = await web('yank', NEW, '--reason', 'bad');
    expect(yanked).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cannot be listed') });
  });
});
