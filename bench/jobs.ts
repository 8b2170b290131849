/** The jobs, in the order in which they are measured. */

import { join } from 'node:path';
import type { ClosureName } from './closures.js';
import { benchKey, carportPull, carportPush, nixPull, nixPush, requireNarInfos } from './commands.js';
import { pullFromGarage, pushAgainToGarage, pushToGarage } from './garage-jobs.js';
import type { Job } from './job.js';

export const JOBS: readonly Job[] = [
  {
    name: 'push-toolchain-file',
    title: 'push 6 paths, 1.26 GB, to a directory',
    bar: { most: 0.6, aim: 0.5 },
    ...pushToFiles('toolchain'),
  },
  {
    name: 'push-many-file',
    title: 'push 2,001 paths of 17 KB to a directory',
    bar: { most: 0.8, aim: 0.5 },
    ...pushToFiles('many'),
  },
  {
    name: 'push-again-many-file',
    title: 'push 2,001 paths again, nothing is new',
    bar: { most: 1, aim: 0.5 },
    ...pushAgainToFiles('many'),
  },
  {
    name: 'push-again-one-file',
    title: 'push one path again, nothing is new',
    bar: { most: 3, aim: 2 },
    ...pushAgainToFiles('one'),
  },
  {
    name: 'push-patched-file',
    title: 'push 1.26 GB with small changes to a directory that has it without',
    bar: { most: 0.6, aim: 0.5 },
    ...pushToFiles('patched', 'toolchain'),
  },
  {
    name: 'pull-toolchain-file',
    title: 'pull 6 paths, 1.26 GB, from a directory',
    bar: { most: 0.7, aim: 0.5 },
    ...pullFromFiles('toolchain'),
  },
  {
    name: 'pull-many-file',
    title: 'pull 2,001 paths of 17 KB from a directory',
    bar: { most: 0.6, aim: 0.3 },
    ...pullFromFiles('many'),
  },
  {
    name: 'pull-toolchain-http',
    title: 'pull 6 paths, 1.26 GB, over HTTP from Garage',
    bar: { most: 0.7, aim: 0.5 },
    ...pullFromGarage('toolchain'),
  },
  {
    name: 'pull-many-http',
    title: 'pull 2,001 paths of 17 KB over HTTP from Garage',
    bar: { most: 0.5, aim: 0.25 },
    ...pullFromGarage('many'),
  },
  {
    name: 'push-toolchain-garage',
    title: 'push 6 paths, 1.26 GB, to Garage',
    bar: { most: 0.6, aim: 0.5 },
    ...pushToGarage('toolchain'),
  },
  {
    name: 'push-many-garage',
    title: 'push 2,001 paths of 17 KB to Garage',
    bar: { most: 0.6, aim: 0.4 },
    ...pushToGarage('many'),
  },
  {
    name: 'push-again-many-garage',
    title: 'push 2,001 paths again to Garage, nothing is new',
    bar: { most: 0.5, aim: 0.3 },
    ...pushAgainToGarage('many'),
  },
];

type Way = Pick<Job, 'peer' | 'open'>;

/** Into a new cache, or one that has another closure already. */
function pushToFiles(name: ClosureName, before?: ClosureName): Way {
  return {
    peer: 'nix copy',
    async open({ world, closures }) {
      const key = await benchKey(world);
      const { root, paths } = closures[name];
      const had = before && closures[before];
      const cache = (directory: string) => join(directory, 'cache');
      const check = (directory: string) => requireNarInfos(cache(directory), paths + (had?.paths ?? 0));
      const own = (directory: string, what = root) => carportPush(what, `file://${cache(directory)}`, key);
      const peer = (directory: string, what = root) => nixPush(what, cache(directory), key);
      return {
        carport: {
          commands: (directory) => [own(directory)],
          check,
          ...(had && { prepare: async (directory) => void (await world.run(own(directory, had.root))) }),
        },
        peer: {
          commands: (directory) => [peer(directory)],
          check,
          ...(had && { prepare: async (directory) => void (await world.run(peer(directory, had.root))) }),
        },
      };
    },
  };
}

/** Into a cache that has it. */
function pushAgainToFiles(name: ClosureName): Way {
  return {
    peer: 'nix copy',
    async open({ world, closures }) {
      const key = await benchKey(world);
      const { root, paths } = closures[name];
      const cache = (side: string) => join(world.directory, `again-${name}-${side}`);
      const own = carportPush(root, `file://${cache('carport')}`, key);
      const peer = nixPush(root, cache('peer'), key);
      for (const command of [own, peer]) await world.run(command);
      return {
        carport: { commands: () => [own], check: () => requireNarInfos(cache('carport'), paths) },
        peer: { commands: () => [peer], check: () => requireNarInfos(cache('peer'), paths) },
      };
    },
  };
}

/** From a cache that carport has made. */
function pullFromFiles(name: ClosureName): Way {
  return {
    peer: 'nix copy',
    async open({ world, closures }) {
      const key = await benchKey(world);
      const from = `file://${join(world.directory, `pull-${name}`)}`;
      await world.run(carportPush(closures[name].root, from, key));
      return { carport: carportPull(closures[name], from, key), peer: nixPull(closures[name], from, key) };
    },
  };
}
