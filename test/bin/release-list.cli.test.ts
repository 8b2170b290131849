import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { type Fragment, PROMOTION, PRUNING, YANK } from '#release/documents/kinds.js';
import { FRAGMENTS, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '#release/layout.js';
import { putDocument, putRelease, TEST_TARGET, type TestRelease } from '../support/releases.js';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';

const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';
const TIME = '2026-11-01T12:00:00Z';

describe('carport release', () => {
  const box = useSandbox();
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: string;
  beforeEach(async () => {
    keyFile = await box().makeKey('release-1');
    key = parseSecretKey(await readFile(keyFile.file, 'utf8'));
    bucket = box().path('bucket');
  });
  const put = (version: string, more: Partial<TestRelease> = {}): Promise<Fragment> =>
    putRelease(bucket, { version, keys: [key], ...more });
  const yank = (version: string, reason: string) =>
    putDocument(bucket, YANK, versionKey(YANKS, version), { version, reason, time: TIME }, [key]);
  const hide = (version: string) =>
    putDocument(bucket, PRUNING, versionKey(PRUNINGS, version), { version, time: TIME }, [key]);
  const args = (command: 'ls' | 'show', ...more: readonly string[]) => [
    ...['release', command, ...more, '--from', bucket, '--trusted-key', keyFile.publicKey],
  ];
  const list = (...more: readonly string[]) => box().succeed(args('ls', ...more));
  const show = (...more: readonly string[]) => box().succeed(args('show', ...more));

  describe('ls', () => {
    it('prints what the index shows in its order, and after that what is hidden', async () => {
      await put('v1.9.0', { time: '2026-11-05T12:00:00Z' });
      await put('v1.10.0');
      await put('v1.10.0', { target: 'aarch64-unknown-linux-musl' });
      await put('v2.0.0-rc1');
      await put(COMMIT);
      await yank('v1.10.0', 'bad');
      await put('v0.1-old');
      await hide('v0.1-old');
      await put('v2.0.0', { promotion: { from: 'v2.0.0-rc1', gates: [] } });
      const begun = (version: string) =>
        putDocument(bucket, PROMOTION, versionKey(PROMOTIONS, version), { version, from: COMMIT, time: TIME }, [key]);
      await begun('v2.0.0');
      await begun('v3.0.0');
      const { lines, stderr } = await list();
      expect(lines).toEqual([
        `v1.10.0  stable  ${TIME}  yanked  aarch64-unknown-linux-musl ${TEST_TARGET}`,
        `v1.9.0  stable  2026-11-05T12:00:00Z  available  ${TEST_TARGET}`,
        `v2.0.0-rc1  extra  ${TIME}  available  ${TEST_TARGET}`,
        `${COMMIT}  development  ${TIME}  available  ${TEST_TARGET}`,
        `v2.0.0  stable  ${TIME}  promoting  ${TEST_TARGET}`,
        `v0.1-old  extra  ${TIME}  pruning  ${TEST_TARGET}`,
        `v3.0.0  stable  ${TIME}  promoting  `,
      ]);
      expect(stderr.match(/^warning: .* is not shown: .*$/gm)).toHaveLength(2);
      const extra = await list('--channel', 'extra');
      expect(extra.lines.map((each) => each.split(' ')[0])).toEqual(['v2.0.0-rc1', 'v0.1-old']);
      const pattern = await list('--stable-pattern', 'v2.*', '--channel', 'stable');
      expect(pattern.lines.map((each) => each.split(' ')[0])).toEqual(['v2.0.0-rc1', 'v2.0.0']);
    });

    it('prints in JSON what the index says', async () => {
      await put('v1.0.0', { commit: COMMIT });
      await put('v1.1.0', { target: 'y', promotion: { from: COMMIT, gates: [{ gate: 'files', detail: 'all' }] } });
      await put(COMMIT);
      await yank('v1.0.0', 'bad');
      const env = { CARPORT_BASE_URL: 'https://releases.example.org', CARPORT_REQUIRED_TARGETS: 'z' };
      await box().succeed(['index', 'publish', '--to', bucket, '--secret-key', keyFile.file], { env });
      const index = JSON.parse(await readFile(`${bucket}/releases/index.json`, 'utf8'));
      const { stdout } = await box().succeed(args('ls', '--json'), { env });
      expect(JSON.parse(stdout)).toEqual({ version: 1, releases: index.releases, warnings: [] });
      expect(index.releases).toHaveLength(3);
      for (const release of index.releases) {
        const shown = await box().succeed(args('show', release.version, '--json'), { env });
        expect(JSON.parse(shown.stdout)).toEqual({ version: 1, release, warnings: [] });
      }
    });

    it('warns of what is not believed, and tells that there is nothing', async () => {
      await put('v1.0.0', { keys: [] });
      const { lines, stderr } = await list();
      expect(lines).toEqual([expect.stringMatching(/^v1\.0\.0 {2}stable {2}/)]);
      expect(stderr).toBe(
        `warning: \`${FRAGMENTS}v1.0.0/${TEST_TARGET}.json\` is not believed: no trusted key has signed it\n`,
      );
      expect((await list('--allow-unsigned')).stderr).toBe('');
      const none = await box().carport(['release', 'ls', '--from', box().path('nowhere')]);
      expect(none).toMatchObject({ exitCode: 0, stdout: '', stderr: expect.stringContaining('has no release') });
    });

    it('is told which cache: the first to read from, else the one to write to', async () => {
      await put('v1.0.0');
      const env = { CARPORT_TRUSTED_KEYS: keyFile.publicKey };
      const to = await box().succeed(['release', 'ls', '--to', bucket], { env });
      expect(to.lines).toHaveLength(1);
      const both = { ...env, CARPORT_TO: box().path('nowhere'), CARPORT_FROM: bucket };
      expect((await box().succeed(['release', 'ls'], { env: both })).lines).toHaveLength(1);
      expect(await box().carport(['release', 'ls'], { env })).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('--from'),
      });
      expect(await box().carport(['release', 'ls', '--from', 'http://127.0.0.1:9/'], { env })).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('cannot be listed'),
      });
    });

    it('lists ten thousand builds, and nobody need read them all', async () => {
      const numbers = Array.from({ length: 10_000 }, (_, number) => number);
      await Promise.all(
        numbers.map(async (number) => {
          const directory = `${bucket}/_releases/${number.toString(16).padStart(40, '0')}/x`;
          await mkdir(directory, { recursive: true });
          await writeFile(`${directory}/app`, 'app');
        }),
      );
      expect((await list()).lines).toHaveLength(10_000);
      const child = spawn(process.execPath, [CARPORT, ...args('ls')], { env: box().env });
      let stderr = '';
      child.stderr.on('data', (bytes: Buffer) => {
        stderr += bytes.toString();
      });
      child.stdout.once('data', () => child.stdout.destroy());
      const exitCode = await new Promise((resolve) => child.once('close', resolve));
      expect([exitCode, stderr]).toEqual([0, '']);
    }, 180_000);
  });

  describe('show', () => {
    it('tells what is known', async () => {
      const gates = [{ gate: 'minimum-age', detail: '3 days old' }];
      const { files } = await put('v1.0.0', { commit: COMMIT, promotion: { from: COMMIT, gates } });
      await put('v0.9.0', { target: 'y' });
      await yank('v1.0.0', 'loses data');
      const { lines, stderr } = await show('v1.0.0', '--base-url', 'https://releases.example.org');
      const [{ size, sha256 }] = files as [Fragment['files'][number]];
      expect(stderr).toBe('');
      expect(lines).toEqual([
        'version:      v1.0.0',
        'channel:      stable',
        'state:        yanked',
        `yanked:       ${TIME}  loses data`,
        `time:         ${TIME}`,
        `signed:       ${TIME}`,
        `commit:       ${COMMIT}`,
        'built by:     none',
        `made of:      ${COMMIT}`,
        'gate:         minimum-age  3 days old',
        'missing:      y',
        '',
        `target:       ${TEST_TARGET}`,
        `file:         garage  ${size} bytes (${size} B)`,
        `sha256:       ${sha256}`,
        `key:          _releases/v1.0.0/${TEST_TARGET}/garage`,
        `url:          https://releases.example.org/_releases/v1.0.0/${TEST_TARGET}/garage`,
      ]);
    });

    it('tells of what is hidden, and of what nobody signed', async () => {
      await put(COMMIT);
      await hide(COMMIT);
      expect((await show(COMMIT)).lines).toContain('state:        pruning');
      await put('v1.0.0', { keys: [] });
      const { stdout, stderr } = await show('v1.0.0');
      expect(stdout).toContain('sha256:       not known');
      expect(stdout).toContain('signed:       no\n');
      expect(stderr).toContain('no trusted key has signed it');
    });

    it('tells what is incomplete, and warns of nothing but this release', async () => {
      const old = await put('v1.0.0', { files: { garage: 'one', gone: 'two' } });
      await rm(`${bucket}/_releases/v1.0.0/${TEST_TARGET}/gone`);
      for (const other of ['v1.0.0-rc1', 'v1.0.00', 'xv1.0.0']) await put(other, { keys: [] });
      await yank('v1.0.0-rc1', 'bad');
      expect((await show('v1.0.0')).stdout).toContain('state:        incomplete\n');
      await writeFile(`${bucket}/carport/yanks/v1.0.0.json`, 'damaged');
      const { stdout, stderr } = await show('v1.0.0');
      expect(stdout).toContain('state:        yanked\nyanked:       there is a yank that could not be verified\n');
      expect(old.files).toHaveLength(2);
      expect(stderr.trimEnd().split('\n')).toEqual([
        expect.stringMatching(/^warning: `carport\/yanks\/v1\.0\.0\.json` /),
        `warning: \`_releases/v1.0.0/${TEST_TARGET}/gone\` was signed and is not there, and is left out`,
      ]);
      expect((await list('--channel', 'stable')).lines).toEqual([
        expect.stringContaining('v1.0.00  stable'),
        `v1.0.0  stable  ${TIME}  yanked  ${TEST_TARGET}`,
      ]);
    });

    it('asks what was meant when there is no such release', async () => {
      await put('v1.10.0');
      await put(COMMIT);
      const hints: readonly (readonly [string, string])[] = [
        ['v1.10.1', 'did you mean `v1.10.0`?'],
        [COMMIT.slice(0, 7), `did you mean \`${COMMIT}\`?`],
        ['something-else', '`carport release ls` lists'],
        ['../..', '`carport release ls` lists'],
        ['', '`carport release ls` lists'],
        ['\u001b[31mred', 'there is no release `?[31mred`'],
      ];
      for (const [version, hint] of hints) {
        const ran = await box().carport(args('show', version));
        expect([ran.exitCode, ran.stdout], version).toEqual([5, '']);
        expect(ran.stderr).toContain(hint);
      }
    });

    it('lets no text of the bucket look like something else', async () => {
      await put('v1.0.0', { promotion: { from: 'v0', gates: [{ gate: 'x', detail: 'y\nstate:        available' }] } });
      await yank('v1.0.0', 'bad\nstate:        available\u001b[2J\u009b');
      const { stdout } = await show('v1.0.0');
      expect(stdout.match(/^state:.*$/gm)).toEqual(['state:        yanked']);
      expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
      const odd = `${bucket}/_releases/<b>\u009b2J/x y`;
      await mkdir(odd, { recursive: true });
      await writeFile(`${odd}/app`, 'app');
      expect((await list('--channel', 'extra')).lines).toEqual([expect.stringMatching(/^<b>\?2J {2}extra .* {2}x y$/)]);
      expect((await show('<b>\u009b2J')).lines[0]).toBe('version:      <b>?2J');
    });
  });
});
