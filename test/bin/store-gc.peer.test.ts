import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { pinFileName, writePulledPin } from '#lib/store/own/pulled-pins.js';
import { fileOf } from '../support/files.js';
import { nameBy } from '../support/leftovers.js';
import { infoOf, writeClaim } from '../support/own-store.js';
import { writeFiles } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const root = () => box().path('data/carport');
const add = async (name: string, content: string, ...more: readonly string[]) => {
  await writeFiles(box().path('trees', name), { content });
  return (await box().succeed(['store', 'add', box().path('trees', name), ...more])).stdout.trim();
};
const listed = async () => (await box().succeed(['store', 'ls'])).lines;
const pin = (reference: string, ...storePaths: readonly string[]) =>
  writePulledPin(openOwnStore(root()), { reference, storePaths, from: '/cache', updatedAt: '2026-11-01T12:00:00Z' });

describe('carport store gc', () => {
  it('prints what it removes, and keeps what out-links and pins need', async () => {
    const base = await add('base', 'x');
    const linked = await add('linked', base, '--out-link', 'result');
    const pinned = await add('pinned', 'p');
    const garbage = [await add('one', base), await add('two', 'y')].sort();
    await pin('toolchain', pinned);
    expect(await readlink(box().path('work/result'))).toBe(root() + linked);

    const dry = await box().succeed(['store', 'gc', '--dry-run']);
    expect(dry.lines).toEqual(garbage);
    expect(dry.stderr).toMatch(/^2 paths, \d+ B to free\n$/);
    expect(await listed()).toHaveLength(5);

    const ran = await box().succeed(['store', 'gc']);
    expect(ran.lines).toEqual(garbage);
    expect(ran.stderr).toMatch(/^2 paths, \d+ B freed\n$/);
    expect(await listed()).toEqual([base, linked, pinned].sort());
    expect((await readdir(`${root()}/nix/store`)).sort()).toEqual(
      [base, linked, pinned].map((path) => path.slice(11)).sort(),
    );

    await rm(box().path('work/result'));
    await box().succeed(['store', 'forget', 'toolchain']);
    const json = await box().succeed(['store', 'gc', '--json', '-q']);
    expect(json.stderr).toBe('');
    expect(JSON.parse(json.stdout)).toEqual({
      version: 1,
      dryRun: false,
      storePaths: [base, linked, pinned].sort(),
      narSize: expect.any(Number),
      kept: 0,
      unregistered: [],
      leftAlone: [],
      incompleteRoots: [],
    });
    expect(await readdir(`${root()}/nix/store`)).toEqual([]);
    expect(await readdir(`${root()}/nix/var/carport/roots`)).toEqual([]);
    expect((await box().succeed(['store', 'gc'])).stderr).toBe('0 paths, 0 B freed\n');
  });

  it('tells what killed runs left, and of roots that are not there', async () => {
    await add('base', 'x', '--out-link', 'result');
    const [stray, foreign] = [infoOf('stray', fileOf('x')), infoOf('foreign', fileOf('x'))];
    const gone = `/nix/store/${'1'.repeat(32)}-gone`;
    await writeClaim(openOwnStore(root()), stray);
    for (const { path } of [stray, foreign]) await writeFile(root() + path, 'x');
    await pin('toolchain', gone);
    const dry = await box().succeed(['store', 'gc', '--dry-run', '-q']);
    const warning = `warning: the pin \`toolchain\` needs \`${gone}\`, which is not valid here\n`;
    expect(dry.stderr).toBe(warning);
    expect(await readdir(`${root()}/nix/store`)).toContain(stray.path.slice(11));
    const { stdout, stderr } = await box().succeed(['store', 'gc']);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      `${warning}0 paths, 0 B freed
1 entry of the store dir removed: not registered
1 entry of the store dir left alone: nothing says that carport put them there (\`${foreign.path.slice(11)}\`)
`,
    );
    expect(await readdir(`${root()}/nix/store`)).toHaveLength(2);
  });

  it('stops at an out-link that cannot be read, and removes nothing', async () => {
    const paths = [await add('one', 'x', '--out-link', 'sub/result'), await add('two', 'y')];
    await rm(box().path('work/sub'), { recursive: true });
    await symlink('sub', box().path('work/sub'));
    const { exitCode, stdout, stderr } = await box().carport(['store', 'gc']);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`the out-link \`${box().path('work/sub/result')}\` cannot be read`);
    expect(stderr).toContain('hint: make it readable; only if you know that it is not used any more, remove it');
    expect(await listed()).toEqual([...paths].sort());
  });

  it('leaves the files to Nix where that has its state, and says so', async () => {
    const path = await add('one', 'x');
    await mkdir(`${root()}/nix/var/nix`);
    const { lines, stderr } = await box().succeed(['store', 'gc']);
    expect(lines).toEqual([path]);
    expect(stderr).toContain('1 path forgotten; the files stay');
    expect(stderr).toContain('nix-collect-garbage');
    expect(await readdir(`${root()}/nix/store`)).toEqual([path.slice(11)]);
    expect(await listed()).toEqual([]);
  });

  it('of a store that is not there does nothing, and does not make one', async () => {
    const { stdout, stderr } = await box().succeed(['store', 'gc', '--store', box().path('typing-error')]);
    expect([stdout, stderr]).toEqual(['', '0 paths, 0 B freed\n']);
    expect(await readdir(box().root)).not.toContain('typing-error');
  });

  it('waits for a process that adds, and a dry run says that there is one', async () => {
    const path = await add('one', 'x');
    const sleeper = spawn('sleep', ['60']);
    const { activeDir } = openOwnStore(root()).layout;
    const marker = join(activeDir, await nameBy({ pid: sleeper.pid! }));
    await writeFile(`${marker}.write`, '');
    const dry = await box().succeed(['store', 'gc', '--dry-run']);
    expect(dry.lines).toEqual([path]);
    expect(dry.stderr).toContain('warning: somebody adds paths just now');
    const collecting = execa(process.execPath, [CARPORT, 'store', 'gc'], {
      ...{ cwd: box().path('work'), env: box().env, extendEnv: false, stripFinalNewline: false },
    });
    let told = '';
    collecting.stderr.on('data', (bytes) => {
      told += bytes;
    });
    await expect.poll(() => told).toContain('waiting');
    sleeper.kill();
    await once(sleeper, 'exit');
    expect((await collecting).stderr).toMatch(
      new RegExp(`^waiting: process ${sleeper.pid} adds to the store at \`.*\`\n1 path, \\d+ B freed\n$`),
    );
  });
});

describe('carport store ls --roots', () => {
  it('prints what keeps paths, and the paths', async () => {
    const one = await add('one', 'x', '--out-link', 'result');
    const two = await add('two', 'y');
    await pin('toolchain@previous', one, two);
    const { lines } = await box().succeed(['store', 'ls', '--roots']);
    expect(lines).toEqual([
      `link    ${box().path('work/result')} -> ${one}`,
      `pin     toolchain@previous -> ${one}`,
      `pin     toolchain@previous -> ${two}`,
    ]);
    expect(JSON.parse((await box().succeed(['store', 'ls', '--roots', '--json'])).stdout)).toEqual({
      version: 1,
      roots: [
        { kind: 'link', name: box().path('work/result'), storePaths: [one] },
        { kind: 'pin', name: 'toolchain@previous', storePaths: [one, two] },
      ],
    });
  });

  it('prints nothing when nothing is kept', async () => {
    await add('one', 'x');
    expect((await box().succeed(['store', 'ls', '--roots'])).stdout).toBe('');
  });
});

describe('carport store forget', () => {
  it('forgets pins, and exits with 5 for those that it does not know', async () => {
    const path = await add('one', 'x');
    await pin('toolchain', path);
    await pin('sysroot', path);
    const { exitCode, lines, stderr } = await box().carport(['store', 'forget', 'toolchain', 'unknown', '../x']);
    expect([exitCode, lines]).toEqual([5, ['toolchain']]);
    expect(stderr).toContain(`no pin was pulled into the store at \`${root()}\` as \`unknown\`, \`../x\``);
    expect((await box().succeed(['store', 'ls', '--roots'])).lines).toEqual([`pin     sysroot -> ${path}`]);
    const { stdout } = await box().succeed(['store', 'forget', 'sysroot', '--json']);
    expect(JSON.parse(stdout)).toEqual({ version: 1, forgotten: ['sysroot'], unknown: [] });
  });

  it('forgets a pin whose record is damaged', async () => {
    await pin('toolchain', await add('one', 'x'));
    const record = pinFileName({ reference: 'toolchain', from: '/cache' });
    await writeFile(`${root()}/nix/var/carport/pins/${record}`, 'garbage');
    const { exitCode, stderr } = await box().carport(['store', 'gc']);
    expect(exitCode).toBe(6);
    expect(stderr).toContain('carport store forget toolchain');
    await box().succeed(['store', 'forget', 'toolchain']);
    expect((await box().succeed(['store', 'gc'])).lines).toHaveLength(1);
  });
});

describe('carport store add --out-link', () => {
  it('replaces an out-link, and refuses anything else before it adds', async () => {
    await add('one', 'x', '--out-link', 'result');
    const two = await add('two', 'y', '--out-link', 'result');
    expect(await readlink(box().path('work/result'))).toBe(root() + two);
    await writeFile(box().path('work/file'), 'x');
    await writeFiles(box().path('trees/three'), { content: 'z' });
    const { exitCode } = await box().carport(['store', 'add', box().path('trees/three'), '--out-link', 'file']);
    expect(exitCode).toBe(2);
    expect(await listed()).toHaveLength(2);
  });
});

describe('carport store verify --repair', () => {
  it('gives up what is damaged and what refers to it, and adding it again mends it', async () => {
    const base = await add('base', 'x');
    const user = await add('user', base);
    const other = await add('other', 'y');
    await chmod(`${root()}${base}/content`, 0o644);
    await writeFile(`${root()}${base}/content`, 'damaged');
    const plain = await box().carport(['store', 'verify']);
    expect(plain.exitCode).toBe(6);
    expect(plain.stderr).toContain('hint: `carport store verify --repair` gives the paths up');
    expect(await listed()).toHaveLength(3);
    const { exitCode, stdout, stderr } = await box().carport(['store', 'verify', '--repair', '--json']);
    expect(exitCode).toBe(6);
    expect(JSON.parse(stdout)).toMatchObject({ problems: [{ path: base }], gaveUp: [base, user].sort() });
    expect(stderr).toContain('2 paths given up, with what refers to them: pull or add them again');
    expect(await listed()).toEqual([other]);
    expect([await add('base', 'x'), await add('user', base)]).toEqual([base, user]);
    expect((await box().succeed(['store', 'verify', '--repair'])).stderr).toBe('3 paths checked, all whole\n');
  });
});
