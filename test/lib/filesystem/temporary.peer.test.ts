import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { processesThatMount } from '#lib/filesystem/mounted.js';
import {
  createTemporaryNames,
  isTemporaryName,
  keepYoung,
  makerOf,
  processIdOf,
  removeLeftovers,
  removeTree,
} from '#lib/filesystem/temporary.js';
import { asOrdinaryUser, directoryOf, fileOf, linkTo, useDirectory, writeTree } from '../../support/files.js';
import { deadPid, nameBy } from '../../support/leftovers.js';
import type { Tree } from '../../support/nar.js';
import { describeWithProgram } from '../../support/programs.js';

const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const HOUR = 60 * 60 * 1000;

describe('temporary names', () => {
  it('are in the directory, hidden, and never the same', async () => {
    const makers = await Promise.all([createTemporaryNames(directory()), createTemporaryNames(directory())]);
    const names = makers.flatMap((make) => Array.from({ length: 500 }, () => make()));
    expect(new Set(names).size).toBe(1000);
    for (const name of names) {
      expect(dirname(name)).toBe(directory());
      expect(basename(name)).toMatch(/^\./);
      expect(isTemporaryName(basename(name))).toBe(true);
    }
  });

  it('are told from other names', async () => {
    const name = await nameBy({});
    const others = ['', '.carport', 'carport', `x${name}`, `${name}x`, name.slice(1), name.slice(0, -1), `${name}.a.b`];
    expect(others.filter(isTemporaryName)).toEqual([]);
  });
});

describe('removing leftovers', () => {
  it('takes what a process that is gone has left: files, links, trees without permissions', async () => {
    const pid = deadPid();
    writeFileSync(at(await nameBy({ pid })), 'x');
    symlinkSync('/etc', at(await nameBy({ pid })));
    // A file that a program made beside it.
    writeFileSync(at(`${await nameBy({ pid })}.xz`), 'x');
    const tree = at(await nameBy({ pid }));
    writeTree(tree, directoryOf({ sub: directoryOf({ file: fileOf('x') }) }));
    chmodSync(join(tree, 'sub'), 0o555);
    chmodSync(tree, 0o555);
    await removeLeftovers(directory());
    expect(readdirSync(directory())).toEqual([]);
  });

  it('keeps what a process that lives is making, this one or another', async () => {
    const child = spawn('sleep', ['60']);
    const own = await nameBy({});
    const names = [own, await nameBy({ pid: child.pid! })].sort();
    for (const name of names) writeFileSync(at(name), 'x');
    // However old it is.
    for (const name of names) utimesSync(at(name), 1, 1);
    await removeLeftovers(directory());
    expect(readdirSync(directory()).sort()).toEqual(names);
    await new Promise((resolve) => {
      child.once('exit', resolve).kill();
    });
    await removeLeftovers(directory());
    expect(readdirSync(directory())).toEqual([own]);
  });

  it.each<[string, () => Promise<string>]>([
    ['another machine', () => nameBy({ machine: 'aaaaaaaa', boot: 'bbbbbbbb' })],
    ['another machine that does not tell which', () => nameBy({ machine: '00000000', boot: 'bbbbbbbb' })],
    ['another container', () => nameBy({ namespace: 'aaaaaaaa' })],
    ['one without /proc', () => nameBy({ boot: '00000000', namespace: '00000000' })],
    ['an older version', async () => `.carport-${'a'.repeat(12)}-${process.pid}-${'0'.repeat(24)}`],
  ])('takes what %s has left after a day, and not before', async (_, nameOf) => {
    const name = await nameOf();
    writeFileSync(at(name), 'left');
    // A store path's own time is 1970 while it waits for its references: that says nothing of its age.
    utimesSync(at(name), 1, 1);
    expect([isTemporaryName(name), await makerOf(name), processIdOf(name)]).toEqual([true, 'elsewhere', process.pid]);
    await removeLeftovers(directory());
    await removeLeftovers(directory(), Date.now() + 23 * HOUR);
    expect(readdirSync(directory())).toEqual([name]);
    await removeLeftovers(directory(), Date.now() + 25 * HOUR);
    expect(readdirSync(directory())).toEqual([]);
  });

  it.each<[string, () => Promise<string>]>([
    ['before the machine was started again', () => nameBy({ boot: 'bbbbbbbb', namespace: 'cccccccc' })],
    ['in a process whose id another has now', () => nameBy({ start: '1' })],
  ])('takes what was left %s at once', async (_, nameOf) => {
    const name = await nameOf();
    writeFileSync(at(name), 'left');
    expect(await makerOf(name)).toBe('gone');
    await removeLeftovers(directory());
    expect(readdirSync(directory())).toEqual([]);
  });

  it('takes nothing that only looks like a leftover', async () => {
    const pid = deadPid();
    const name = await nameBy({ pid });
    const others = [`${name}.a.b`, `x${name}`, '.carport-backup', `.carport-${pid}`];
    for (const other of others) writeFileSync(at(other), 'x');
    await removeLeftovers(directory());
    expect(readdirSync(directory()).sort()).toEqual(others.sort());
  });

  it('does not look below the directory, and does not mind when there is none', async () => {
    mkdirSync(at('sub'));
    writeFileSync(at('sub', await nameBy({ pid: deadPid() })), 'x');
    await removeLeftovers(directory());
    await removeLeftovers(at('missing'));
    expect(readdirSync(at('sub'))).toHaveLength(1);
  });
});

describeWithProgram('bwrap', 'what is mounted', () => {
  it('is no leftover until the last process that sees the mount has ended', async () => {
    const name = await nameBy({ pid: deadPid() });
    writeFileSync(at(name), 'x');
    writeFileSync(at('place'), '');
    const mount = ['--dev-bind', '/', '/', '--ro-bind', at(name), at('place'), '--die-with-parent'];
    // In a namespace within that, which does not show the place.
    const within = ['bwrap', '--dev-bind', '/', '/', '--tmpfs', directory(), '--die-with-parent'];
    const child = spawn('bwrap', [...mount, ...within, 'sh', '-c', 'echo $$; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const sleeper = Number(String((await once(child.stdout, 'data'))[0]));
    expect(await processesThatMount(name)).toContain(sleeper);
    expect(await processesThatMount(name)).not.toContain(process.pid);
    await removeLeftovers(directory());
    expect(readdirSync(directory())).toContain(name);
    const ended = once(child, 'close');
    process.kill(sleeper, 'SIGKILL');
    await ended;
    expect(await processesThatMount(name)).toEqual([]);
    await removeLeftovers(directory());
    expect(readdirSync(directory())).toEqual(['place']);
  });
});

describe('keeping something young', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('changes its time every hour until it is over', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const isOld = () => statSync(directory()).mtimeMs === 1000;
    const makeOld = () => utimesSync(directory(), 1, 1);
    const letGo = keepYoung(directory());
    for (let hour = 0; hour < 2; hour++) {
      makeOld();
      vi.advanceTimersByTime(HOUR);
      await expect.poll(isOld).toBe(false);
    }
    makeOld();
    letGo();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('removing a tree', () => {
  it('takes read-only directories, and names that are not UTF-8', async () => {
    const tree: Tree = {
      type: 'directory',
      entries: new Map<string, Tree>([
        ['\xff', directoryOf({ file: fileOf('x') })],
        ['link', linkTo('/etc')],
      ]),
    };
    writeTree(at('tree'), tree);
    for (const name of ['\xff', '.'])
      chmodSync(Buffer.concat([Buffer.from(`${at('tree')}/`), Buffer.from(name, 'latin1')]), 0);
    await asOrdinaryUser(directory(), () => removeTree(at('tree')));
    expect(readdirSync(directory())).toEqual([]);
  });

  it('does not follow symlinks, to change what they point to or to remove it', async () => {
    writeTree(at('outside'), directoryOf({ file: fileOf('x') }));
    writeTree(at('tree'), directoryOf({ link: linkTo('../outside') }));
    chmodSync(at('tree'), 0o555);
    await removeTree(at('tree'));
    symlinkSync('outside', at('link'));
    await removeTree(at('link'));
    expect(readdirSync(directory())).toEqual(['outside']);
    expect(readdirSync(at('outside'))).toEqual(['file']);
  });

  it('is content when nothing is there', async () => {
    await expect(removeTree(at('missing'))).resolves.toBeUndefined();
    await expect(removeTree(at('missing', 'below'))).resolves.toBeUndefined();
  });
});
