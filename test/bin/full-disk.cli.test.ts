import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { resumableEnding } from '#lib/filesystem/temporary.js';
import { endingOf } from '#lib/store/own/begun/left-trees.js';
import { preload, serve } from '../support/cache-commands.js';
import { deadPid, nameBy } from '../support/leftovers.js';
import { createAdder, noise } from '../support/samples.js';
import { type Ran, useSandbox } from '../support/sandbox.js';
import { faultsOf, narInfosOf } from '../support/transfers.js';

/** Whether this machine lets us have a file system that is soon full. */
function canMount(directory: string, size = 'size=3m'): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  return spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'carport-test', directory]).status === 0;
}

describe('a full disk', () => {
  const box = useSandbox('all');
  let mounted = false;
  const paths: string[] = [];
  beforeAll(async () => {
    const add = createAdder(box().path('store'), box().path('trees'));
    for (const size of [1_500_000, 2_000_000, 1_000]) {
      paths.push((await add(`part-${size}`, { noise: noise(size, size), references: paths.join(' ') })).path);
    }
    await add.close();
    await box().succeed(['push', ...paths, '--store', box().path('store'), '--to', box().path('cache')]);
    await mkdir(box().path('small'));
    mounted = canMount(box().path('small'));
  });
  afterAll(() => {
    if (mounted) spawnSync('umount', [box().path('small')]);
  });
  const expectFull = ({ exitCode, lines, stderr }: Ran, printed: readonly string[] = []) => {
    expect([exitCode, lines]).toEqual([1, printed]);
    // Which one, and no name of a file that was on its way.
    expect(stderr).toMatch(/error\[E_IO\]: `[^`]*\/small[^`]*`: the disk is full/);
    expect(stderr).not.toMatch(/error\[.*\.carport-/);
    // Also of what keeps nothing.
    expect(stderr).toContain('hint: free some space and run it again: what was finished before is kept');
  };
  afterEach(() => {
    clear();
  });
  const clear = () => spawnSync('sh', ['-c', 'rm -rf -- "$1"/*', 'sh', box().path('small')]);

  it.each(['none', 'zstd'])('stops a push (%s), and what is visible is complete', async (compression) => {
    if (!mounted) return;
    const cache = box().path('small/cache');
    const args = ['push', ...paths, '--store', box().path('store'), '--to', cache, '--compression', compression];
    expectFull(await box().carport(args));
    expect((await narInfosOf(cache)).size).toBeLessThan(paths.length);
    expect(await faultsOf(cache)).toEqual([]);
    expect(await readdir(`${cache}/carport/tmp`)).toEqual([]);
    clear();
  });

  it('stops a pull, and what is registered is whole', async () => {
    if (!mounted) return;
    const store = box().path('small/store');
    expectFull(
      await box().carport(['pull', ...paths, '--from', box().path('cache'), '--allow-unsigned', '--store', store]),
    );
    const { lines } = await box().succeed(['store', 'ls', '--store', store]);
    expect(lines.length).toBeLessThan(paths.length);
    await box().succeed(['store', 'verify', '--store', store]);
    // A whole tree may be left whose metadata had no room: the next pull takes it.
    const left = await readdir(`${store}/nix/store`);
    expect(left.filter((name) => name.startsWith('.carport-'))).toEqual([]);
    clear();
  });

  it('stops a pull of a large path, which several threads write', async () => {
    if (!mounted) return;
    const add = createAdder(box().path('store'), box().path('trees'));
    const { path } = await add('large-1', { noise: noise(14_000_000, 8) });
    await add.close();
    const cache = box().path('large-1-cache');
    await box().succeed(['push', path, '--store', box().path('store'), '--to', cache]);
    const store = box().path('small/store');
    expectFull(await box().carport(['pull', path, '--from', cache, '--allow-unsigned', '--store', store]));
  });

  it.each(['none', 'zstd'])(
    'has room for a path from a server that fits, with what is left of it and without: %s',
    async (compression) => {
      const disk = box().path(`disk-${compression}`);
      await mkdir(disk);
      if (!canMount(disk, 'size=24m')) return;
      onTestFinished(() => void spawnSync('umount', [disk]));
      const add = createAdder(box().path('store'), box().path('trees'));
      const { path } = await add('large', { noise: noise(14_000_000, 9) });
      await add.close();
      const cache = box().path(`large-${compression}`);
      await box().succeed(['push', path, '--store', box().path('store'), '--to', cache, '--compression', compression]);
      const url = await serve((request, response) => {
        readFile(`${cache}${request.url!}`).then(
          (bytes) => response.end(bytes),
          () => response.writeHead(404).end(),
        );
      });
      const said = await preload(
        box(),
        'room',
        `import fs from 'node:fs/promises'; import { syncBuiltinESMExports } from 'node:module';
       fs.statfs = async () => ({ bavail: 2 ** 40, bsize: 4096, blocks: 2 ** 40 }); syncBuiltinESMExports();`,
      );
      const [narInfo] = await narInfosOf(cache).then((all) => [...all.values()]);
      const left = `${await nameBy({ pid: deadPid() })}${endingOf(narInfo!)}`;
      const other = `${await nameBy({ pid: deadPid() })}${resumableEnding('another')}`;
      const store = `${disk}/store`;
      // A disk that says it has room, as a quota lets it; and trees that others have left, or a part of this one.
      for (const env of [{}, said]) {
        for (const name of [undefined, left, other]) {
          await mkdir(`${store}/nix/store`, { recursive: true });
          if (name) await writeFile(`${store}/nix/store/${name}`, noise(12_000_000, 8), 'latin1');
          await box().succeed(['pull', path, '--from', url, '--allow-unsigned', '--store', store], { env });
          expect(await readdir(`${store}/nix/var/carport/partial`).catch(() => [])).toEqual([]);
          expect((await readdir(`${store}/nix/store`)).filter((entry) => entry.startsWith('.'))).toEqual([]);
          await box().succeed(['store', 'verify', '--store', store]);
          await box().succeed(['store', 'delete', path, '--yes', '--store', store]);
        }
      }
    },
  );

  it('stops an export to a file, and an import, and leaves nothing', async () => {
    if (!mounted) return;
    const args = ['export', ...paths, '--store', box().path('store'), '--out'];
    expectFull(await box().carport([...args, box().path('small/closure')]));
    expect(await readdir(box().path('small'))).toEqual([]);
    await box().succeed([...args, box().path('closure')]);
    const store = box().path('small/store');
    const imported = await box().carport(['import', box().path('closure'), '--allow-unsigned', '--store', store]);
    expectFull(imported, paths.slice(0, 1));
    const { lines } = await box().succeed(['store', 'ls', '--store', store]);
    expect(lines).toEqual(imported.lines);
    await box().succeed(['store', 'verify', '--store', store]);
    expect((await readdir(`${store}/nix/store`)).filter((name) => name.startsWith('.carport-'))).toEqual([]);
    clear();
  });

  it('stops adding to a store, and unpacking, and leaves nothing', async () => {
    if (!mounted) return;
    const store = box().path('small/store');
    await mkdir(box().path('trees/both'));
    const add = createAdder(box().path('other'), box().path('trees'));
    await add('both', { noise: noise(4_000_000, 1) });
    await add.close();
    expectFull(await box().carport(['store', 'add', box().path('trees/both'), '--store', store]));
    expect(await readdir(`${store}/nix/store`)).toEqual([]);
    clear();
    const nar = (await box().succeed(['nar', 'pack', box().path('trees/both')])).bytes;
    expectFull(await box().carport(['nar', 'unpack', '-', box().path('small/out')], { input: nar }));
    expect(await readdir(box().path('small'))).toEqual([]);
  });
});
