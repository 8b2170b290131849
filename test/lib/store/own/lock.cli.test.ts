import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { collectGarbage } from '#lib/store/own/collect-garbage.js';
import { isBeingWritten, runningPrograms } from '#lib/store/own/lock/holders.js';
import { type LockNotice, withStoreCollection, withStoreUse, withStoreWrite } from '#lib/store/own/lock/lock.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { listRoots } from '#lib/store/own/roots.js';
import { unregister } from '#lib/store/own/unregister.js';
import { asOrdinaryUser, fileOf, useDirectory } from '../../../support/files.js';
import { nameBy } from '../../../support/leftovers.js';
import { placeTree } from '../../../support/own-store.js';
import { usePool } from '../../../support/pool.js';
import { useChildren } from '../../../support/processes.js';

const pool = usePool(1);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const open = () => openOwnStore(at('root'));
const markers = () => readdirSync(open().layout.activeDir).map((name) => name.slice(name.lastIndexOf('.')));

/** A promise to be kept by hand. */
function gate() {
  let release = () => {};
  const opened = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { opened, release };
}

/** Lets all that can go on go on. */
const settle = () => setTimeout(300);

const children = useChildren();

/** A process that does something under a marker until it is killed, or its stdin ends. */
async function hold(call: string): Promise<ChildProcess> {
  const lib = new URL('../../../../dist/lib/', import.meta.url);
  const script = `
    import { withStoreCollection, withStoreUse, withStoreWrite } from '${lib}store/own/lock/lock.js';
    import { openOwnStore } from '${lib}store/own/own-store.js';
    const store = openOwnStore(process.argv[2]);
    const work = () => new Promise((resolve) => {
      process.stdout.write('at work');
      process.stdin.resume().once('end', resolve);
    });
    await ${call};`;
  // In a file: threads would inherit what is said on the command line.
  const file = at(`holder-${children.length}.mjs`);
  writeFileSync(file, script);
  const child = spawn(process.execPath, [file, at('root')], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout!, 'data');
  return child;
}

const kill = async (child: ChildProcess) => {
  child.kill('SIGKILL');
  await once(child, 'exit');
};

describe('a writer', () => {
  it('removes the markers of processes that were killed, and of no others', async () => {
    await kill(await hold('withStoreWrite(store, work)'));
    await hold('withStoreWrite(store, work)');
    expect(markers()).toEqual(['.write']);
    await withStoreWrite(open(), async () => expect(markers()).toEqual(['.write', '.write']));
    expect(markers()).toEqual(['.write']);
  });

  it('has a marker while it is at work, and none afterwards', async () => {
    const store = open();
    expect(await isBeingWritten(store)).toBe(false);
    await withStoreWrite(store, async () => {
      expect(markers()).toEqual(['.write']);
      expect(await isBeingWritten(store)).toBe(true);
    });
    expect(markers()).toEqual([]);
    await expect(withStoreWrite(store, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(markers()).toEqual([]);
  });

  it('works beside other writers, nested ones too, and all of one process have one marker', async () => {
    const store = open();
    await withStoreWrite(store, () =>
      Promise.all(
        Array.from({ length: 5 }, () => withStoreWrite(open(), async () => expect(markers()).toHaveLength(1))),
      ),
    );
    const other = await hold('withStoreWrite(store, work)');
    await withStoreWrite(store, async () => expect(markers()).toEqual(['.write', '.write']));
    await kill(other);
  });

  it('waits for a collector of another process, says so once, and goes on when that has ended', async () => {
    const collector = await hold('withStoreCollection(store, work)');
    const messages: string[] = [];
    let done = false;
    const writing = withStoreWrite(open(), async () => expect(markers()).toEqual(['.write']), {
      notify: ({ message }) => messages.push(message),
    }).then(() => {
      done = true;
    });
    await settle();
    expect(done).toBe(false);
    collector.stdin!.end();
    await writing;
    expect(messages).toEqual([`waiting: process ${collector.pid} collects garbage in the store at \`${at('root')}\``]);
  });

  it('that is nested goes on although a collector waits', async () => {
    const store = open();
    const { opened, release } = gate();
    const started = gate();
    let collected = false;
    const writing = withStoreWrite(store, async () => {
      started.release();
      await opened;
      await withStoreWrite(store, async () => expect(collected).toBe(false));
    });
    await started.opened;
    const collecting = withStoreCollection(store, async () => {
      collected = true;
    });
    await settle();
    release();
    await Promise.all([writing, collecting]);
    expect(collected).toBe(true);
  });

  it('does not wait for a collector that was killed, and removes its marker', async () => {
    const collector = await hold('withStoreCollection(store, work)');
    await kill(collector);
    expect(markers()).toEqual(['.gc']);
    const messages: string[] = [];
    await withStoreWrite(open(), async () => {}, { notify: ({ message }) => messages.push(message) });
    expect(messages).toEqual([]);
    expect(markers()).toEqual([]);
  });
});

describe('a collector', () => {
  it('waits for writers, and gives up in time with a hint', async () => {
    const writer = await hold('withStoreWrite(store, work)');
    const messages: string[] = [];
    const error = await withStoreCollection(open(), async () => expect.unreachable(), {
      notify: ({ message }) => messages.push(message),
      patienceMs: 400,
    }).catch((reason) => reason);
    const marker = join(open().layout.activeDir, readdirSync(open().layout.activeDir)[0]!);
    expect(error).toMatchObject({
      code: 'E_UNAVAILABLE',
      message: `process ${writer.pid} adds to the store at \`${at('root')}\`, and did not end in time`,
      hint: `try again when it has ended; if there is no such process, remove \`${marker}\``,
    });
    expect(messages).toHaveLength(1);
    expect(markers()).toEqual(['.write']);
  });

  it('is alone: of many at once one is at work at a time, and no writer beside it', async () => {
    const store = open();
    let [collectors, writers, rounds] = [0, 0, 0];
    const collect = () =>
      withStoreCollection(store, async () => {
        collectors++;
        expect([collectors, writers]).toEqual([1, 0]);
        await setTimeout(10);
        collectors--;
        rounds++;
      });
    const write = async () => {
      for (let round = 0; round < 5; round++) {
        await withStoreWrite(store, async () => {
          writers++;
          expect(collectors).toBe(0);
          await setTimeout(5);
          writers--;
        });
        await setTimeout(50);
      }
    };
    await Promise.all([collect(), write(), collect(), write(), collect(), collect()]);
    expect(rounds).toBe(4);
    expect(markers()).toEqual([]);
  });

  it('waits for a process of elsewhere, which cannot be asked whether it lives, and says how old its marker is', async () => {
    const { activeDir } = open().layout;
    mkdirSync(activeDir, { recursive: true });
    const marker = join(activeDir, `${await nameBy({ machine: 'aaaaaaaa', boot: 'bbbbbbbb', pid: 4711 })}.write`);
    writeFileSync(marker, '');
    const error = await withStoreCollection(open(), async () => expect.unreachable(), { patienceMs: 0 }).catch(
      (reason) => reason,
    );
    const who = 'process 4711 of another machine or container adds to';
    expect(error).toMatchObject({
      code: 'E_UNAVAILABLE',
      message: `${who} the store at \`${at('root')}\`, by a marker that is 0 min old, and did not end in time`,
      hint: expect.stringContaining(`remove \`${marker}\``),
    });
    expect(existsSync(marker)).toBe(true);
  });

  it.each([
    ['before the machine was started again', { boot: 'bbbbbbbb', pid: process.pid }],
    ['with an id that another process has now', { pid: process.pid, start: '1' }],
  ])('does not wait for one that was at work %s', async (_, maker) => {
    const { activeDir } = open().layout;
    mkdirSync(activeDir, { recursive: true });
    for (const activity of ['write', 'gc']) writeFileSync(join(activeDir, `${await nameBy(maker)}.${activity}`), '');
    const options = { patienceMs: 0 };
    await expect(withStoreCollection(open(), async () => 'collected', options)).resolves.toBe('collected');
    expect(markers()).toEqual([]);
  });

  it('does not mind other files beside the markers', async () => {
    const { activeDir } = open().layout;
    mkdirSync(activeDir, { recursive: true });
    for (const name of ['notes.write', '.write', 'x']) writeFileSync(join(activeDir, name), '');
    await expect(withStoreCollection(open(), async () => 'collected')).resolves.toBe('collected');
    expect(readdirSync(activeDir)).toHaveLength(3);
  });
});

describe('a program that runs', () => {
  it('names its paths on its marker while it runs', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    expect(await runningPrograms(store)).toEqual([]);
    await withStoreUse(store, [path], async () => {
      expect(await runningPrograms(store)).toEqual([{ processId: process.pid, storePaths: [path] }]);
      const [name] = readdirSync(store.layout.activeDir);
      expect(readFileSync(join(store.layout.activeDir, name!), 'utf8')).toBe(`${path}\n`);
    });
    expect(await runningPrograms(store)).toEqual([]);
  });

  it('that was killed uses nothing any more', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    const child = await hold(`withStoreUse(store, ['${path}'], work)`);
    expect(await runningPrograms(store)).toEqual([{ processId: child.pid, storePaths: [path] }]);
    await kill(child);
    expect(await runningPrograms(store)).toEqual([]);
    expect(markers()).toEqual([]);
  });

  it('waits for a collector, and does not start when its path was collected meanwhile', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    const { opened, release } = gate();
    const collecting = withStoreCollection(store, () => opened);
    await settle();
    let started = false;
    const using = withStoreUse(store, [path], async () => {
      started = true;
    }).catch((reason) => reason);
    await settle();
    expect(started).toBe(false);
    rmSync(store.layout.infoDir, { recursive: true });
    release();
    await collecting;
    expect(await using).toMatchObject({ code: 'E_NOT_FOUND', message: expect.stringContaining(path) });
    expect(started).toBe(false);
    expect(markers()).toEqual([]);
  });

  it('works beside writers and other programs', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    await withStoreWrite(store, () =>
      withStoreUse(store, [path], () =>
        withStoreUse(store, [path], async () => expect(markers().sort()).toEqual(['.use', '.use', '.write'])),
      ),
    );
  });

  it('needs no marker in a store that it cannot write to', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    await asOrdinaryUser(directory(), async () => {
      chmodSync(at('root', 'nix', 'var', 'carport'), 0o555);
      try {
        const told: string[] = [];
        const notify = ({ message }: LockNotice) => told.push(message);
        await expect(withStoreUse(store, [path], async () => 'ran', { notify })).resolves.toBe('ran');
        expect(told).toEqual([expect.stringContaining('cannot be written to: a garbage collection')]);
        await expect(withStoreWrite(store, async () => 'wrote')).rejects.toMatchObject({ code: 'EACCES' });
        expect(existsSync(store.layout.activeDir)).toBe(false);
      } finally {
        chmodSync(at('root', 'nix', 'var', 'carport'), 0o755);
      }
    });
  });

  it('that could not say what it needs keeps everything', async () => {
    const store = open();
    const infos = [await placeTree(store, pool, 'one', fileOf('x')), await placeTree(store, pool, 'two', fileOf('y'))];
    const paths = infos.map(({ path }) => path).sort();
    const marker = join(store.layout.activeDir, `${await nameBy({})}.use`);
    mkdirSync(store.layout.activeDir, { recursive: true });
    writeFileSync(marker, '');
    const name = `process ${process.pid}`;
    expect(await listRoots(store)).toEqual([{ kind: 'running', name, storePaths: paths, needsAll: true }]);
    // Also what is not registered any more.
    await unregister(store, await store.queryInfos([paths[0]!]));
    expect(await collectGarbage(store)).toMatchObject({ storePaths: [], unregistered: [], keptForAll: [name] });
    rmSync(marker);
    expect(await collectGarbage(store)).toMatchObject({ storePaths: [paths[1]], keptForAll: [] });
    expect(readdirSync(store.layout.realStoreDir)).toEqual([]);
  });

  it('is kept on a full disk', async () => {
    const disk = at('root');
    mkdirSync(disk);
    const mount = ['-t', 'tmpfs', '-o', 'size=1m', 'carport-test', disk];
    if (process.getuid?.() !== 0 || spawnSync('mount', mount).status !== 0) return;
    try {
      const store = open();
      const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
      mkdirSync(store.layout.activeDir, { recursive: true });
      expect(() => writeFileSync(join(disk, 'all'), Buffer.alloc(2 ** 20))).toThrow('ENOSPC');
      const unprotected: string[] = [];
      const work = async () => {
        expect(markers()).toEqual(['.use']);
        expect((await collectGarbage(store)).storePaths).toEqual([]);
      };
      await withStoreUse(store, [path], work, { notify: ({ message }) => unprotected.push(message) });
      expect(unprotected).toEqual([]);
      // With no space to write down what is removed.
      expect((await collectGarbage(store)).storePaths).toEqual([path]);
      expect(readdirSync(store.layout.realStoreDir)).toEqual([]);
    } finally {
      spawnSync('umount', [disk]);
    }
  });

  it('whose marker is damaged or half written keeps what can be read', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    await withStoreUse(store, [path], async () => {
      const [name] = readdirSync(store.layout.activeDir);
      writeFileSync(join(store.layout.activeDir, name!), `${path}\n/etc/passwd\n\n${path.slice(0, 30)}`);
      expect(await runningPrograms(store)).toEqual([{ processId: process.pid, storePaths: [path] }]);
    });
  });
});
