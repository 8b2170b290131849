import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readlink, rm } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPublicKey } from '#lib/signing/key.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { killCount, killOften } from '../support/kill.js';
import { createAdder, noise, sampleKey } from '../support/samples.js';
import { CARPORT, removeAll, useSandbox } from '../support/sandbox.js';
import { createTransfers } from '../support/transfers.js';

const KEY = sampleKey('test-1');
const NAMES = ['one', 'two'] as const;

/** Several processes at one store: two closures that overlap, garbage collections, kills. */
describe('a store that several processes use', () => {
  const box = useSandbox('all');
  const closures = new Map<string, { readonly root: string; readonly paths: readonly string[] }>();

  beforeAll(async () => {
    const source = box().path('source');
    const add = createAdder(source, box().path('trees'));
    const parts: string[] = [];
    for (let index = 0; index < 18; index++) {
      const references = parts.filter((_, at) => at % 5 === index % 5).slice(-2);
      const size = index % 6 === 0 ? 600_000 : 2000 * index;
      parts.push((await add(`part-${index}`, { data: noise(size, index), references: references.join('\n') })).path);
    }
    const tops = [parts.slice(0, 12), parts.slice(6)];
    for (const [index, name] of NAMES.entries()) {
      const { path } = await add(name, { references: tops[index]!.join('\n') });
      const paths = [...(await openOwnStore(source).queryClosure([path])).keys()];
      closures.set(name, { root: path, paths });
    }
    await add.close();
    const transfers = createTransfers();
    const roots = NAMES.map((name) => closures.get(name)!.root);
    await transfers.push({ store: source, roots, cache: box().path('cache'), keys: [KEY] });
    await transfers.close();
  });

  const pullOf = (name: string, store: string) => [
    ...['pull', closures.get(name)!.root, '--from', box().path('cache'), '--store', store],
    ...['--trusted-key', renderPublicKey(KEY.publicKey), '--out-link', `${store}-${name}`, '--jobs', '1'],
  ];
  const gcOf = (store: string) => ['store', 'gc', '--store', store];
  const unlink = (store: string) => Promise.all(NAMES.map((name) => rm(`${store}-${name}`, { force: true })));

  /** Every path whole, every root right, and nothing beside the closures of `names`. */
  async function expectStore(store: string, names: readonly string[]): Promise<void> {
    const paths = [...new Set(names.flatMap((name) => closures.get(name)!.paths))].sort();
    const { stderr } = await box().succeed(['store', 'verify', '--store', store]);
    expect(stderr).toBe(`${paths.length} paths checked, all whole\n`);
    expect((await openOwnStore(store).queryAll()).size).toBe(paths.length);
    expect((await readdir(`${store}/nix/store`)).sort()).toEqual(paths.map((path) => path.slice(11)));
    expect(await readdir(`${store}/nix/var/carport/info`)).toHaveLength(paths.length);
    const links = await Promise.all(
      names.map(async (name) => [`${store}-${name}`, await readlink(`${store}-${name}`)] as const),
    );
    expect(links).toEqual(names.map((name) => [`${store}-${name}`, store + closures.get(name)!.root]));
    const { lines } = await box().succeed(['store', 'ls', '--roots', '--store', store]);
    expect([...lines].sort()).toEqual(
      names.map((name) => `link    ${store}-${name} -> ${closures.get(name)!.root}`).sort(),
    );
  }

  it('has every path whole and every root right after pulls of overlapping closures at the same time', async () => {
    for (let round = 0; round < killCount(3); round++) {
      const store = box().path(`both-${round}`);
      const pulls = await Promise.all(NAMES.map((name) => box().carport(pullOf(name, store))));
      for (const [index, { exitCode, stderr, lines }] of pulls.entries()) {
        expect(exitCode, stderr).toBe(0);
        expect([...lines].sort()).toEqual([...closures.get(NAMES[index]!)!.paths].sort());
      }
      await expectStore(store, NAMES);
      await removeAll(store);
      await unlink(store);
    }
  });

  it('keeps what is being pulled from garbage collections, and loses what was dropped', async () => {
    const store = box().path('collected');
    for (let round = 0; round < killCount(2); round++) {
      // All that is there becomes garbage, and both pulls want some of it.
      await unlink(store);
      const collecting = async () => {
        await setTimeout(Math.random() * 600);
        return box().succeed(gcOf(store));
      };
      await Promise.all([...NAMES.map((name) => box().succeed(pullOf(name, store))), collecting(), collecting()]);
      await box().succeed(gcOf(store));
      await expectStore(store, NAMES);
      await rm(`${store}-two`);
      await box().succeed(gcOf(store));
      await expectStore(store, ['one']);
    }
  });

  it('is whole after kills of pulls and of garbage collections at any instant, beside others', async () => {
    const store = box().path('killed');
    const others: Promise<unknown>[] = [];
    let runs = 0;
    const args = () => {
      runs++;
      if (runs % 3 === 1) others.push(box().succeed(pullOf('two', store)));
      if (runs % 2 === 1) others.push(box().succeed(gcOf(store)));
      return runs % 4 === 3 ? gcOf(store) : pullOf('one', store);
    };
    const all = new Set([...closures.values()].flatMap(({ paths }) => paths)).size;
    await killOften(box(), args, killCount(6), async (_, at) => {
      await Promise.all(others.splice(0));
      const verified = await box().carport(['store', 'verify', '--store', store]);
      expect(verified.exitCode, `${at}: ${verified.stdout}${verified.stderr}`).toBe(0);
      const { size } = await openOwnStore(store).queryAll();
      if (runs % 5 === 0) {
        for (const name of NAMES) await box().succeed(pullOf(name, store));
        await box().succeed(gcOf(store));
        await expectStore(store, NAMES);
      }
      if (runs % 2 === 0) await unlink(store);
      return size === 0 ? 'nothing' : size < all ? 'a part' : 'all';
    });
    for (const name of NAMES) await box().succeed(pullOf(name, store));
    await box().succeed(gcOf(store));
    await expectStore(store, NAMES);
    await expectNoMarkers(store);
  });

  it('is collected by several processes at once as by one', async () => {
    const store = box().path('collectors');
    await box().succeed(pullOf('one', store));
    await unlink(store);
    const ran = await Promise.all(Array.from({ length: 4 }, () => box().succeed(gcOf(store))));
    expect(ran.flatMap(({ lines }) => lines).sort()).toEqual([...closures.get('one')!.paths].sort());
    expect(await readdir(`${store}/nix/store`)).toEqual([]);
    await expectNoMarkers(store);
  });

  const expectNoMarkers = async (store: string) => expect(await readdir(`${store}/nix/var/carport/active`)).toEqual([]);

  const stopped: ChildProcess[] = [];
  afterAll(() => {
    for (const child of stopped) child.kill('SIGKILL');
  });

  it('keeps what a pull has placed and not linked yet, however long that takes', async () => {
    const store = box().path('slow');
    // Stopped when it has begun to register; its marker stays, and so do its paths.
    const child = spawn(process.execPath, [CARPORT, ...pullOf('one', store)], { env: box().env, stdio: 'ignore' });
    stopped.push(child);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    let size = 0;
    while (size === 0) {
      await setTimeout(1);
      size = (await readdir(`${store}/nix/var/carport/info`).catch(() => [])).filter((name) => name[0] !== '.').length;
    }
    child.kill('SIGSTOP');
    await setTimeout(50);
    const before = (await readdir(`${store}/nix/store`)).sort();
    const collecting = box().carport(gcOf(store));
    await setTimeout(1000);
    expect((await readdir(`${store}/nix/store`)).sort()).toEqual(before);
    child.kill('SIGCONT');
    expect(await ended).toBe(0);
    const { exitCode, stdout, stderr } = await collecting;
    expect([exitCode, stdout], stderr).toEqual([0, '']);
    await expectStore(store, ['one']);
  });
});
