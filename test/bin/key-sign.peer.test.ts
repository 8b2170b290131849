import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { measuring, readMeasured } from '../support/measure.js';
import { describeWithPeer } from '../support/peers.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const { error: minisignMissing } = spawnSync('minisign', ['-v']);

/** More than carport may need; Node alone needs a third. */
const LARGE = 200 * 1024 * 1024;

const box = useSandbox();
const work = (name: string) => box().path('work', name);
const read = (name: string) => readFile(work(name), 'utf8');
let key: KeyFile;

beforeEach(async () => {
  key = await box().makeKey('cache.example.org-1');
  await writeFile(work('app.tar.gz'), 'an archive');
});

const sign = (...args: readonly string[]) => box().succeed(['key', 'sign', ...args, '--secret-key', key.file]);
const verify = (...args: readonly string[]) =>
  box().carport(['key', 'verify', ...args, '--trusted-key', key.publicKey]);

describe('carport key sign', () => {
  it('writes a signature beside each file, and prints its name', async () => {
    await mkdir(work('sub'));
    await writeFile(work('sub/-'), 'named as stdin is');
    const { stdout, stderr } = await sign('app.tar.gz', 'sub/-');
    expect([stdout, stderr]).toEqual(['app.tar.gz.minisig\nsub/-.minisig\n', '']);
    expect((await verify('app.tar.gz')).exitCode).toBe(0);
    expect((await verify('sub/-')).exitCode).toBe(0);
    expect((await readdir(box().path('work'))).sort()).toEqual(['app.tar.gz', 'app.tar.gz.minisig', 'sub']);
  });

  it('makes the same bytes again with SOURCE_DATE_EPOCH, and replaces its own signature', async () => {
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    const args = ['key', 'sign', 'app.tar.gz', '--secret-key', key.file];
    await box().succeed(args, { env });
    const first = await read('app.tar.gz.minisig');
    expect(first).toContain('\ntrusted comment: timestamp:1700000000\tfile:app.tar.gz\thashed\n');
    await box().succeed(args);
    expect(await read('app.tar.gz.minisig')).not.toBe(first);
    await box().succeed(args, { env });
    expect(await read('app.tar.gz.minisig')).toBe(first);
    const { exitCode, stderr } = await box().carport(args, { env: { SOURCE_DATE_EPOCH: 'yesterday' } });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('`yesterday` (SOURCE_DATE_EPOCH)')]);
  });

  it('writes signatures to another directory, and says with JSON what it has made', async () => {
    await mkdir(work('out'));
    const made = JSON.parse((await sign('app.tar.gz', '--out', 'out', '--json')).stdout);
    expect(made).toEqual({
      ...{ version: 1, keyName: 'cache.example.org-1', keyId: expect.stringMatching(/^[0-9A-F]{16}$/) },
      ...{ timestamp: expect.any(Number), signatures: [{ file: 'app.tar.gz', signature: 'out/app.tar.gz.minisig' }] },
    });
    expect(Math.abs(made.timestamp - Date.now() / 1000)).toBeLessThan(300);
    expect((await verify('app.tar.gz')).exitCode).toBe(5);
    expect((await verify('app.tar.gz', '--signature', 'out/app.tar.gz.minisig')).exitCode).toBe(0);
  });

  it('writes over nothing but its own signatures, and then signs none of the files', async () => {
    const other = await box().makeKey('other-1');
    await writeFile(work('b'), 'b');
    await box().succeed(['key', 'sign', 'b', '--secret-key', other.file]);
    const foreign: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['another key has made it', async () => undefined],
      ['is not a signature of minisign', () => writeFile(work('b.minisig'), 'precious')],
      [
        'it is not a file',
        () => rename(work('b.minisig'), work('c')).then(() => symlink('nowhere', work('b.minisig'))),
      ],
    ];
    for (const [reason, put] of foreign) {
      await put();
      const before = await readFile(work('b.minisig'), 'utf8').catch(() => undefined);
      const { exitCode, stdout, stderr } = await box().carport([
        ...['key', 'sign', 'app.tar.gz', 'b', '--secret-key', key.file],
      ]);
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toContain('`b.minisig` is there already, and is not a signature by `cache.example.org-1`');
      expect(stderr).toContain(reason);
      expect(await readFile(work('b.minisig'), 'utf8').catch(() => undefined)).toBe(before);
      expect(await readdir(box().path('work'))).not.toContain('app.tar.gz.minisig');
    }
  });

  it('refuses what it cannot sign, and says why', async () => {
    await mkdir(work('directory'));
    await mkdir(work('x'));
    await writeFile(work('x/app.tar.gz'), '');
    await writeFile(work('tab\tname'), '');
    const other = await box().makeKey('other-1');
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [['nowhere', '--secret-key', key.file], 5, '`nowhere` does not exist'],
      [['directory', '--secret-key', key.file], 2, '`directory` is a directory'],
      [['tab\tname', '--secret-key', key.file], 2, 'its name would not stand on one line'],
      [['app.tar.gz', 'x/app.tar.gz', '--out', '.', '--secret-key', key.file], 2, 'the signature of two files'],
      [['app.tar.gz', '--out', 'no/where', '--secret-key', key.file], 5, '`no/where` is not a directory'],
      [['app.tar.gz'], 2, 'no key is given'],
      [['app.tar.gz', '--secret-key', key.file, '--secret-key', other.file], 2, 'more than one key'],
    ];
    for (const [args, code, reason] of cases) {
      const { exitCode, stdout, stderr } = await box().carport(['key', 'sign', ...args]);
      expect([exitCode, stdout], args.join(' ')).toEqual([code, '']);
      expect(stderr).toContain(reason);
      expect(stderr).toContain('hint: ');
    }
    expect((await readdir(box().path('work'))).filter((name) => /minisig|^\.carport/.test(name))).toEqual([]);
  });

  it('reads a large file in pieces', async () => {
    await writeFile(work('large'), '');
    await truncate(work('large'), LARGE);
    const args = ['key', 'sign', 'large', '--secret-key', key.file];
    await box().succeed(args, { env: measuring(box().path('measured')) });
    expect((await readMeasured(box().path('measured'))).maxRss).toBeLessThan(LARGE);
    expect((await verify('large')).exitCode).toBe(0);
  });
});

describe('carport key verify', () => {
  beforeEach(() => sign('app.tar.gz'));

  it('prints the trusted comment, and JSON', async () => {
    const { stdout, stderr } = await verify('app.tar.gz');
    expect(stdout).toMatch(/^timestamp:[0-9]+ {2}file:app\.tar\.gz {2}hashed\n$/);
    expect(stderr).toBe('`app.tar.gz` is as `cache.example.org-1` has signed it\n');
    expect(JSON.parse((await verify('app.tar.gz', '--json', '-q')).stdout)).toEqual({
      ...{ version: 1, file: 'app.tar.gz', signature: 'app.tar.gz.minisig', keyName: 'cache.example.org-1' },
      ...{ keyId: expect.any(String), trustedComment: expect.stringMatching(/^timestamp:[0-9]+\tfile:app\.tar\.gz\t/) },
    });
  });

  it('takes trusted keys from the settings, but not beside a key of minisign that is named', async () => {
    const env = { CARPORT_TRUSTED_KEYS: key.publicKey };
    expect((await box().succeed(['key', 'verify', 'app.tar.gz'], { env })).exitCode).toBe(0);
    const other = await box().makeKey('other-1');
    const [, line] = (await box().succeed(['key', 'public', other.file, '--minisign'])).lines;
    const args = ['key', 'verify', 'app.tar.gz', '--minisign-key', line!];
    expect((await box().carport(args, { env })).exitCode).toBe(6);
    expect((await box().carport([...args, '--trusted-key', key.publicKey])).exitCode).toBe(0);
    expect((await box().carport(['key', 'verify', 'app.tar.gz'])).exitCode).toBe(2);
    expect((await box().carport(['key', 'verify', 'app.tar.gz', '--minisign-key', 'x'])).exitCode).toBe(2);
  });

  it('refuses a file that was changed, a signature that was changed, and another key, with the reason', async () => {
    const right = await read('app.tar.gz.minisig');
    const refused = async (reason: string, ...args: readonly string[]) => {
      const { exitCode, stdout, stderr } = await verify('app.tar.gz', ...args);
      expect([exitCode, stdout]).toEqual([6, '']);
      expect(stderr).toContain(reason);
    };
    await writeFile(work('app.tar.gz'), 'An archive');
    await refused('it is not of `app.tar.gz` as it is now');
    await writeFile(work('app.tar.gz'), 'an archive');
    await writeFile(work('app.tar.gz.minisig'), right.replace('timestamp:1', 'timestamp:2'));
    await refused('its trusted comment was changed');
    await writeFile(work('app.tar.gz.minisig'), right.slice(0, 100));
    await refused('is not a signature of minisign');
    await writeFile(work('app.tar.gz.minisig'), right);
    const other = await box().makeKey('other-1');
    const { exitCode, stderr } = await box().carport(['key', 'verify', 'app.tar.gz', '--trusted-key', other.publicKey]);
    expect([exitCode, stderr]).toEqual([6, expect.stringContaining('is not signed by a trusted key')]);
    expect((await verify('app.tar.gz')).exitCode).toBe(0);
  });

  it('refuses a right signature of a file with another name, unless that is said', async () => {
    await writeFile(work('app-2.tar.gz'), 'an archive');
    await copyFile(work('app.tar.gz.minisig'), work('app-2.tar.gz.minisig'));
    const { exitCode, stdout, stderr } = await verify('app-2.tar.gz');
    expect([exitCode, stdout]).toEqual([6, '']);
    expect(stderr).toContain('is of a file with another name');
    expect(stderr).toContain('it is of `app.tar.gz`');
    expect((await verify('app-2.tar.gz', '--any-name')).exitCode).toBe(0);
  });
});

describeWithPeer(minisignMissing && `minisign is missing (${minisignMissing.message})`, 'carport and minisign', () => {
  const minisign = (...args: readonly string[]) => execa('minisign', args, { cwd: box().path('work'), reject: false });

  it('minisign takes what carport signs, and refuses it after one byte is changed anywhere', async () => {
    const { stdout } = await box().succeed(['key', 'public', key.file, '--minisign']);
    expect(stdout).toMatch(/^untrusted comment: minisign public key [0-9A-F]{16}\nRW[A-Za-z0-9+/]{54}\n$/);
    await writeFile(work('minisign.pub'), stdout);
    const shown = JSON.parse((await box().succeed(['key', 'public', key.file, '--minisign', '--json'])).stdout);
    expect(stdout).toBe(`untrusted comment: minisign public key ${shown.keyId}\n${shown.publicKey}\n`);
    await sign('app.tar.gz');
    const accepted = await minisign('-VHm', 'app.tar.gz', '-p', 'minisign.pub');
    expect(accepted).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('file:app.tar.gz\thashed') });
    expect((await minisign('-VHm', 'app.tar.gz', '-P', shown.publicKey)).exitCode).toBe(0);

    const signature = await read('app.tar.gz.minisig');
    const [, second, third, fourth] = signature.split('\n') as [string, string, string, string];
    const change = (line: string, at: number) =>
      signature.replace(line, line.slice(0, at) + (line[at] === 'A' ? 'B' : 'A') + line.slice(at + 1));
    const changed: readonly (readonly [string, string])[] = [
      ['app.tar.gz', 'an brchive'],
      ['app.tar.gz.minisig', change(second, 4)],
      ['app.tar.gz.minisig', change(second, 40)],
      ['app.tar.gz.minisig', change(third, 'trusted comment: timestamp:'.length)],
      ['app.tar.gz.minisig', change(fourth, 20)],
    ];
    for (const [file, content] of changed) {
      const right = await read(file);
      await writeFile(work(file), content);
      expect((await minisign('-VHm', 'app.tar.gz', '-p', 'minisign.pub')).exitCode, content).not.toBe(0);
      expect((await verify('app.tar.gz')).exitCode, content).toBe(6);
      await writeFile(work(file), right);
    }
    expect((await minisign('-VHm', 'app.tar.gz', '-p', 'minisign.pub')).exitCode).toBe(0);
  });

  it('carport takes what minisign signs with a key of its own, and nothing else', async () => {
    await minisign('-G', '-W', '-p', 'minisign.pub', '-s', 'minisign.key');
    const text = await read('minisign.pub');
    await writeFile(work('übel é.bin'), Buffer.alloc(100_000, 'x'));
    expect((await minisign('-Sm', 'übel é.bin', '-s', 'minisign.key')).exitCode).toBe(0);
    for (const given of [text, text.split('\n')[1]!]) {
      const { stdout } = await box().succeed(['key', 'verify', 'übel é.bin', '--minisign-key', given]);
      expect(stdout).toContain('file:übel é.bin');
    }
    expect((await verify('übel é.bin')).exitCode).toBe(6);
    await writeFile(work('übel é.bin'), Buffer.alloc(100_000, 'y'));
    expect((await box().carport(['key', 'verify', 'übel é.bin', '--minisign-key', text])).exitCode).toBe(6);
  });

  it('carport asks for a name where the comment of minisign has none', async () => {
    await minisign('-G', '-W', '-p', 'minisign.pub', '-s', 'minisign.key');
    await minisign('-Sm', 'app.tar.gz', '-s', 'minisign.key', '-t', 'signed with care');
    const args = ['key', 'verify', 'app.tar.gz', '--minisign-key', await read('minisign.pub')];
    const { exitCode, stderr } = await box().carport(args);
    expect([exitCode, stderr]).toEqual([6, expect.stringContaining('its trusted comment has no name of a file')]);
    expect((await box().succeed([...args, '--any-name'])).stdout).toBe('signed with care\n');
  });
});
