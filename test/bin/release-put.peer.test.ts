import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, chmod, mkdir, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CASES } from '../release/ci/environments.js';
import { killCount, killOften } from '../support/kill.js';
import { measuring, readMeasured } from '../support/measure.js';
import { nginxMissing, startNginx } from '../support/nginx.js';
import { describeWithPeer } from '../support/peers.js';
import { type Ran, type RunOptions, useSandbox } from '../support/sandbox.js';

const nginxIsMissing = await nginxMissing();

const TARGET = 'x86_64-unknown-linux-musl';
/** Bytes, of files that take a while. */
const LARGE = 16_000_000;

/** A tag and a commit of each system; how the rest are read is tested with `ci env`. */
const ONE_OF_EACH = CASES.filter(
  ({ system, channel }, index) =>
    CASES.findIndex((other) => other.system === system && other.channel === channel) === index,
);

const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';

describe('carport release put', () => {
  const box = useSandbox();
  let keyFile = '';
  beforeEach(async () => {
    keyFile = (await box().makeKey('release')).file;
    await makeFile('result/bin/garage', 'garage');
  });
  const makeFile = async (path: string, content: string) => {
    await mkdir(join(box().path('work', path), '..'), { recursive: true });
    await writeFile(box().path('work', path), content);
  };
  const base = () => ({ CARPORT_TO: box().path('bucket'), CARPORT_SECRET_KEY_FILES: keyFile });
  const put = (args: readonly string[], env: Readonly<Record<string, string>> = {}, options: RunOptions = {}) =>
    box().carport(['release', 'put', ...args], { ...options, env: { ...base(), ...env } });
  const tagged = { DRONE_TAG: 'v1.2.3', TARGET };
  const done = (ran: Ran) => {
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const bucket = async () => {
    const names = await readdir(box().path('bucket'), { recursive: true, withFileTypes: true }).catch(() => []);
    const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return files.map((path) => path.slice(box().path('bucket/').length)).sort();
  };
  const keyOf = (name: string, version = 'v1.2.3', target = TARGET) => `_releases/${version}/${target}/${name}`;
  const fragment = async (version = 'v1.2.3', target = TARGET) =>
    JSON.parse(await readFile(box().path(`bucket/carport/releases/${version}/${target}.json`), 'utf8'));

  it('publishes what a person builds by hand', async () => {
    const env = { DRONE_TAG: 'handcrafted-1.0.0', TARGET };
    const ran = done(await put(['result/bin/garage'], env));
    expect(ran.stdout).toBe(`${keyOf('garage', 'handcrafted-1.0.0')}\n`);
    expect(ran.stderr).toBe(`uploaded: ${keyOf('garage', 'handcrafted-1.0.0')}\n`);
    expect(await bucket()).toEqual([
      ...[keyOf('garage', 'handcrafted-1.0.0'), `carport/releases/handcrafted-1.0.0/${TARGET}.json`],
    ]);
    const again = done(await put(['result/bin/garage'], env));
    expect(again.stderr).toBe(`unchanged: ${keyOf('garage', 'handcrafted-1.0.0')}\n`);
    expect(again.stdout).toBe(ran.stdout);
    expect(done(await put(['result/bin/garage', '-q'], env)).stderr).toBe('');
  });

  it('prints JSON', async () => {
    await makeFile('result/bin/a', 'a');
    const args = ['result/bin/garage', 'result/bin/a', '--target', TARGET, '--tag', 'v1.2.3', '--commit', COMMIT];
    const file = (name: string, state = 'uploaded') => ({
      ...{ name, key: keyOf(name), size: name.length, sha256: sha256(name), state },
    });
    const release = { version: 'v1.2.3', channel: 'stable', target: TARGET, commit: COMMIT };
    const dry = done(await put([...args, '--json', '--dry-run']));
    expect(JSON.parse(dry.stdout)).toEqual({
      ...{ version: 1, dryRun: true, release: { ...release, files: [file('a'), file('garage')] } },
    });
    expect(await bucket()).toEqual([]);
    const ran = done(await put([...args, '--json', '-q']));
    expect(JSON.parse(ran.stdout)).toEqual({
      ...{ version: 1, dryRun: false, release: { ...release, files: [file('a'), file('garage')] } },
    });
    expect(ran.stderr).toBe('');
    const again = done(await put([...args, '--json']));
    expect(JSON.parse(again.stdout).release.files[0].state).toBe('unchanged');
  });

  it('needs no key for a dry run, and one for all else', async () => {
    const env = { ...tagged, CARPORT_SECRET_KEY_FILES: '' };
    expect(await put(['result/bin/garage'], env)).toMatchObject({
      ...{ exitCode: 4, stdout: '', stderr: expect.stringContaining('--secret-key FILE') },
    });
    expect(done(await put(['result/bin/garage', '--dry-run'], env)).stderr).toBe(`would upload: ${keyOf('garage')}\n`);
    expect(await bucket()).toEqual([]);
    done(await put(['result/bin/garage', '--allow-unsigned'], env));
    expect((await fragment()).signatures).toEqual([]);
  });

  it.each(ONE_OF_EACH.map((each) => [each.name, each] as const))(
    'publishes under the version of %s',
    async (_, each) => {
      const env = Object.fromEntries(Object.entries(each.env).map(([name, value]) => [name, value!]));
      const { stdout } = done(await put(['result/bin/garage', '--json'], { ...env, TARGET }));
      expect(JSON.parse(stdout).release).toMatchObject({ version: each.version, channel: each.channel });
      expect(await fragment(each.version)).toMatchObject({
        ...{ version: each.version, commit: each.commit },
        ci: { system: each.system, event: each.event, runUrl: each.runUrl },
      });
    },
  );

  it.each([
    ['no version', {}, [], 5, 'neither a tag nor a commit'],
    ['a ref for a tag', { CI: 'woodpecker', CI_COMMIT_TAG: 'refs/heads/main' }, [], 2, 'refs/heads/main'],
    ['a tag with a slash', { DRONE_TAG: 'feature/x' }, [], 2, 'has a `/`'],
    ['a commit that is cut short', {}, ['--commit', COMMIT.slice(0, 8)], 2, 'no whole commit'],
    ['an empty TARGET', { DRONE_TAG: 'v1.2.3', TARGET: '' }, [], 2, 'the target (TARGET) is empty'],
    ['an empty target', { DRONE_TAG: 'v1.2.3' }, ['--target', ''], 2, 'the target (--target) is empty'],
    ['a target with a slash', { DRONE_TAG: 'v1.2.3' }, ['--target', 'a/b'], 2, 'cannot be the name of a target'],
    ['a target that leads elsewhere', { DRONE_TAG: 'v1.2.3', TARGET: '..' }, [], 2, 'cannot be the name of a target'],
    ['a content type with a line break', { DRONE_TAG: 'v1' }, ['--content-type', 'a\r\nb: c'], 2, '--content-type'],
    ['an empty cache control', { DRONE_TAG: 'v1' }, ['--cache-control', ''], 2, '--cache-control'],
    ['a cache control that is not ASCII', { DRONE_TAG: 'v1' }, ['--cache-control', 'ü'], 2, '--cache-control'],
    ['a name with a slash', { DRONE_TAG: 'v1' }, ['--name', '../garage'], 2, 'cannot be the name of a published file'],
    ['the name of a checksum', { DRONE_TAG: 'v1' }, ['--name', 'garage.sha256'], 2, 'is a file about a file'],
  ])('refuses %s', async (_, env, args, exitCode, reason) => {
    const ran = await put(['result/bin/garage', ...args], { TARGET, ...env });
    expect(ran).toMatchObject({ exitCode, stdout: '' });
    expect(ran.stderr).toContain(reason);
    expect(ran.stderr).toContain('\nhint: ');
    expect(await bucket()).toEqual([]);
  });

  it('asks for a target', async () => {
    const ran = await put(['result/bin/garage'], { DRONE_TAG: 'v1.2.3' });
    expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/which target\n\n.*--target x86_64/) });
  });

  describe('takes files', () => {
    const names = async (...args: readonly string[]) => {
      const { lines } = done(await put([...args, '--dry-run'], tagged));
      return lines.map((line) => line.slice(keyOf('').length));
    };

    it('by patterns, through links, in order', async () => {
      await makeFile('store/bin/b', 'b');
      await makeFile('store/bin/a', 'a');
      await makeFile('store/share/deep/c', 'c');
      await makeFile('elsewhere/d', 'd');
      await symlink('store', box().path('work/out'));
      await symlink('../../elsewhere', box().path('work/store/share/linked'));
      await symlink('../elsewhere/d', box().path('work/store/d-link'));
      expect(await names('out/bin/*')).toEqual(['a', 'b']);
      expect(await names('out/**')).toEqual(['a', 'b', 'c', 'd', 'd-link']);
      expect(await names('out/bin/{a,b}', 'out/bin/a', './out/bin/?')).toEqual(['a', 'b']);
      expect(await names(box().path('work/out/bin/[ab]'))).toEqual(['a', 'b']);
    });

    it('of names with the characters of patterns as they are', async () => {
      await makeFile('dist/tool,v=1', 'x');
      await makeFile('dist[1]/tool', 'x');
      expect(await names('dist[1]/tool')).toEqual(['tool']);
      await makeFile('dist/a*b', 'x');
      const odd = await put(['dist/a*b'], tagged);
      expect(odd).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('`a*b` cannot be the name') });
      expect(await names('dist/a*b', '--name', 'ab')).toEqual(['ab']);
    });

    it('once, and both names of a file that has two', async () => {
      await makeFile('dist/busybox', 'x');
      await symlink('busybox', box().path('work/dist/sh'));
      await symlink('.', box().path('work/dist/self'));
      expect(await names('dist/*', 'dist/busybox')).toEqual(['busybox', 'sh']);
      expect(await names('dist/**')).toEqual(['busybox', 'sh']);
    });

    it.each([
      ['a file that is not there', ['result/bin/none'], 5, 'there is no file `result/bin/none`'],
      ['a file below a file', ['result/bin/garage/x'], 5, 'there is no file'],
      ['a pattern that means nothing', ['result/*.tar.gz'], 5, 'there is no file `result/*.tar.gz`'],
      ['a directory', ['result/bin'], 2, '`result/bin/*`'],
      ['a directory, with a slash', ['result/bin/'], 2, '`result/bin/*`'],
      ['two files of one name', ['result/bin/garage', 'other/garage'], 2, 'under one name'],
      ['one name for two files', ['result/bin/garage', 'other/x', '--name', 'y'], 2, '`--name` is for one file'],
      ['an empty file', ['result/bin/garage', 'empty/file'], 2, '`empty/file` is empty'],
      ['a signature', ['other/*'], 2, '`other/x.minisig` is a file about a file'],
      ['a pipe', ['pipe'], 2, '`pipe` is no plain file'],
      ['a device', ['/dev/zero'], 2, '`/dev/zero` is no plain file'],
      ['a link to nothing', ['dangling'], 5, '`dangling` is a link to `/nix/store/gone`, which is not there'],
      ['a pattern with a link to nothing', ['dangl*'], 5, '`dangling` is a link'],
      ['a hidden file', ['other/.hidden'], 2, 'cannot be the name of a published file'],
    ])('but not %s', async (_, args, exitCode, reason) => {
      await Promise.all(
        ['other/garage', 'other/x', 'other/x.minisig', 'other/.hidden'].map((path) => makeFile(path, 'other')),
      );
      await makeFile('empty/file', '');
      spawnSync('mkfifo', [box().path('work/pipe')]);
      await symlink('/nix/store/gone', box().path('work/dangling'));
      const ran = await put(args, tagged);
      expect(ran).toMatchObject({ exitCode, stdout: '' });
      expect(ran.stderr).toContain(reason);
      expect(ran.stderr).toContain('\nhint: ');
      expect((await bucket()).filter((key) => !key.startsWith('carport/tmp/'))).toEqual([]);
    });

    it('and does not go round in circles', async () => {
      await makeFile('dist/x', 'x');
      for (const name of ['a', 'b']) await symlink('.', box().path('work/dist', name));
      const ran = await put(['dist/**'], tagged);
      expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('more than 10000 files') });
    });
  });

  it('refuses other bytes and names both, and replaces them when that is said', async () => {
    done(await put(['result/bin/garage'], tagged));
    await makeFile('result/bin/garage', 'changed');
    const refused = await put(['result/bin/garage'], tagged);
    expect(refused).toMatchObject({ exitCode: 6, stdout: '' });
    for (const text of [keyOf('garage'), sha256('garage'), sha256('changed'), '--replace']) {
      expect(refused.stderr).toContain(text);
    }
    done(await put(['result/bin/garage', '--replace'], tagged));
    expect(await readFile(box().path('bucket', keyOf('garage')), 'utf8')).toBe('changed');
  });

  it('takes what is there only of those who are trusted', async () => {
    const other = await box().makeKey('other');
    done(await put(['result/bin/garage'], tagged));
    await makeFile('result/bin/second', 'second');
    const refused = await put(['result/bin/second'], { ...tagged, CARPORT_SECRET_KEY_FILES: other.file });
    expect(refused).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('no trusted key has signed it') });
    const { stdout } = await box().succeed(['key', 'public', keyFile]);
    const trusting = { ...tagged, CARPORT_SECRET_KEY_FILES: other.file, CARPORT_TRUSTED_KEYS: stdout.trim() };
    done(await put(['result/bin/second'], trusting));
    const { files, signatures } = await fragment();
    expect(files.map(({ name }: { name: string }) => name)).toEqual(['garage', 'second']);
    expect(signatures.map((each: string) => each.split(':')[0])).toEqual(['other']);
  });

  it('shows how far it is, beside the one thing that it prints', async () => {
    const shown = done(await put(['result/bin/garage'], { ...tagged, CARPORT_PROGRESS: 'tty' }));
    expect(shown.stdout).toBe(`${keyOf('garage')}\n`);
    expect(shown.stderr).toMatch(/^\r\x1b\[Kread 0\/1 files, 6 B\b.*\r\x1b\[Kuploaded: /s);
  });

  it('says warnings of the build', async () => {
    const { stderr } = done(await put(['result/bin/garage'], { ...tagged, DRONE_TAG: COMMIT }));
    expect(stderr).toContain('warning: the tag');
  });

  it('does not print what drives terminals', async () => {
    await makeFile('dist/\u001b[31mred', 'x');
    const ran = await put(['dist/*'], tagged);
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).not.toContain('\u001b');
  });

  it('says which file or key it may not read', async () => {
    if (process.getuid?.() === 0) {
      // Root may read all: what is no key and no file is not read either.
      await writeFile(box().path('empty.sec'), '', { mode: 0o600 });
      const ran = await put(['result/bin/garage'], { ...tagged, CARPORT_SECRET_KEY_FILES: box().path('empty.sec') });
      expect(ran).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('empty.sec') });
      return;
    }
    await chmod(box().path('work/result/bin/garage'), 0);
    expect(await put(['result/bin/garage'], tagged)).toMatchObject({
      ...{ exitCode: 1, stderr: expect.stringMatching(/result\/bin\/garage`: permission denied/) },
    });
    await chmod(keyFile, 0);
    expect(await put(['result/bin/garage'], tagged)).toMatchObject({
      ...{ exitCode: 4, stderr: expect.stringContaining('release.sec') },
    });
  });

  it('publishes a large file in little memory', async () => {
    const size = 200 * 1024 * 1024;
    await makeFile('large', 'begin');
    await truncate(box().path('work/large'), size - 3);
    await appendFile(box().path('work/large'), 'end');
    const measured = box().path('measured.json');
    const { stdout } = done(await put(['large', '--json'], { ...tagged, ...measuring(measured) }));
    const [file] = JSON.parse(stdout).release.files;
    const expected = spawnSync('sha256sum', [box().path('work/large')], { encoding: 'utf8' }).stdout.slice(0, 64);
    expect(file).toMatchObject({ size, sha256: expected });
    expect((await stat(box().path('bucket', file.key))).size).toBe(size);
    expect((await readMeasured(measured)).maxRss).toBeLessThan(150 * 1024 * 1024);
  });

  it('does what is left when it was killed', async () => {
    for (let index = 0; index < 3; index++) await makeFile(`dist/file-${index}`, `${index}`.repeat(LARGE));
    let round = 0;
    const version = () => `v1.0.${round}`;
    const args = (tag: string) => [
      ...['release', 'put', 'dist/*', '--tag', tag, '--target', TARGET],
      ...['--to', box().path('bucket'), '--secret-key', keyFile],
    ];
    await killOften(
      box(),
      () => args(version()),
      killCount(4),
      async (_, at) => {
        const all = await bucket();
        const keys = all.filter((key) => key.includes(`${version()}/`));
        const hasFragment = keys.some((key) => key.startsWith('carport/releases/'));
        // Whoever is told of files finds them, and finds them whole.
        if (hasFragment) expect(keys.length, at).toBe(4);
        for (const key of keys.filter((each) => each.startsWith('_releases/'))) {
          expect((await stat(box().path('bucket', key))).size, at).toBe(LARGE);
        }
        done(await box().carport(args(version())));
        expect((await fragment(version())).files.length).toBe(3);
        expect((await bucket()).filter((key) => key.startsWith('carport/tmp/'))).toEqual([]);
        round++;
        if (hasFragment) return 'all';
        return keys.length > 0 || all.some((key) => key.startsWith('carport/tmp/')) ? 'a part' : 'nothing';
      },
    );
  });

  describe('on a full disk', () => {
    let mounted = false;
    beforeEach(async () => {
      await mkdir(box().path('small'));
      mounted = canMount(box().path('small'));
    });
    afterEach(() => {
      if (mounted) spawnSync('umount', [box().path('small')]);
    });

    it('says so, and leaves nothing', async ({ skip }) => {
      if (!mounted) return skip('nothing can be mounted here');
      await makeFile('large', 'x'.repeat(5_000_000));
      const ran = await put(['result/bin/garage', 'large'], { ...tagged, CARPORT_TO: box().path('small/bucket') });
      expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
      expect(ran.stderr).toContain('error[E_IO]: there is no room for a copy of `large`: the disk is full');
      expect(ran.stderr).toContain(`hint: free some space in \`${box().path('small/bucket/carport/tmp')}\``);
      expect(await readdir(box().path('small/bucket/carport/tmp'))).toEqual([]);
      expect(await readdir(box().path('small/bucket'))).toEqual(['carport']);
    });
  });

  it('tells a server that is not there', async () => {
    const ran = await put(['result/bin/garage', '--retry-seconds', '0'], {
      ...tagged,
      CARPORT_TO: 'http://127.0.0.1:9',
    });
    expect(ran).toMatchObject({ exitCode: 75, stdout: '', stderr: expect.stringContaining('error[E_UNAVAILABLE]') });
  });

  describeWithPeer(nginxIsMissing, 'to a web server', () => {
    it('publishes where the server takes PUT', async () => {
      const nginx = await startNginx({ root: box().path('served'), directory: box().path('nginx') });
      const env = { ...tagged, CARPORT_TO: `${nginx.url}/releases` };
      try {
        done(await put(['result/bin/garage'], env));
        expect(done(await put(['result/bin/garage'], env)).stderr).toContain('unchanged');
        expect(await readFile(box().path('served/releases', keyOf('garage')), 'utf8')).toBe('garage');
        await makeFile('result/bin/garage', 'changed');
        expect(await put(['result/bin/garage'], env)).toMatchObject({ exitCode: 6 });
        // It has no listing, and removes nothing.
        const pruning = box().path('served/releases/carport/prunings');
        await mkdir(pruning, { recursive: true });
        await writeFile(join(pruning, 'v1.2.3.json'), '{}');
        const refused = await put(['result/bin/garage', '--replace'], env);
        expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('E_UNSUPPORTED') });
      } finally {
        await nginx.stop();
      }
    });
  });
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Whether this machine lets us have a file system that is soon full. */
function canMount(directory: string): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'carport-test', directory]).status === 0;
}
