import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { loadSecretKey } from '#bin/settings/keys.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { SecretKey } from '#lib/signing/key.js';
import { PROMOTION, YANK } from '#release/documents/kinds.js';
import { fileKey, PROMOTIONS, versionKey, YANKS } from '#release/layout.js';
import { killCount, killOften } from '../support/kill.js';
import { isAlive } from '../support/processes.js';
import { hashesIn, latestStable, putDocument, putRelease, type TestRelease } from '../support/releases.js';
import { noise } from '../support/samples.js';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';

const [FROM, TO] = ['v1.2.0-rc1', 'v1.2.0'];
const TARGETS = ['aarch64-unknown-linux-musl', 'x86_64-unknown-linux-musl'];
const KEYS = TARGETS.map((target) => fileKey(TO, target, 'garage'));
const MARK = versionKey(PROMOTIONS, TO);

describe('carport release promote', () => {
  const box = useSandbox();
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: string;
  beforeEach(async () => {
    keyFile = await box().makeKey('release-1');
    key = await loadSecretKey(keyFile.file);
    bucket = box().path('bucket');
    await put();
  });

  const put = async (release: Partial<TestRelease> = {}) => {
    for (const target of TARGETS) await putRelease(bucket, { version: FROM, target, keys: [key], ...release });
  };
  const args = (...more: readonly string[]) => [
    ...['release', 'promote', FROM, '--to', 'stable', '--cache', bucket, '--secret-key', keyFile.file],
    ...more,
  ];
  const promote = (...more: readonly string[]) => box().carport(args(...more));
  const policy = () => ({ keys: [key.publicKey], allowUnsigned: false });
  /** Runs it, which must change nothing. */
  const refused = async (exitCode: number, message: string | RegExp, ...more: readonly string[]) => {
    const before = await hashesIn(bucket);
    const ran = await promote(...more);
    expect(ran).toMatchObject({ exitCode, stderr: expect.stringMatching(message) });
    expect(await hashesIn(bucket)).toEqual(before);
    return ran;
  };

  it('prints the keys of the new files, and what each gate says', async () => {
    const { exitCode, lines, stderr } = await promote('--required-target', TARGETS[0]!, '--minimum-age', '1m');
    expect(exitCode).toBe(0);
    expect(lines).toEqual(KEYS);
    expect(stderr.split('\n').map((line) => line.replace(/[0-9]+ days/, 'N days'))).toEqual([
      'passed  not-yanked: it is not yanked',
      'passed  files: 2 of 2 are there, in their sizes',
      'passed  required-targets: 1 of 1 are there',
      'passed  minimum-age: N days old, 1 minute is asked for',
      'passed  hashes: 2 of 2 are what was signed',
      '`v1.2.0` is `v1.2.0-rc1`: 2 files, 95 B; `carport index publish` shows it',
      '',
    ]);
    expect(await latestStable(bucket, policy())).toBe(TO);
    const again = await promote();
    expect(again).toMatchObject({ exitCode: 0, lines: KEYS });
    expect(again.stderr).toBe('`v1.2.0` is `v1.2.0-rc1` already: nothing to do\n');
    const quiet = await promote('--quiet');
    expect(quiet).toMatchObject({ exitCode: 0, lines: KEYS, stderr: '' });
  });

  it('prints JSON', async () => {
    const file = (index: number, state: string) => ({
      ...{ key: KEYS[index], target: TARGETS[index], name: 'garage', size: expect.any(Number), state },
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const about = { version: TO, channel: 'stable', from: FROM };
    const gates = ['not-yanked', 'files', 'hashes'].map((gate) => ({ gate, passed: true, detail: expect.any(String) }));
    const run = async (...more: readonly string[]) => JSON.parse((await promote('--json', ...more)).stdout);
    expect(await run('--dry-run')).toEqual({
      version: 1,
      promotion: { ...about, state: 'planned', files: [file(0, 'planned'), file(1, 'planned')], gates },
    });
    const refusal = await refused(1, 'E_GATE', '--json', '--gate-command', 'exit 9');
    const failed = { gate: 'command', passed: false, detail: '`exit` ended with 9' };
    expect(JSON.parse(refusal.stdout)).toEqual({
      version: 1,
      promotion: { ...about, state: 'refused', files: [], gates: [...gates, failed] },
    });
    expect(JSON.parse(refusal.stderr.trim().split('\n').at(-1)!)).toMatchObject({ code: 'E_GATE', exitCode: 1 });
    expect(await run()).toEqual({
      version: 1,
      promotion: { ...about, state: 'promoted', files: [file(0, 'copied'), file(1, 'copied')], gates },
    });
    expect((await run()).promotion).toMatchObject({ state: 'unchanged', gates: [] });
  });

  it('changes nothing when a gate fails, and names those that do', async () => {
    const future = '9w';
    await put({ time: new Date().toISOString().replace(/\.\d+Z/, 'Z') });
    const { stdout, stderr } = await refused(
      ...([1, 'does not pass 3 gates: `required-targets`, `minimum-age`, `command`'] as const),
      ...['--required-target', 'riscv64-unknown-linux-musl', '--minimum-age', future],
      ...['--gate-command', 'false', '--gate-command', 'true', '--quiet'],
    );
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^FAILED {2}required-targets: 0 of 1 are there; missing/m);
    expect(stderr).toMatch(/^FAILED {2}minimum-age: [0-9]+ seconds? old, 63 days are asked for/m);
    expect(stderr).not.toContain('passed');
    await refused(1, '`ancestor`', '--ancestor-of', 'main');
    await putDocument(
      bucket,
      YANK,
      versionKey(YANKS, FROM),
      { version: FROM, reason: 'bad', time: '2026-11-02T00:00:00Z' },
      [key],
    );
    await refused(1, '`not-yanked`');
    await rm(join(bucket, versionKey(YANKS, FROM)));
    await writeFile(
      join(bucket, fileKey(FROM, TARGETS[1]!, 'garage')),
      'garage v1.2.0-rc1 for X86_64-unknown-linux-musl',
    );
    await refused(1, '1 gate: `hashes`');
    await writeFile(join(bucket, fileKey(FROM, TARGETS[1]!, 'garage')), 'short');
    await refused(1, '2 gates: `files`, `hashes`');
  });

  it('takes gates from carport.toml, and asks git and commands where it is', async () => {
    const project = box().path('work/project');
    await mkdir(project);
    await writeFile(
      join(project, 'carport.toml'),
      [
        'required-targets = ["aarch64-unknown-linux-musl"]',
        'minimum-age = "1h"',
        'gate-commands = ["cat word", "echo second of $CARPORT_RELEASE_AS >&2"]',
        'gate-seconds = 20',
        `to = "${bucket}"`,
      ].join('\n'),
    );
    await writeFile(join(project, 'word'), 'a word of the project\n');
    const options = { cwd: project, env: { CARPORT_SECRET_KEY_FILES: keyFile.file, PATH: process.env.PATH! } };
    const ran = await box().carport(['release', 'promote', FROM, '--to', 'stable', '--json'], options);
    expect(ran.exitCode, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(/a word of the project\n(.*\n)*second of v1\.2\.0\n/);
    const { gates } = JSON.parse(ran.stdout).promotion;
    expect(gates.map(({ gate }: { gate: string }) => gate)).toEqual([
      ...['not-yanked', 'files', 'required-targets', 'minimum-age', 'hashes', 'command', 'command'],
    ]);
    const fragment = JSON.parse(await readFile(join(bucket, `carport/releases/${TO}/${TARGETS[0]}.json`), 'utf8'));
    expect(fragment.promotion.gates).toHaveLength(7);
  });

  it('refuses wrong settings before anything is asked', async () => {
    for (const more of [
      ['--minimum-age', '3 days'],
      ['--minimum-age', ''],
      ['--gate-seconds', '0'],
      ['--gate-seconds', '1.5'],
      ['--gate-seconds', '86401'],
      ['--gate-seconds', 'ten'],
      ['--gate-command', ''],
      ['--gate-command', ' \n '],
      ['--ancestor-of', ''],
      ['--stable-pattern', '('],
      ['--to', 'nightly'],
      ['--as', 'v1.2'],
      ['--as', FROM],
      ['--as', '../v1'],
      Array.from({ length: 91 }, () => ['--gate-command', 'true']).flat(),
    ]) {
      const ran = await refused(2, 'E_USAGE', ...more);
      expect(ran.stderr).not.toMatch(/passed|FAILED/);
    }
    const nowhere = await box().carport(['release', 'promote', FROM, '--to', 'stable']);
    expect(nowhere).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('it is not said which cache') });
  });

  it('needs a key, but for a dry run', async () => {
    const run = (...more: readonly string[]) =>
      box().carport(['release', 'promote', FROM, '--to', 'stable', '--cache', bucket, ...more]);
    const before = await hashesIn(bucket);
    expect(await run()).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('--secret-key FILE') });
    const dry = await run('--dry-run', '--trusted-key', keyFile.publicKey);
    expect(dry).toMatchObject({ exitCode: 0, lines: KEYS });
    expect(dry.stderr).toContain('nothing was changed; `v1.2.0` would be `v1.2.0-rc1`: 2 files');
    expect(await run('--dry-run')).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('no trusted key') });
    expect(await hashesIn(bucket)).toEqual(before);
    expect(await run('--allow-unsigned')).toMatchObject({ exitCode: 0, lines: KEYS });
  });

  it('does not find what is not there, and says how a commit is given', async () => {
    const run = (version: string) =>
      box().carport([
        ...['release', 'promote', version, '--to', 'stable', '--as', 'v2.0.0', '--cache', bucket],
        ...['--secret-key', keyFile.file],
      ]);
    const commit = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';
    expect(await run(commit)).toMatchObject({ exitCode: 5 });
    expect(await run('7fd1a60')).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('all its 40 or 64 digits'),
    });
    await put({ version: commit });
    expect(await run(commit)).toMatchObject({ exitCode: 0 });
  });

  it('refuses what is unsigned, and a web server', async () => {
    await put({ keys: [] });
    await refused(6, 'not all of the release `v1.2.0-rc1` is signed');
    const web = await promote('--cache', 'http://127.0.0.1:9/');
    expect(web).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cannot be listed') });
  });

  it('tells of an unfinished promotion of another release, and gives it up when told to', async () => {
    await putDocument(bucket, PROMOTION, MARK, { version: TO, from: 'v1.2.0-rc0', time: '2026-11-01T00:00:00Z' }, [
      key,
    ]);
    await openFileStore(bucket).put(fileKey(TO, 'old', 'left'), Buffer.from('x'), { contentType: 'x/y' });
    await refused(2, /promote v1\.2\.0-rc0 --to stable --as v1\.2\.0`, or give it up: with `--discard`/);
    expect(await promote('--discard')).toMatchObject({ exitCode: 0, lines: KEYS });
    expect([...(await hashesIn(bucket)).keys()]).not.toContain(fileKey(TO, 'old', 'left'));
    expect((await promote('--discard')).stderr).toContain('nothing to do');
  });

  it('frees the version of one whose source has gone, and says that it has', async () => {
    await putDocument(bucket, PROMOTION, MARK, { version: TO, from: FROM, time: '2026-11-09T00:00:00Z' }, [key]);
    await openFileStore(bucket).put(KEYS[0]!, Buffer.from('x'), { contentType: 'x/y' });
    for (const place of ['_releases', 'carport/releases']) await rm(join(bucket, place, FROM), { recursive: true });
    await refused(5, 'there is no release `v1.2.0-rc1`');
    await refused(5, 'there is no release `v1.2.0-rc1`', '--discard', '--dry-run');
    const discarded = await promote('--discard');
    expect(discarded).toMatchObject({ exitCode: 5, stdout: '' });
    expect(discarded.stderr).toContain('what was made for `v1.2.0` is removed: the name is free\n');
    expect([...(await hashesIn(bucket)).keys()]).toEqual([]);
    await writeFile(box().path('work/garage'), 'by hand');
    const file = ['release', 'put', 'garage', '--tag', TO, '--target', TARGETS[0]!];
    await box().succeed([...file, '--to', bucket, '--secret-key', keyFile.file]);
  });

  it('names its own option where no cache is given', async () => {
    const ran = await box().carport(['release', 'promote', FROM, '--to', 'stable']);
    expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('give `--cache s3://bucket') });
    expect(ran.stderr).not.toContain('--to s3://');
  });

  it('gives commands no way to its secrets', async () => {
    const env = {
      ...{ AWS_SECRET_ACCESS_KEY: 'SEKRET-1', AWS_SESSION_TOKEN: 'SEKRET-2', CARPORT_SECRET_KEY_FILES: keyFile.file },
      ...{ AWS_ACCESS_KEY_ID: 'public', PATH: process.env.PATH! },
    };
    const { exitCode, stderr } = await box().carport(
      ['release', 'promote', FROM, '--to', 'stable', '--cache', bucket, '--gate-command', 'env; exit 0'],
      { env },
    );
    expect(exitCode).toBe(0);
    expect(stderr).toContain('CARPORT_RELEASE_VERSION=v1.2.0-rc1\n');
    expect(stderr).not.toMatch(/SEKRET|release-1\.sec/);
  });

  it('ends a command that takes too long', async () => {
    const start = performance.now();
    const command = `PATH=${process.env.PATH}; sleep 600 & sleep 600`;
    const ran = await refused(1, 'E_GATE', '--gate-command', command, '--gate-seconds', '1');
    expect(ran.stderr).toContain('FAILED  command: command 1 of 1 took longer than 1 s, and was ended\n');
    expect(performance.now() - start).toBeLessThan(60_000);
  });

  it.each([
    ['SIGINT', 1],
    ['SIGTERM', 1],
    ['SIGINT', 2],
  ] as const)('leaves no command behind when %s comes %i times', async (signal, times) => {
    const file = box().path('work/pids');
    const command = `trap "" INT TERM; sleep 1000 & echo $$ $! > ${file}.new; mv ${file}.new ${file}; wait; sleep 1000`;
    const before = await hashesIn(bucket);
    const child = spawn(process.execPath, [CARPORT, ...args('--gate-command', command)], {
      ...{ env: { ...box().env, PATH: process.env.PATH }, cwd: box().path('work'), stdio: 'ignore' },
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const pids = (await vi.waitFor(() => readFile(file, 'utf8'), { timeout: 60_000 })).trim().split(' ').map(Number);
    for (let sent = 0; sent < times; sent++) {
      child.kill(signal);
      await pause(150);
    }
    expect(await ended).toBe(130);
    await expect.poll(() => pids.map(isAlive)).toEqual([false, false]);
    expect(await hashesIn(bucket)).toEqual(before);
  });

  it('is whole after it was killed at any time and run again, and is not seen before', async () => {
    const targets = ['aarch64', 'armv6l', 'i686', 'x86_64'].map((arch) => `${arch}-unknown-linux-musl`);
    await rm(bucket, { recursive: true });
    for (const [index, target] of targets.entries()) {
      const files = { garage: noise(3_000_000, index), tool: noise(500_000, index + 10) };
      await putRelease(bucket, { version: FROM, target, files, keys: [key] });
    }
    const source = await hashesIn(bucket);
    const wanted = [...source].filter(([name]) => name.startsWith('_releases/')).map(([, hash]) => hash);
    const promoted = (files: ReadonlyMap<string, string>) => [...files].filter(([name]) => name.includes(`/${TO}/`));
    await killOften(box(), args, killCount(5), async (wasKilled, at) => {
      const latest = await latestStable(bucket, policy());
      const files = await hashesIn(bucket);
      for (const [name, hash] of source) expect(files.get(name), `${name}, ${at}`).toBe(hash);
      if (latest === undefined) {
        expect(wasKilled, at).toBe(true);
        return files.has(MARK) ? 'a part' : 'nothing';
      }
      const blobs = promoted(files).filter(([name]) => name.startsWith('_releases/'));
      expect(blobs.map(([, hash]) => hash)).toEqual(wanted);
      expect(promoted(files)).toHaveLength(wanted.length + targets.length);
      for (const place of ['_releases', 'carport/releases']) await rm(join(bucket, place, TO), { recursive: true });
      await rm(join(bucket, MARK), { force: true });
      return 'all';
    });
    await box().succeed(args());
    expect(await latestStable(bucket, policy())).toBe(TO);
  });
});
