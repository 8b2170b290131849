import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makePrivateDirectory } from '#lib/filesystem/private-directory.js';
import { removeLeftovers, removeTree } from '#lib/filesystem/temporary.js';
import { createSpool } from '#lib/object-store/spool.js';
import { asOrdinaryUser, useDirectory } from '../support/files.js';
import { deadPid, nameBy } from '../support/leftovers.js';
import { describeWithPeer } from '../support/peers.js';

const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);

const OWN = `carport-${process.getuid?.()}`;
const SOMEBODY = 65534;
/** Of directories where everybody may write. */
const MODES = [
  ['sticky', 0o1777],
  ['not sticky', 0o777],
] as const;

/** Makes a tree that looks as if a killed process of carport had left it. */
async function plant(parent: string): Promise<string> {
  const name = await nameBy({ pid: deadPid() });
  mkdirSync(join(parent, name, 'sub'), { recursive: true });
  writeFileSync(join(parent, name, 'sub/file'), 'x');
  return name;
}

describe('in a directory where everybody may write', () => {
  it.each(MODES)('nothing is removed (%s)', async (_, mode) => {
    const name = await plant(directory());
    chmodSync(directory(), mode);
    await removeLeftovers(directory());
    expect(readdirSync(at(name, 'sub'))).toEqual(['file']);
  });

  it.each(MODES)('nothing is removed by what makes a directory there (%s)', async (_, mode) => {
    const name = await plant(directory());
    chmodSync(directory(), mode);
    const { remove } = await makePrivateDirectory(directory());
    const spool = createSpool(directory());
    await spool.name();
    await spool.remove();
    await remove();
    expect(readdirSync(directory())).toEqual([name]);
    expect(readdirSync(at(name, 'sub'))).toEqual(['file']);
  });

  it('a private directory is nothing that others can rename', async () => {
    chmodSync(directory(), 0o777);
    const { path } = await makePrivateDirectory(directory());
    expect(dirname(path)).toBe(directory());
  });

  describe.each([
    ['a link', async () => symlinkSync('theirs', at(OWN))],
    ['a file', async () => writeFileSync(at(OWN), '')],
    [
      'a directory that others may write to',
      async () => {
        renameSync(at('theirs'), at(OWN));
        chmodSync(at(OWN), 0o777);
      },
    ],
  ])('%s with the name of a user’s own', (_, make) => {
    it('is not used, and nothing in it is removed', async () => {
      mkdirSync(at('theirs'));
      const name = await plant(at('theirs'));
      await make();
      chmodSync(directory(), 0o1777);
      const { path, remove } = await makePrivateDirectory(directory());
      expect([dirname(path), statSync(path).mode & 0o777]).toEqual([directory(), 0o700]);
      await remove();
      const theirs = readdirSync(directory()).find((entry) => statSync(at(entry)).isDirectory())!;
      expect(readdirSync(at(theirs, name, 'sub'))).toEqual(['file']);
    });
  });
});

const isRoot = process.getuid?.() === 0;
describeWithPeer(isRoot ? undefined : 'it takes root to plant as another user', 'what another user has planted', () => {
  it('is left alone', async () => {
    const name = await plant(directory());
    symlinkSync('/etc', at(await nameBy({ pid: deadPid() })));
    for (const entry of readdirSync(directory())) lchownSync(at(entry), SOMEBODY, SOMEBODY);
    const before = readdirSync(directory());
    await removeLeftovers(directory());
    expect(readdirSync(directory())).toEqual(before);
    expect(readdirSync(at(name, 'sub'))).toEqual(['file']);
  });

  it('is not used as a user’s own directory', async () => {
    mkdirSync(at(OWN), { mode: 0o700 });
    chownSync(at(OWN), SOMEBODY, SOMEBODY);
    chmodSync(directory(), 0o1777);
    expect(dirname((await makePrivateDirectory(directory())).path)).toBe(directory());
  });

  it('is no place for a user’s own directory', async () => {
    // Neither root's, nor nobody's as which a user namespace shows root.
    chownSync(directory(), 12345, 12345);
    expect(dirname((await makePrivateDirectory(directory())).path)).toBe(directory());
  });
});

describe('removing a tree in which another process exchanges directories for links', () => {
  it('changes no mode where the links lead', async () => {
    mkdirSync(at('outside'));
    const names = Array.from({ length: 20 }, (_, index) => `${index}`);
    const script = `
      const { readdirSync, renameSync, symlinkSync, unlinkSync } = require('node:fs');
      for (let number = 0; ; number++) {
        for (const tree of readdirSync('.').filter((name) => name.startsWith('tree'))) {
          for (const name of ${JSON.stringify(names)}) {
            const [entry, aside] = [tree + '/' + name, 'aside-' + number + '-' + name];
            try {
              renameSync(entry, aside);
              symlinkSync('../outside', entry);
              unlinkSync(entry);
              renameSync(aside, entry);
            } catch {}
          }
        }
      }`;
    const attacker = spawn(process.execPath, ['-e', script], { cwd: directory(), stdio: 'ignore' });
    try {
      await asOrdinaryUser(directory(), async () => {
        // Where links are followed it takes a second, mostly.
        const end = performance.now() + 3000;
        for (let round = 0; performance.now() < end; round++) {
          for (const name of names) mkdirSync(at('new', name, 'sub'), { recursive: true });
          for (const name of names) chmodSync(at('new', name), 0o500);
          chmodSync(at('outside'), 0o555);
          renameSync(at('new'), at(`tree-${round}`));
          await removeTree(at(`tree-${round}`)).catch(() => undefined);
          expect(statSync(at('outside')).mode & 0o777).toBe(0o555);
        }
      });
    } finally {
      attacker.kill('SIGKILL');
    }
  });
});
