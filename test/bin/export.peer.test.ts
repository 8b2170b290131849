import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { runCommandLine } from '#bin/program.js';
import { encodeNix32 } from '#lib/nix/base32.js';
import { EXPORT_END, EXPORT_NEXT, encodeExportedInfo } from '#lib/nix/export.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import { nodePath } from '../support/arbitraries.js';
import { fakeContext } from '../support/context.js';
import { measuring, readMeasured } from '../support/measure.js';
import { FILE_TOKENS, narOf } from '../support/nar.js';
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
    const { stdout, stderr } = await run('--out', 'closure', '--json', '-q');
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

  it('to a file that cannot be made says so first, with the name that was typed', async () => {
    // A path that is not there: it is not looked for.
    const context = fakeContext({ HOME: box().root, PATH: '' });
    const out = box().path('nowhere/closure');
    expect(await runCommandLine(['export', nodePath('none'), '--out', out], context)).toBe(2);
    expect(context.stderr.text()).toContain(`error[E_USAGE]: \`--out ${out}\`: there is no such directory`);
    expect(context.stderr.text()).toContain(`mkdir -p ${box().path('nowhere')}`);
    // As somebody who may not do all.
    await mkdir(box().path('closed'), { mode: 0o555 });
    await chmod(box().root, 0o711);
    const inside = box().path('closed/closure');
    const ordinary = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const child = spawnSync(process.execPath, [CARPORT, 'export', nodePath('none'), '--out', inside], {
      ...{ env: box().env, encoding: 'utf8' as const, cwd: '/' },
      ...ordinary,
    });
    expect([child.status, child.stderr]).toEqual([1, expect.stringContaining(`\`--out ${inside}\`: its directory`)]);
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

  it('that a signal stops leaves no file', async () => {
    const large = await createLargeStore(
      box().root,
      Array.from({ length: 30 }, (_, index) => 1_000_000 + index),
    );
    const args = ['export', large.top, '--store', large.root, '--out', box().path('work/closure')];
    const stopBy = async (signal: NodeJS.Signals) => {
      const child = spawn(process.execPath, [CARPORT, ...args], { env: box().env, stdio: 'ignore' });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      // As soon as its temporary file is there.
      while ((await readdir(box().path('work'))).length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      child.kill(signal);
      return ended;
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      let exitCode = await stopBy(signal);
      // On a busy machine it may have been done before.
      for (; exitCode === 0; exitCode = await stopBy(signal)) await rm(box().path('work/closure'));
      expect(exitCode, signal).toBe(130);
      expect(await readdir(box().path('work')), signal).toEqual([]);
    }
  });
});

describe('an import', () => {
  const box = useSandbox();
  let key: KeyFile;
  let secret: SecretKey;
  const NAR = narOf(...FILE_TOKENS);

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
    }
    const renamed = { ...signed(infoOf('signed')), path: pathOf('renamed') };
    const ran = await importing(streamOf(part(renamed)), '--allow-unsigned');
    expectRefused(ran, 'E_SIGNATURE', /the signature of `.*` by `test-1` is wrong\n.*what the export says/);
    expect(ran.stderr).toContain('hint: the export is damaged or was tampered with');
    await expectNothingLeft();
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

  it('says that its input is empty, a directory, or no export', async () => {
    const refused = async (input: Uint8Array, ...args: readonly string[]) => {
      const context = fakeContext({ HOME: box().root, PATH: '' });
      const stdin = Readable.from(input.length > 0 ? [input] : []);
      const exitCode = await runCommandLine(['import', '--allow-unsigned', ...args], { ...context, stdin });
      return [exitCode, context.stderr.text()];
    };
    const hint = 'hint: give what `carport export` or `nix-store --export` wrote';
    for (const [input, message] of [
      [Buffer.alloc(0), 'export: is empty'],
      [Buffer.from('this is some text\n'), 'this is not a `nix-store --export` file'],
      [NAR, 'this is not a `nix-store --export` file'],
    ] as const) {
      const [exitCode, text] = await refused(input);
      expect([exitCode, text]).toEqual([6, expect.stringContaining(`error[E_FORMAT]: ${message}\n\n${hint}`)]);
    }
    const directory = box().path('work');
    expect(await refused(NAR, directory)).toEqual([2, expect.stringContaining(`\`${directory}\` is a directory`)]);
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

  it('that fails in the middle prints what it has taken, and makes no link', async () => {
    await makeKey();
    const [first, second] = [signed(infoOf('first')), signed(infoOf('second'))];
    const stream = streamOf(part(first), part(second), part(infoOf('unsigned')), part(signed(infoOf('last'))));
    const ran = await importing(stream, '--out-link', 'result');
    expect([ran.exitCode, ran.lines]).toEqual([6, [first.path, second.path]]);
    expect(ran.stderr).toMatch(/^error\[E_SIGNATURE\]: /);
    expect(await readdir(box().path('work'))).toEqual([]);
    await expectNothingLeft(first.path, second.path);
    const json = await importing(stream, '--json');
    expect([json.exitCode, JSON.parse(json.stdout)]).toEqual([
      6,
      { version: 1, storePaths: [first.path, second.path] },
    ]);
    // What takes more than a second tells before how far it is.
    expect(JSON.parse(json.stderr.trimEnd().split('\n').at(-1)!)).toMatchObject({ type: 'error', code: 'E_SIGNATURE' });
    const none = await importing(streamOf(part(infoOf('unsigned'))), '--json');
    expect([none.exitCode, none.stdout]).toEqual([6, '']);
  });

  it('reads pipes with a name, of writers that come late, and that were gone before', async () => {
    await makeKey();
    const info = signed(infoOf('piped'));
    await writeFile(box().path('export'), streamOf(part(info)));
    const carport = [process.execPath, CARPORT, 'import', '--trusted-key', key.publicKey];
    for (const script of [
      'mkfifo pipe; (sleep 0.7; cat ../export > pipe) & "$@" pipe',
      // What bash gives for `<(…)`, here of a writer that has ended.
      '{ sleep 0.2; "$@" /dev/fd/3; } 3< <(cat ../export)',
    ]) {
      const { stdout, stderr, status } = spawnSync('bash', ['-c', script, 'bash', ...carport], {
        ...{ env: { ...box().env, PATH: process.env.PATH }, cwd: box().path('work'), encoding: 'utf8' as const },
        timeout: 90_000,
      });
      expect([status, stdout], `${script}: ${stderr}`).toEqual([0, `${info.path}\n`]);
      await expectNothingLeft(info.path);
      await removeAll(box().path('data'));
    }
  });

  it('stops at an interrupt, also while it waits for bytes, and leaves nothing', async () => {
    const pipe = box().path('pipe');
    execFileSync('mkfifo', [pipe]);
    for (const [file, bytes, signals] of [
      ['-', Buffer.alloc(0), ['SIGINT']],
      ['-', streamOf(part(infoOf('a'))).subarray(0, 100), ['SIGINT']],
      // Nobody ever writes there.
      [pipe, Buffer.alloc(0), ['SIGTERM']],
      [pipe, Buffer.alloc(0), ['SIGINT', 'SIGINT']],
    ] as const) {
      const child = spawn(process.execPath, [CARPORT, 'import', '--allow-unsigned', file], {
        env: box().env,
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      const ended = once(child, 'close');
      child.stdin.on('error', () => undefined);
      child.stdin.write(bytes);
      const active = box().path('data/carport/nix/store');
      const begun = async () => (await readdir(active).catch(() => undefined)) !== undefined;
      while (!(await begun())) await new Promise((resolve) => setTimeout(resolve, 5));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const start = performance.now();
      for (const signal of signals) {
        child.kill(signal);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      // The second may come when nobody listens any more: shells call that 130, too.
      const ends =
        signals.length === 1
          ? [[130, null]]
          : [
              [130, null],
              [null, 'SIGINT'],
            ];
      expect(ends, `${file} ${signals}`).toContainEqual(await ended);
      // What goes on is left behind after eight seconds.
      expect(performance.now() - start).toBeLessThan(7500);
      // The second ends it wherever it is.
      if (signals.length === 1) await expectNothingLeft();
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
  });
});
