/** A real Garage: one node or three, for as long as this process lives. */

import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { findFreePorts, isFreePort } from './free-ports.js';
import type { Credentials, Permissions } from './garage-admin.js';
import * as administration from './garage-admin.js';
import {
  createNode,
  GARAGE_ENV,
  type GarageNode,
  type ManagedNode,
  type NodePorts,
  PortTakenError,
  REGION,
} from './garage-node.js';
import { findGarage, howToInstallGarage } from './garage-program.js';
import { startWatchdog, type Watchdog } from './watchdog.js';

/** A real Garage of this process: one node, or a cluster of three that keep three copies. It ends with the process. */
export interface Garage {
  readonly nodes: readonly GarageNode[];
  readonly region: string;
  /** Of a key that may do everything with the buckets that are made here, and may make others. */
  readonly credentials: Credentials;
  /** Where everything is. */
  readonly directory: string;
  /** Waits until all nodes that run reach each other, and can read and write: after a kill some ten seconds. */
  healthy(): Promise<void>;
  createBucket(name: string): Promise<void>;
  /** A key of its own for one bucket. */
  createKey(name: string, options: { readonly bucket: string } & Permissions): Promise<Credentials>;
  /**
   * Serves a bucket at `http://<bucket>.web.localhost:<websitePort>/`, which Node cannot resolve. With the alias
   * `localhost`, which the last caller gets, also at `http://localhost:<websitePort>/`.
   */
  allowWebsite(bucket: string, options?: { readonly alias?: string }): Promise<void>;
  /** Requests for objects that its nodes have answered, S3 and website. */
  requests(): Promise<number>;
  /** How many objects a bucket has, and their bytes. */
  stored(bucket: string): Promise<{ readonly objects: number; readonly bytes: number }>;
  /** Runs `garage -c … <args>` against a node that runs; gives what it printed. */
  cli(args: readonly string[]): Promise<string>;
  /** Ends every node, and removes the directory unless it was given. */
  stop(): Promise<void>;
}

export interface GarageOptions {
  readonly nodes?: 1 | 3;
  /** The first bucket; the default is `nix`. */
  readonly bucket?: string;
  /** The name of the first key; the default is `dev`. */
  readonly keyName?: string;
  /** Where data, ports and secrets are kept for the next start; a temporary directory if none is given. */
  readonly directory?: string;
}

/** Starts Garage: half a second for one node, a second for three. */
export async function startGarage(options: GarageOptions = {}): Promise<Garage> {
  const found = await findGarage();
  if ('missing' in found) throw new Error(`${found.missing}: ${howToInstallGarage()}`);
  const { directory, kept } = await prepareDirectory(options.directory);
  const watchdog = startWatchdog(kept ? undefined : directory);
  const before = await readPlan(directory);
  let plan = before ?? (await createPlan(options.nodes ?? 1));
  const cleanUp = async () => {
    if (!kept) await rm(directory, { recursive: true, force: true });
    await watchdog.release();
  };
  try {
    // Its data are for one process at a time.
    const free = await Promise.all(plan.ports.flatMap((ports) => Object.values(ports)).map(isFreePort));
    if (before && !free.every(Boolean)) throw new Error(`ports of the Garage in ${directory} are taken: does it run?`);
    if (plan.ports.length !== (options.nodes ?? plan.ports.length)) {
      throw new Error(`${directory} is of a Garage with ${plan.ports.length} nodes`);
    }
    for (let attempts = 1; ; attempts++) {
      await writeFile(join(directory, PLAN), JSON.stringify(plan), { mode: 0o600 });
      try {
        const nodes = await startNodes(found.program, directory, plan, watchdog);
        return await setUp(nodes, { ...options, ...found, directory, plan, kept, cleanUp });
      } catch (error) {
        // With other ports, two could run on the same data.
        if (!(error instanceof PortTakenError) || before || attempts === 5) throw error;
        plan = { ...plan, ports: await findPorts(plan.ports.length) };
      }
    }
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** What is random in a Garage. Kept in its directory. */
interface Plan {
  readonly ports: readonly NodePorts[];
  readonly rpcSecret: string;
  readonly adminToken: string;
  readonly credentials: Credentials;
}

const PLAN = 'garage.json';
const HEALTHY_MS = 60_000;

async function prepareDirectory(given: string | undefined): Promise<{ directory: string; kept: boolean }> {
  if (given === undefined) return { directory: await mkdtemp(join(tmpdir(), 'carport-garage-')), kept: false };
  await mkdir(given, { recursive: true, mode: 0o700 });
  return { directory: await realpath(given), kept: true };
}

async function readPlan(directory: string): Promise<Plan | undefined> {
  const text = await readFile(join(directory, PLAN), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Plan);
}

async function createPlan(nodes: number): Promise<Plan> {
  const hex = (bytes: number) => randomBytes(bytes).toString('hex');
  return {
    ports: await findPorts(nodes),
    rpcSecret: hex(32),
    adminToken: hex(32),
    credentials: { accessKeyId: `GK${hex(12)}`, secretAccessKey: hex(32) },
  };
}

/**
 * Four in a row for each node, so that two Garages have all or none in common: one that does not get its website or
 * administration port does not say so, but for the others it does.
 */
async function findPorts(nodes: number): Promise<readonly NodePorts[]> {
  const found = new Map<number, NodePorts>();
  while (found.size < nodes) {
    const [s3, rpc, website, admin] = (await findFreePorts(4)) as [number, number, number, number];
    found.set(s3, { s3, rpc, website, admin });
  }
  return [...found.values()];
}

async function startNodes(
  program: string,
  directory: string,
  { ports, rpcSecret, adminToken }: Plan,
  watchdog: Watchdog,
): Promise<readonly ManagedNode[]> {
  const nodes: ManagedNode[] = [];
  const watch = () => watchdog.watch(nodes.flatMap(({ pid }) => pid ?? []));
  const common = { program, replicationFactor: ports.length, rpcSecret, adminToken };
  for (const [index, each] of ports.entries()) {
    nodes.push(await createNode({ ...common, directory: join(directory, `node${index + 1}`), ports: each }, watch));
  }
  const started = await Promise.allSettled(nodes.map((node) => node.start()));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed) {
    await endAll(nodes);
    throw failed.reason;
  }
  return nodes;
}

interface Setup extends GarageOptions {
  readonly program: string;
  readonly directory: string;
  readonly kept: boolean;
  readonly plan: Plan;
  readonly cleanUp: () => Promise<void>;
}

/** Makes a cluster of nodes that run, with the first key and bucket. */
async function setUp(nodes: readonly ManagedNode[], setup: Setup): Promise<Garage> {
  const { program, directory, plan, kept, cleanUp, bucket = 'nix', keyName = 'dev' } = setup;
  const { adminToken, credentials } = plan;
  const running = () => nodes.filter(({ pid }) => pid !== undefined);
  const one = () => {
    const [node] = running();
    if (!node) throw new Error('no node of Garage is running');
    return node;
  };
  const adminOf = (node: ManagedNode) => administration.connectToAdmin(() => node.adminEndpoint, adminToken);
  const admin = administration.connectToAdmin(() => one().adminEndpoint, adminToken);
  const memberOf = async (node: ManagedNode) => ({ admin: adminOf(node), address: await node.address() });
  const garage: Garage = {
    nodes,
    region: REGION,
    credentials,
    directory,
    async healthy() {
      const members = await Promise.all(running().map(memberOf));
      await administration.waitUntilHealthy(members, HEALTHY_MS);
    },
    async createBucket(name) {
      const { accessKeyId } = credentials;
      await administration.createBucket(admin, name, accessKeyId);
      if (nodes.length > 1) await administration.waitUntilAllowed(running().map(adminOf), name, accessKeyId);
    },
    async createKey(name, { bucket, ...permissions }) {
      const created = await administration.createKey(admin, name);
      const id = await administration.bucketIdOf(admin, bucket);
      await administration.allowKey(admin, id, created.accessKeyId, permissions);
      return created;
    },
    async allowWebsite(name, { alias } = {}) {
      const id = await administration.bucketIdOf(admin, name);
      await administration.allowWebsite(admin, id);
      if (alias !== undefined) await administration.setAlias(admin, id, alias);
    },
    requests: () => countRequests(running(), adminToken),
    stored: (name) => administration.bucketContents(admin, name),
    cli: async (args) => runGarage(program, ['-c', one().config, ...args]),
    async stop() {
      await endAll(nodes, kept ? 'SIGTERM' : 'SIGKILL');
      await cleanUp();
    },
  };
  try {
    const members = await Promise.all(nodes.map(memberOf));
    await administration.connectNodes(members);
    await administration.assignLayout(admin, members);
    await garage.healthy();
    await administration.importKey(admin, keyName, credentials);
    await garage.createBucket(bucket);
    return garage;
  } catch (error) {
    const log = await nodes[0]!.logTail();
    await endAll(nodes);
    throw new Error(`Garage could not be set up; its log ends with:\n${log}`, { cause: error });
  }
}

async function runGarage(program: string, args: readonly string[]): Promise<string> {
  return (await execa(program, args, { env: GARAGE_ENV, extendEnv: false })).stdout;
}

async function countRequests(nodes: readonly ManagedNode[], adminToken: string): Promise<number> {
  const each = nodes.map(({ adminEndpoint }) => administration.countRequests(adminEndpoint, adminToken));
  return (await Promise.all(each)).reduce((sum, count) => sum + count, 0);
}

async function endAll(nodes: readonly GarageNode[], signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  await Promise.all(nodes.map((node) => node.kill(signal)));
}
