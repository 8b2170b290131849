import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { LEDGER_KEY } from '#release/layout.js';
import { killCount, killOften } from '../support/kill.js';
import { hashesIn, putRelease, TEST_TARGET } from '../support/releases.js';
import { type KeyFile, type RunOptions, useSandbox } from '../support/sandbox.js';

const BASE = 'https://releases.example.org/';
const NO_ADDRESS =
  'no address is set for users: give `--base-url URL`, and there are commands on the page, and feeds\n';

/** All, and those of its target. */
const SUMS_OF_1 = ['releases/v1.0.0/SHA256SUMS', `releases/v1.0.0/${TEST_TARGET}/SHA256SUMS`];

describe('carport index publish', () => {
  const box = useSandbox();
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: string;
  beforeEach(async () => {
    keyFile = await box().makeKey('release-1');
    key = parseSecretKey(await readFile(keyFile.file, 'utf8'));
    bucket = box().path('bucket');
  });
  const put = (version: string, files?: Readonly<Record<string, string>>) =>
    putRelease(bucket, { version, keys: [key], ...(files && { files }) });
  const run = (more: readonly string[] = [], options: RunOptions = {}) =>
    box().carport(['index', 'publish', '--to', bucket, ...more], options);
  const publish = async (...more: readonly string[]) => {
    const ran = await run(['--secret-key', keyFile.file, '--base-url', BASE, ...more]);
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const hashes = () => hashesIn(bucket);
  const published = async () =>
    [...(await hashes()).keys()].filter((each) => each.startsWith('releases/') || each.startsWith('_releases.')).sort();

  it('writes all of the index, prints the keys, and then has nothing to do', async () => {
    await put('v1.0.0');
    const { lines, stderr } = await publish();
    expect(lines).toEqual([
      ...[...SUMS_OF_1.map((each) => `${each}.minisig`), ...SUMS_OF_1],
      ...['releases/index.json.minisig', 'releases/index.json', 'releases/feed.atom', 'releases/all.atom'],
      ...['releases/latest/stable.json', `releases/latest/stable/${TEST_TARGET}/garage`],
      ...['_releases.json', '_releases.html', 'index.html'],
    ]);
    expect(stderr).toBe('');
    expect(['index.html', ...(await published())].sort()).toEqual([...lines].sort());
    expect(await hashes().then((all) => all.get('index.html'))).toBe((await hashes()).get('_releases.html'));
    const before = await hashes();
    const again = await publish();
    expect([again.stdout, again.stderr]).toEqual(['', 'nothing has changed\n']);
    expect(await hashes()).toEqual(before);
    expect((await publish('--quiet')).stderr).toBe('');
  });

  it('says that no tag is stable, and which pattern would make them so', async () => {
    await put('1.0.0');
    await put('nightly');
    const rule = 'set `stable-pattern`, such as `[0-9]+\\.[0-9]+\\.[0-9]+` for `1.0.0`\n';
    const { stderr } = await publish();
    expect(stderr).toBe(
      `no release is stable, and so there is no latest stable one: stable tags are as \`v1.2.3\`; for others ${rule}`,
    );
    expect((await publish('--stable-pattern', 'v.*')).stderr).toContain(
      '(--stable-pattern) is `v.*`, which has to match',
    );
    expect((await publish('--compat', 'garage')).stderr).not.toContain('no release is stable');
    const { lines, stderr: none } = await publish('--stable-pattern', '[0-9]+\\.[0-9]+\\.[0-9]+');
    expect(lines).toContain('releases/latest/stable.json');
    expect(none).not.toContain('no release is stable');
  });

  it('lets the latest be what is newest, and takes away what is out of date', async () => {
    await put('v1.0.0', { garage: 'one', old: 'old' });
    await publish();
    const latest = (name: string) => readFile(`${bucket}/releases/latest/stable/${TEST_TARGET}/${name}`, 'utf8');
    expect([await latest('garage'), await latest('old')]).toEqual(['one', 'old']);
    await put('v1.1.0', { garage: 'two' });
    await publish();
    expect(await latest('garage')).toBe('two');
    await expect(latest('old')).rejects.toMatchObject({ code: 'ENOENT' });
    await rm(`${bucket}/_releases/v1.0.0`, { recursive: true });
    await rm(`${bucket}/carport/releases/v1.0.0`, { recursive: true });
    const { stderr } = await publish();
    expect(stderr).toBe(SUMS_OF_1.map((each) => `removed: ${each}\nremoved: ${each}.minisig\n`).join(''));
  });

  it('prints JSON', async () => {
    await put('v1.0.0');
    await mkdir(`${bucket}/releases/v0`, { recursive: true });
    await writeFile(`${bucket}/releases/v0/SHA256SUMS`, 'old');
    await writeFile(`${bucket}/_releases/stray`, 'stray');
    const ran = await publish('--json');
    expect(JSON.parse(ran.stdout)).toEqual({
      ...{ version: 1, removed: ['releases/v0/SHA256SUMS'], unchanged: 0, rounds: 1, dryRun: false },
      ...{ written: expect.any(Array), warnings: [expect.stringContaining('_releases/stray')] },
    });
    const again = JSON.parse((await publish('--json')).stdout);
    expect(again).toMatchObject({ written: [], removed: [], unchanged: 13 });
  });

  it('needs a key, unless that is said', async () => {
    await put('v1.0.0');
    const before = await hashes();
    const refused = await run();
    expect([refused.exitCode, refused.stdout]).toEqual([4, '']);
    expect(refused.stderr).toContain('--secret-key FILE');
    expect(await hashes()).toEqual(before);
    const { exitCode, stderr, lines } = await run(['--allow-unsigned']);
    expect([exitCode, stderr]).toEqual([0, NO_ADDRESS]);
    expect(lines.filter((each) => each.endsWith('.minisig'))).toEqual([]);
  });

  it('takes the signatures away when it signs no more, and that is meant', async () => {
    await put('v1.0.0');
    await publish();
    const before = await hashes();
    const unsigned = ['--allow-unsigned', '--base-url', BASE];
    for (const more of [[], ['--dry-run'], ['--trusted-key', keyFile.publicKey]]) {
      const refused = await run([...unsigned, ...more]);
      expect([refused.exitCode, refused.stdout]).toEqual([6, '']);
      expect(refused.stderr).toContain('`releases/index.json.minisig`, `releases/v1.0.0/SHA256SUMS.minisig`');
    }
    expect(await hashes()).toEqual(before);
    const { exitCode, stderr } = await run([...unsigned, '--allow-lost-signatures']);
    const signatures = ['releases/index.json', ...SUMS_OF_1].map((each) => `${each}.minisig`);
    expect([exitCode, stderr]).toEqual([
      0,
      expect.stringMatching(
        new RegExp(
          `^warning: 4 documents and signatures .*\n${signatures.map((each) => `removed: ${each}\n`).join('')}$`,
        ),
      ),
    ]);
    expect((await published()).filter((each) => each.endsWith('.minisig'))).toEqual([]);
    await publish();
    expect((await published()).filter((each) => each.endsWith('.minisig'))).toEqual(signatures);
  });

  it('changes nothing in a dry run, which needs no key', async () => {
    await put('v1.0.0');
    const args = ['--dry-run', '--base-url', BASE, '--trusted-key', keyFile.publicKey];
    const before = await hashes();
    const first = await run(args);
    expect(first.exitCode, first.stderr).toBe(0);
    expect(first.lines).toContain('releases/index.json');
    expect(first.stderr).toBe('no key is given: this leaves signatures out\nnothing was changed: this is a dry run\n');
    expect(await hashes()).toEqual(before);
    await publish();
    await put('v1.1.0');
    await rm(`${bucket}/_releases/v1.0.0`, { recursive: true });
    await rm(`${bucket}/carport/releases/v1.0.0`, { recursive: true });
    const later = await hashes();
    const second = await run(args);
    expect(second.lines).toContain('releases/v1.1.0/SHA256SUMS');
    expect(second.stderr).toContain('to be removed: releases/v1.0.0/SHA256SUMS\n');
    expect(second.stderr).not.toContain('minisig');
    const signed = await publish('--dry-run');
    expect(signed.stderr).toContain('to be removed: releases/v1.0.0/SHA256SUMS.minisig\n');
    expect(await hashes()).toEqual(later);
  });

  it('refuses a bucket without a release', async () => {
    const ran = await run(['--secret-key', keyFile.file]);
    expect([ran.exitCode, ran.stdout]).toEqual([5, '']);
    expect(ran.stderr).toContain('see that it is the right bucket');
    await expect(readFile(bucket)).rejects.toMatchObject({ code: 'ENOENT' });
    await publish('--allow-empty');
    expect(await published()).toContain('_releases.html');
  });

  it('needs a bucket that can be listed', async () => {
    const web = await box().carport(['index', 'publish', '--to', 'http://127.0.0.1:9/', '--secret-key', keyFile.file]);
    expect(web.exitCode).toBe(1);
    expect(web.stderr).toContain('a web server has no listing');
    const none = await box().carport(['index', 'publish', '--secret-key', keyFile.file]);
    expect([none.exitCode, none.stderr.includes('CARPORT_CACHE')]).toEqual([2, true]);
  });

  it('takes nothing away with a wrong key, and goes on with a new one that trusts the old', async () => {
    await put('v1.0.0');
    await publish();
    const before = await hashes();
    const other = await box().makeKey('release-2');
    const wrong = ['--secret-key', other.file];
    for (const args of [wrong, [...wrong, '--dry-run'], ['--dry-run'], [...wrong, '--allow-unsigned']]) {
      const refused = await run(args);
      expect([refused.exitCode, refused.stdout]).toEqual([6, '']);
      expect(refused.stderr).toContain('signed by `release-1`: `carport/ledger.json`');
      expect(refused.stderr).toContain('--trusted-key');
    }
    expect(await hashes()).toEqual(before);
    const changed = await run([...wrong, '--trusted-key', keyFile.publicKey]);
    expect(changed.exitCode, changed.stderr).toBe(0);
    expect(changed.stderr).toMatch(/^as in the run before .*\n$/);
    expect(await published()).toEqual(
      [...before.keys()].filter((each) => /^(releases\/|_releases\.)/.test(each)).sort(),
    );
    expect(await readFile(`${bucket}/releases/v1.0.0/SHA256SUMS.minisig`, 'utf8')).toContain('release-2');
  });

  it('passes over what nobody who is trusted has signed where that is meant, and says so', async () => {
    await put('v1.0.0');
    await putRelease(bucket, { version: 'v2.0.0' });
    for (let index = 0; index < 40; index++) await writeFile(`${bucket}/_releases/\x9b31mstray-${index}`, '');
    const refused = await run(['--secret-key', keyFile.file, '--base-url', BASE]);
    expect([refused.exitCode, refused.stdout]).toEqual([6, '']);
    expect(refused.stderr).toContain('signed by nobody: `carport/releases/v2.0.0/');
    const { stderr } = await publish('--allow-lost-signatures');
    expect(stderr.split('\n').length).toBe(22);
    expect(stderr).toContain('warning: 1 document or signature in ');
    expect(stderr).toContain('warning: `carport/releases/v2.0.0/');
    expect(stderr).toContain('23 more warnings');
    expect(stderr).not.toContain('\x9b');
    const index = JSON.parse(await readFile(`${bucket}/releases/index.json`, 'utf8'));
    expect(
      index.releases.map((each: { version: string; targets: [{ files: [{ sha256: string | null }] }] }) => [
        each.version,
        each.targets[0].files[0].sha256 === null,
      ]),
    ).toEqual([
      ['v2.0.0', true],
      ['v1.0.0', false],
    ]);
  });

  it('does as Garage does with `--compat garage`', async () => {
    for (const version of ['v0.10.0', 'v0.9.0']) await put(version);
    await publish('--compat', 'garage');
    const [stable] = JSON.parse(await readFile(`${bucket}/_releases.json`, 'utf8'));
    expect(stable.builds.map(({ version }: { version: string }) => version)).toEqual(['v0.9.0', 'v0.10.0']);
  });

  it('says what stands in its way', async () => {
    await put('v1.0.0');
    await mkdir(`${bucket}/_releases.html/directory`, { recursive: true });
    const { exitCode, stderr } = await run(['--secret-key', keyFile.file]);
    expect([exitCode, stderr.includes('_releases.html')]).toEqual([1, true]);
  });

  it('does not take the signature off a release whose fragment was removed, and its file exchanged', async () => {
    for (const version of ['v1.0.0', 'v1.1.0']) await put(version);
    await publish();
    const genuine = await hashes();
    const fragment = `carport/releases/v1.1.0/${TEST_TARGET}.json`;
    await rm(`${bucket}/${fragment}`);
    await writeFile(`${bucket}/_releases/v1.1.0/${TEST_TARGET}/garage`, 'another program');
    const first = await publish();
    expect(first.stderr).toContain(`_releases/v1.1.0/${TEST_TARGET}/garage`);
    for (let runs = 0; runs < 2; runs++) {
      const index = await readFile(`${bucket}/releases/index.json`, 'utf8');
      expect(index).not.toContain('v1.1.0');
      expect(await readFile(`${bucket}/releases/latest/stable.json`, 'utf8')).toContain('"v1.0.0"');
      expect((await publish()).stderr).toContain('v1.1.0');
    }
    await put('v1.1.0');
    expect((await publish()).stderr).toBe('');
    const mended = await hashes();
    for (const [each, hash] of genuine) if (each.includes('SHA256SUMS')) expect(mended.get(each), each).toBe(hash);
  });

  it('leaves whole files, old or new, when it is killed, and completes them when it is run again', async () => {
    const VERSIONS = 30;
    // The ledger tells when files were written.
    const hashes = async () => new Map([...(await hashesIn(bucket))].filter(([each]) => each !== LEDGER_KEY));
    const objects = openFileStore(bucket);
    const putAll = async (files: (index: number) => Readonly<Record<string, string>>, minor: number) => {
      for (let index = 0; index < VERSIONS; index++) {
        await putRelease(objects, { version: `v1.${minor}.${index}`, keys: [key], files: files(index) });
      }
    };
    await putAll((index) => ({ garage: `${index}` }), 0);
    await publish();
    await putAll((index) => ({ garage: `changed ${index}` }), 0);
    await putAll((index) => ({ garage: `${index}` }), 1);
    const start = box().path('start');
    await cp(bucket, start, { recursive: true, preserveTimestamps: true });
    const old = await hashes();
    await publish();
    const fresh = await hashes();
    const changed = [...fresh].filter(([each, hash]) => old.get(each) !== hash).length;
    const reset = async () => {
      await rm(bucket, { recursive: true });
      await cp(start, bucket, { recursive: true, preserveTimestamps: true });
    };
    await reset();
    const args = ['index', 'publish', '--to', bucket, '--secret-key', keyFile.file, '--base-url', BASE];
    await killOften(
      box(),
      () => args,
      killCount(5),
      async (_, at) => {
        const now = await hashes();
        for (const [each, hash] of now) expect([old.get(each), fresh.get(each)], `${at}: ${each}`).toContain(hash);
        const done = [...now].filter(([each, hash]) => old.get(each) !== hash).length;
        if (done === 0) return 'nothing';
        await publish();
        expect(await hashes(), at).toEqual(fresh);
        await reset();
        return done < changed ? 'a part' : 'all';
      },
    );
  }, 300_000);
});
