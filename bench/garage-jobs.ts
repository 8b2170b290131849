/** The jobs on a real Garage. */

import { join } from 'node:path';
import { type Garage, startGarage } from '../dev/garage.js';
import type { ClosureName } from './closures.js';
import { type BenchKey, benchKey, carportPull, carportPush, nixPull, nixPush } from './commands.js';
import type { Bench, Job, Side } from './job.js';
import { type Command, carport, RCLONE } from './world.js';

type Way = Pick<Job, 'peer' | 'open'>;

/** From its website, of a cache that carport has made. */
export function pullFromGarage(name: ClosureName): Way {
  return {
    peer: 'nix-store -r -j16, 100 connections',
    async open({ world, closures }) {
      const key = await benchKey(world);
      const garage = await startGarage({ bucket: 'pull' });
      await garage.allowWebsite('pull', { alias: 'localhost' });
      await world.run(carportPush(closures[name].root, urlOf(garage, 'pull'), key, credentialsOf(garage)));
      const from = `http://localhost:${garage.nodes[0]!.websitePort}`;
      return {
        carport: carportPull(closures[name], from, key),
        peer: nixPull(closures[name], from, key),
        requests: () => garage.requests(),
        close: () => garage.stop(),
      };
    },
  };
}

/** Into a new bucket. The peer has no way of its own to a bucket that wants signed requests. */
export function pushToGarage(name: ClosureName): Way {
  return {
    peer: 'nix copy to a directory, then rclone',
    async open(bench) {
      const sides = await pushSides(bench, name);
      return { ...sides, close: () => sides.garage.stop() };
    },
  };
}

/** Into a bucket that has it; of the peer only what carries to the bucket. */
export function pushAgainToGarage(name: ClosureName): Way {
  return {
    peer: 'rclone',
    async open(bench) {
      const { garage, carport: own, peer, requests } = await pushSides(bench, name);
      const [ownPlace, peerPlace] = ['again-carport', 'again-peer'].map((each) => join(bench.world.directory, each));
      for (const [side, place] of [[own, ownPlace!] as const, [peer, peerPlace!] as const]) {
        await side.prepare?.(place);
        for (const command of side.commands(place)) await bench.world.run(command);
      }
      return {
        carport: { commands: () => own.commands(ownPlace!), check: () => own.check(ownPlace!) },
        peer: { commands: () => peer.commands(peerPlace!).slice(-1), check: () => peer.check(peerPlace!) },
        requests,
        close: () => garage.stop(),
      };
    },
  };
}

interface PushSides {
  readonly garage: Garage;
  readonly carport: Side;
  readonly peer: Side;
  requests(): Promise<number>;
}

async function pushSides({ world, closures }: Bench, name: ClosureName): Promise<PushSides> {
  const key = await benchKey(world);
  const garage = await startGarage();
  const env = credentialsOf(garage);
  const { root, paths } = closures[name];
  const check = async (directory: string) => {
    const stored = await garage.stored(bucketOf(directory));
    if (stored.objects < 2 * paths) throw new Error(`only ${stored.objects} objects were pushed`);
    return stored;
  };
  return {
    garage,
    requests: () => garage.requests(),
    carport: {
      async prepare(directory) {
        await garage.createBucket(bucketOf(directory));
        await world.run(carport(['cache', 'init', urlOf(garage, bucketOf(directory))], env));
      },
      commands: (directory) => [carportPush(root, urlOf(garage, bucketOf(directory)), key, env)],
      check,
    },
    peer: {
      prepare: (directory) => garage.createBucket(bucketOf(directory)),
      commands: (directory) => peerCommands(garage, root, directory, key),
      check,
    },
  };
}

function peerCommands(garage: Garage, root: string, directory: string, key: BenchKey): readonly Command[] {
  const cache = join(directory, 'cache');
  const { accessKeyId, secretAccessKey } = garage.credentials;
  const env = {
    RCLONE_CONFIG_G_TYPE: 's3',
    RCLONE_CONFIG_G_PROVIDER: 'Other',
    RCLONE_CONFIG_G_ENDPOINT: garage.nodes[0]!.s3Endpoint,
    RCLONE_CONFIG_G_REGION: garage.region,
    RCLONE_CONFIG_G_ACCESS_KEY_ID: accessKeyId,
    RCLONE_CONFIG_G_SECRET_ACCESS_KEY: secretAccessKey,
  };
  const carry = ['copy', cache, `g:${bucketOf(directory)}`, '--transfers', '16', '--checkers', '16'];
  return [nixPush(root, cache, key), { argv: [RCLONE, ...carry], env }];
}

function bucketOf(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1);
}

function urlOf(garage: Garage, bucket: string): string {
  return `s3://${bucket}?endpoint=${garage.nodes[0]!.s3Endpoint}&region=${garage.region}`;
}

function credentialsOf({ credentials }: Garage) {
  return { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey };
}
