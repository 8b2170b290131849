import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isDrained, leaveDrain, takeDrain } from '../../bin/watch/drain-lock.js';
import { takeUp } from '../../bin/watch/taken-up.js';
import type { Store } from '../../lib/store/store.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'carport-taken-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** A store that knows nothing, as carport's own is where `nix` is not on PATH. */
const knowsNothing = (realStoreDir: string): Store => ({
  ...{ storeDir: '/nix/store', realStoreDirs: [realStoreDir], description: 'a store' },
  ...{ queryInfos: async () => new Map(), queryClosure: async () => new Map(), queryHashParts: async () => new Map() },
  realPath: ({ path }) => path,
});

const [there, gone] = ['a', 'b'].map((name) => `${name.repeat(32)}-x`) as [string, string];

it.each(['x', 'x.drv'])('forgets only what is on disk no more: %s', async (ending) => {
  const nix = join(directory, 'nix');
  await mkdir(nix);
  const [kept, forgotten] = [there, gone].map((name) => name.replace(/x$/, ending)) as [string, string];
  await writeFile(join(nix, kept), '');
  const result = await takeUp([kept, forgotten], knowsNothing(join(directory, 'own')), [nix]);
  expect(result).toEqual({ valid: [], unknown: [`/nix/store/${kept}`], gone: [`/nix/store/${forgotten}`] });
});

it('forgets nothing where no store is there', async () => {
  const result = await takeUp([gone], knowsNothing(join(directory, 'own')), [join(directory, 'nix')]);
  expect(result.unknown).toHaveLength(1);
});

it('has a queue drained by one process', async () => {
  expect(await isDrained(directory)).toBe(false);
  expect(await takeDrain(directory)).toBe(true);
  expect(await isDrained(directory)).toBe(true);
  expect(await takeDrain(directory)).toBe(false);
  await leaveDrain(directory);
  expect(await isDrained(directory)).toBe(false);
});
