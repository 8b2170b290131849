import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '#bin/program.js';
import { encodeNix32 } from '#lib/nix/base32.js';
import { EXPORT_END, EXPORT_NEXT, encodeExportedInfo } from '#lib/nix/export.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/narinfo.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import { nodePath } from '../support/arbitraries.js';
import { fakeContext } from '../support/context.js';
import { measuring, readMeasured } from '../support/measure.js';
import { FILE_TOKENS, narOf, narString } from '../support/nar.js';
import { createAdder, createLargeStore, createSampleStore, noise, type SampleStore } from '../support/samples.js';
import { CARPORT, type KeyFile, type Ran, removeAll, useSandbox } from '../support/sandbox.js';

describe('an export', () => {
  const shared = useSandbox('all');
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  beforeAll(async () => {
    samples = await createSampleStore(shared().root);
    key = await shared().makeKey('test-1');
  });
  const run = (...more: readonly string[]) =>
    box().carport(['export', samples.top.path, '--store', samples.root, ...more]);
  const exported = async (...more: readonly string[]) => (await run(...more)).bytes;
  const importInto = (input: Uint8Array, ...more: readonly string[]) => box().carport(['import', ...more], { input });

  it('that is signed is imported by who trusts the key, and is whole there', async () => {
    const { exitCode, bytes, stderr } = await run('--secret-key', key.file);
    expect([exitCode, stderr]).toEqual([0, expect.stringMatching(/^exported 3 paths \(.*\)\n$/)]);
    const ran = await importInto(bytes, '--trusted-key', key.publicKey, '--out-link', 'result');
    expect([ran.exitCode, ran.lines]).toEqual([0, samples.paths]);
    expect(ran.stderr).toMatch(/^imported 3 paths \(.*\)\n$/);
    expect((await box().succeed(['store', 'verify'])).stderr).toBe('3 paths checked, all whole\n');
    expect(await readlink(box().path('work/result'))).toBe(box().path('data/carport') + samples.top.path);
    expect(await readdir(box().path('work'))).toEqual(['result']);
    const { paths } = JSON.parse((await box().succeed(['store', 'info', 'result', '--json'])).stdout);
    expect(paths[0].signatures).toEqual([expect.stringMatching(/^test-1:/)]);
    expect(paths[0].references).toEqual([samples.middle.path]);
  });

  it('of what was imported has its signatures, and the same bytes', async () => {
    const bytes = await exported('--secret-key', key.file);
    await box().succeed(['import', '--trusted-key', key.publicKey], { input: bytes });
    const again = await box().succeed(['export', samples.top.path]);
    expect(Buffer.from(again.bytes).equals(bytes)).toBe(true);
  });

  it('is imported again where it is already', async () => {
    const bytes = await exported('--secret-key', key.file);
    for (const _ of [1, 2]) {
      const ran = await importInto(bytes, '--trusted-key', key.publicKey);
      expect([ran.exitCode, ran.lines]).toEqual([0, samples.paths]);
    }
    expect((await readdir(box().path('data/carport/nix/store'))).length).toBe(3);
  });

  it('goes to a file, which is there whole or not at all, and prints what is in it', async () => {
    const { exitCode, lines } = await run('--out', 'closure', '--secret-key', key.file);
    expect([exitCode, lines]).toEqual([0, samples.paths]);
    const bytes = await readFile(box().path('work/closure'));
    expect(bytes.equals(await exported('--secret-key', key.file))).toBe(true);
    const { stdout, stderr } = await run('--out', 'closure', '--json');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      ...{ version: 1, file: box().path('work/closure'), storePaths: samples.paths },
      size: (await readFile(box().path('work/closure'))).length,
    });
    expect(await readdir(box().path('work'))).toEqual(['closure']);
    const imported = await box().succeed(['import', 'closure', '--allow-unsigned', '--json']);
    expect(JSON.parse(imported.stdout)).toEqual({ version: 1, storePaths: samples.paths });
  });

  it('of single paths needs what they refer to where it is imported', async () => {
    const top = await exported('--closure', 'none');
    const refused = await importInto(top, '--allow-unsigned');
    expect([refused.exitCode, refused.stdout]).toEqual([6, '']);
    expect(refused.stderr).toContain(`\`${samples.top.path}\` refers to \`${samples.middle.path}\`, which is not here`);
    expect((await box().succeed(['store', 'ls'])).lines).toEqual([]);
    expect(await readdir(box().path('data/carport/nix/store'))).toEqual([]);
    const below = await box().succeed(['export', samples.middle.path, '--store', samples.root]);
    for (const input of [below.bytes, top]) await box().succeed(['import', '--allow-unsigned'], { input });
    expect((await box().succeed(['store', 'ls'])).lines).toEqual([...samples.paths].sort());
  });

  it('of a path that is damaged fails, and leaves no file', async () => {
    const store = box().path('store');
    const add = createAdder(store, box().path('trees'));
    const { path } = await add('fine', { file: 'text' });
    await add.close();
    await chmod(`${store}${path}/file`, 0o644);
    await writeFile(`${store}${path}/file`, 'tExt');
    for (const more of [[], ['--out', 'closure']]) {
      const { exitCode, stderr, lines } = await box().carport(['export', path, '--store', store, ...more]);
      expect(exitCode).toBe(6);
      expect(stderr).toContain(`error[E_INTEGRITY]: \`${path}\` is damaged in the store`);
      if (more.length > 0) expect(lines).toEqual([]);
    }
    expect(await readdir(box().path('work'))).toEqual([]);
  });

  it('of what is not there says so', async () => {
    const { exitCode, stderr } = await box().carport(['export', nodePath('none'), '--store', samples.root]);
    expect(exitCode).toBe(5);
    expect(stderr).toContain('is not valid in');
  });

  it('does not go to a terminal, beside JSON, or in the place of what is no file', async () => {
    const context = fakeContext({ HOME: box().root, PATH: '' }, { columns: 80 });
    expect(await runCommandLine(['export', samples.top.path, '--store', samples.root], context)).toBe(2);
    expect(context.stderr.text()).toContain('an export is not for terminals');
    expect(context.stdout.text()).toBe('');
    expect(await run('--json')).toMatchObject({ exitCode: 2, stdout: '' });
    await mkdir(box().path('work/directory'));
    await symlink('/dev/null', box().path('work/link'));
    for (const place of ['directory', 'link']) {
      const { exitCode, stderr } = await run('--out', place);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining('is there already and is no file')]);
    }
  });

  it('to a reader that goes away ends without a complaint', async () => {
    const large = await createLargeStore(box().root, [3_000_000, 1000]);
    const child = spawn(process.execPath, [CARPORT, 'export', large.top, '--store', large.root, '-q'], {
      env: box().env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
    expect(stderr).toBe('');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('that %s stops leaves no file', async (signal) => {
    const large = await createLargeStore(
      box().root,
      Array.from({ length: 40 }, (_, index) => 1_000_000 + index),
    );
    const args = ['export', large.top, '--store', large.root, '--out', box().path('work/closure')];
    const child = spawn(process.execPath, [CARPORT, ...args], { env: box().env, stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    // As soon as its temporary file is there.
    while ((await readdir(box().path('work'))).length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    child.kill(signal);
    expect(await ended).toBe(130);
    expect(await readdir(box().path('work'))).toEqual([]);
  });
});

describe('an import', () => {
  const box = useSandbox();
  let key: KeyFile;
  let secret: SecretKey;
  const NAR = narOf(...FILE_TOKENS);
  const OTHER_NAR = narOf('(', 'type', 'regular', 'contents', 'y', ')');

  /** Each name has a hash part of its own. */
  const pathOf = (name: string) => `/nix/store/${encodeNix32(hashBytes('md5', name).digest).padEnd(32, '0')}-${name}`;
  const infoOf = (name: string, more: Partial<PathInfo> = {}): PathInfo => ({
    ...{ path: pathOf(name), narHash: hashBytes('sha256', NAR), narSize: NAR.length },
    ...{ references: [], signatures: [], ...more },
  });
  const signed = (info: PathInfo): PathInfo => ({ ...info, signatures: [signPath(info, secret)] });
  const part = (info: PathInfo, nar: Uint8Array = NAR) => [EXPORT_NEXT, nar, encodeExportedInfo(info)];
  const streamOf = (...parts: readonly (readonly Uint8Array[])[]) => Buffer.concat([...parts.flat(), EXPORT_END]);
  const importing = (input: Uint8Array, ...more: readonly string[]) =>
    box().carport(['import', '--trusted-key', key.publicKey, ...more], { input });
  const expectNothingLeft = async (...paths: readonly string[]) => {
    expect((await box().succeed(['store', 'ls'])).lines).toEqual(paths.toSorted());
    const names = await readdir(box().path('data/carport/nix/store'));
    expect(names.sort()).toEqual(paths.map((path) => path.slice(11)).sort());
    expect(await readdir(box().path('data/carport/nix/var/carport/active'))).toEqual([]);
    expect((await box().succeed(['store', 'verify'])).stderr).toContain('all whole');
  };
  const expectRefused = ({ exitCode, stdout, stderr }: Ran, code: string, message: RegExp) => {
    expect([exitCode, stdout], stderr).toEqual([6, '']);
    expect(stderr).toMatch(new RegExp(`^error\\[${code}\\]: `));
    expect(stderr).toMatch(message);
  };
  const makeKey = async () => {
    key = await box().makeKey('test-1');
    secret = parseSecretKey((await readFile(key.file, 'utf8')).trim());
  };

  it('takes what a trusted key has signed, and nothing of it that was changed', async () => {
    await makeKey();
    const base = signed(infoOf('base'));
    const user = signed(infoOf('user', { references: [base.path, pathOf('user')] }));
    const whole = streamOf(part(base), part(user));
    const forged: Readonly<Record<string, Uint8Array>> = {
      'other content': streamOf(part(base, OTHER_NAR), part(user)),
      'another name': streamOf(part({ ...base, path: pathOf('other') })),
      'one reference less': streamOf(part(base), part({ ...user, references: [base.path] })),
      'one reference more': streamOf(part(base), part({ ...base, path: user.path, references: [base.path] })),
      'the signature of another path': streamOf(part({ ...base, signatures: user.signatures })),
    };
    for (const [title, stream] of Object.entries(forged)) {
      for (const more of [[], ['--allow-unsigned']]) {
        const ran = await importing(stream, ...more);
        expectRefused(ran, 'E_SIGNATURE', /the signature of `.*` by `test-1` is wrong\n.*what the export says/);
        expect(ran.stderr, title).toContain('hint: the export is damaged or was tampered with');
      }
    }
    await removeAll(box().path('data'));
    expect((await importing(whole)).lines).toEqual([base.path, user.path]);
    await expectNothingLeft(base.path, user.path);
  });

  it('takes what nobody trusted has signed only when told so', async () => {
    await makeKey();
    const foreign = infoOf('foreign', { signatures: ['somebody-1:AAAA'] });
    for (const [info, cause] of [
      [infoOf('plain'), 'it has no signature'],
      [foreign, 'it is signed by `somebody-1`'],
    ] as const) {
      const ran = await importing(streamOf(part(info)));
      expectRefused(ran, 'E_SIGNATURE', /is not signed by a trusted key/);
      expect(ran.stderr).toContain(cause);
      await expectNothingLeft();
    }
    const { lines } = await importing(streamOf(part(foreign)), '--allow-unsigned');
    expect(lines).toEqual([foreign.path]);
    await expectNothingLeft(foreign.path);
  });

  it('gives no exemption to content-addressed paths', async () => {
    await makeKey();
    const add = createAdder(box().path('store'), box().path('trees'));
    const { path, ca } = await add('addressed', { file: 'text' });
    await add.close();
    expect(ca).toMatch(/^fixed:/);
    const { bytes } = await box().succeed(['export', path, '--store', box().path('store')]);
    expectRefused(await importing(bytes), 'E_SIGNATURE', /is not signed by a trusted key/);
  });

  it('keeps what came before something bad, and nothing of that', async () => {
    await makeKey();
    const base = signed(infoOf('base'));
    const stream = streamOf(part(base), part(signed(infoOf('user', { references: [base.path] }))));
    const cut = stream.length - 300;
    for (const [bad, code, message] of [
      [streamOf(part(base), part(base)), 'E_FORMAT', /the export has `.*-base` twice/],
      [streamOf(part(base), part(signed(infoOf('user', { references: [pathOf('none')] })))), 'E_INTEGRITY', /-none`/],
      [stream.subarray(0, cut), 'E_FORMAT', /is truncated/],
      [Buffer.concat([streamOf(part(base)), Buffer.of(0)]), 'E_FORMAT', /bytes after its end/],
      [
        streamOf(part(base), part(infoOf('evil'), narOf(...'( type directory entry ( name ..'.split(' ')))),
        'E_FORMAT',
        /name/,
      ],
      [streamOf(part(base), [EXPORT_NEXT, NAR, narString('no magic')]), 'E_FORMAT', /something else where/],
    ] as const) {
      expectRefused(await importing(bad), code, message);
      await expectNothingLeft(base.path);
    }
  });

  it('is not confused by a path of which the store has other content', async () => {
    await makeKey();
    const first = signed(infoOf('twice'));
    await importing(streamOf(part(first)));
    const second = signed(infoOf('twice', { narHash: hashBytes('sha256', OTHER_NAR), narSize: OTHER_NAR.length }));
    expect((await importing(streamOf(part(second, OTHER_NAR)))).exitCode).toBe(0);
    await expectNothingLeft(first.path);
    expect(await readFile(box().path('data/carport') + first.path, 'utf8')).toBe('x');
  });

  it('refuses a path that would take the place of another under its hash part', async () => {
    await makeKey();
    const first = infoOf('first');
    const second = { ...infoOf('second'), path: first.path.replace('-first', '-second') };
    await importing(streamOf(part(first)), '--allow-unsigned');
    expectRefused(await importing(streamOf(part(second)), '--allow-unsigned'), 'E_INTEGRITY', /has the hash part of/);
    await expectNothingLeft(first.path);
  });

  it('says where the system’s Nix takes an export, and that a file is missing', async () => {
    const nix = await box().carport(['import', '--store', 'nix']);
    expect([nix.exitCode, nix.stderr]).toEqual([2, expect.stringContaining('nix-store --import')]);
    const missing = await box().carport(['import', 'no-file', '--allow-unsigned']);
    expect([missing.exitCode, missing.stderr]).toEqual([5, expect.stringContaining('no-file')]);
    await writeFile(box().path('work/taken'), 'mine');
    const link = await box().carport(['import', 'no-file', '--out-link', 'taken']);
    expect([link.exitCode, link.stderr]).toEqual([2, expect.stringContaining('is no out-link')]);
  });

  it('stops at an interrupt, also while it waits for bytes, and leaves nothing', async () => {
    for (const bytes of [Buffer.alloc(0), streamOf(part(infoOf('a'))).subarray(0, 100)]) {
      const child = spawn(process.execPath, [CARPORT, 'import', '--allow-unsigned'], {
        env: box().env,
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      child.stdin.write(bytes);
      const active = box().path('data/carport/nix/store');
      const begun = async () => (await readdir(active).catch(() => undefined)) !== undefined;
      while (!(await begun())) await new Promise((resolve) => setTimeout(resolve, 5));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const start = performance.now();
      child.kill('SIGINT');
      expect(await ended).toBe(130);
      expect(performance.now() - start).toBeLessThan(5000);
      await expectNothingLeft();
      await removeAll(box().path('data'));
    }
  });
});

describe('a path of 200 MB', () => {
  const box = useSandbox('all');

  it('is never held in memory, neither by an export nor by an import', async () => {
    const add = createAdder(box().path('store'), box().path('trees'));
    const { path } = await add('large', {
      noise: Buffer.concat(Array.from({ length: 25 }, (_, seed) => noise(8e6, seed))),
    });
    await add.close();
    const measured = box().path('measured.json');
    for (const args of [
      ['export', path, '--store', box().path('store'), '--out', 'closure'],
      ['import', 'closure', '--allow-unsigned'],
    ]) {
      await box().succeed(args, { env: measuring(measured) });
      const { maxRss } = await readMeasured(measured);
      console.log(`${args[0]}: ${Math.round(maxRss / 1e6)} MB`);
      expect(maxRss).toBeLessThan(250e6);
    }
    await box().succeed(['store', 'verify']);
  });
});
