/** One server of it: configuration, start, kill. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** One server of a Garage cluster. */
export interface GarageNode {
  readonly s3Endpoint: string;
  readonly websitePort: number;
  /** `undefined` while it does not run. */
  readonly pid: number | undefined;
  /** Sends a signal that ends it, SIGKILL if none is given, and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again after `kill`, with its data and ports, when these are free; waits until it listens. */
  start(): Promise<void>;
}

/** What only the cluster needs of its node. */
export interface ManagedNode extends GarageNode {
  readonly adminEndpoint: string;
  /** The configuration file. */
  readonly config: string;
  /** `<id>@<address>`, once it has run. */
  address(): Promise<string>;
  /** The end of its log. */
  logTail(): Promise<string>;
}

export interface NodePorts {
  readonly s3: number;
  readonly rpc: number;
  readonly website: number;
  readonly admin: number;
}

export interface NodeOptions {
  readonly program: string;
  /** For its configuration, log and data. */
  readonly directory: string;
  readonly ports: NodePorts;
  readonly replicationFactor: number;
  readonly rpcSecret: string;
  readonly adminToken: string;
}

export const REGION = 'garage';

/** The environment of Garage's programs: nothing of the user's, of which GARAGE_… would override the configuration. */
export const GARAGE_ENV = { PATH: process.env.PATH ?? '/usr/bin:/bin', NO_COLOR: '1' };

/** Thrown by `start` when another process has one of the ports. */
export class PortTakenError extends Error {
  override readonly name = 'PortTakenError';
}

/** How long a start may take on a busy machine. */
const DEADLINE_MS = 60_000;

/** Writes the configuration of a node; does not start it. `changed` is called when its process came or went. */
export async function createNode(options: NodeOptions, changed: () => void): Promise<ManagedNode> {
  const { program, directory, ports } = options;
  const [config, log] = [join(directory, 'garage.toml'), join(directory, 'garage.log')];
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(config, renderConfig(options), { mode: 0o600 });
  let running: ChildProcess | undefined;
  let hasRun = false;
  let kills = 0;

  const startOnce = async () => {
    if (running) throw new Error('the node is running');
    const child = await launch(program, config, log);
    running = child;
    changed();
    child.once('exit', () => {
      // Whoever killed it while it started may have started it again.
      if (running === child) running = undefined;
      changed();
    });
    await endUnlessListening(child, log, ports);
  };

  return {
    s3Endpoint: `http://127.0.0.1:${ports.s3}`,
    websitePort: ports.website,
    adminEndpoint: `http://127.0.0.1:${ports.admin}`,
    config,
    get pid() {
      return running?.pid;
    },
    async kill(signal = 'SIGKILL') {
      kills++;
      if (running) await end(running, signal);
    },
    async start() {
      const killsBefore = kills;
      const deadline = performance.now() + DEADLINE_MS;
      for (;;) {
        try {
          await startOnce();
          hasRun = true;
          return;
        } catch (error) {
          // While it was down others could take its ports, and may give them back.
          const isTaken = error instanceof PortTakenError && hasRun && kills === killsBefore;
          if (!isTaken || performance.now() > deadline) throw error;
          await sleep(500);
        }
      }
    },
    async address() {
      const id = await readFile(join(directory, 'meta', 'node_key.pub'));
      return `${id.toString('hex')}@127.0.0.1:${ports.rpc}`;
    },
    logTail: async () => tail(await readFile(log, 'utf8')),
  };
}

function renderConfig({ directory, ports, replicationFactor, rpcSecret, adminToken }: NodeOptions): string {
  const address = (port: number) => JSON.stringify(`127.0.0.1:${port}`);
  // NARs are compressed already.
  return `metadata_dir = ${JSON.stringify(join(directory, 'meta'))}
data_dir = ${JSON.stringify(join(directory, 'data'))}
db_engine = "lmdb"
replication_factor = ${replicationFactor}
compression_level = "none"
rpc_bind_addr = ${address(ports.rpc)}
rpc_public_addr = ${address(ports.rpc)}
rpc_secret = "${rpcSecret}"
[s3_api]
s3_region = "${REGION}"
api_bind_addr = ${address(ports.s3)}
root_domain = ".s3.localhost"
[s3_web]
bind_addr = ${address(ports.website)}
root_domain = ".web.localhost"
[admin]
api_bind_addr = ${address(ports.admin)}
admin_token = "${adminToken}"
`;
}

async function launch(program: string, config: string, log: string): Promise<ChildProcess> {
  const output = await open(log, 'w', 0o600);
  try {
    // In a session of its own: Ctrl-C is for whom started it, who ends it in order.
    const child = spawn(program, ['-c', config, 'server'], {
      cwd: '/',
      env: GARAGE_ENV,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    });
    child.unref();
    return child.on('error', () => {});
  } finally {
    await output.close();
  }
}

/** Waits until a server listens; kills one that does not. */
async function endUnlessListening(child: ChildProcess, log: string, ports: NodePorts): Promise<void> {
  try {
    await waitUntilListening(child, log, ports);
  } catch (error) {
    await end(child, 'SIGKILL');
    throw error;
  }
}

/** Looks at the log, too, and whose ports they are: one that answers may be another's. Garage then goes on without, and for two it does not say. */
async function waitUntilListening(child: ChildProcess, log: string, ports: NodePorts): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    // Not the RPC port, where a visitor who says nothing is an error in the log.
    const answered = await Promise.all([ports.s3, ports.website, ports.admin].map(answers));
    const text = await readFile(log, 'utf8');
    const taken = /^.*Address already in use.*$/m.exec(text)?.[0];
    if (taken) throw new PortTakenError(`a port of Garage is taken: ${taken}`);
    if (hasEnded(child)) throw new Error(`Garage ended instead of starting:\n${tail(text)}`);
    // It tells of a port just before it tries it, and on a busy machine a while later that it failed.
    const told = Object.values(ports).every((port) => text.includes(`127.0.0.1:${port}\n`));
    if (told && answered.every(Boolean) && (await listensAt(child.pid!, [ports.s3, ports.website, ports.admin])))
      return;
    if (performance.now() > deadline) throw new Error(`Garage did not start within a minute:\n${tail(text)}`);
    await sleep(20);
  }
}

/** Whether it is this process that listens at ports: by `/proc` (proc(5)), which tells sockets by their inodes; true where there is none. */
async function listensAt(pid: number, ports: readonly number[]): Promise<boolean> {
  const table = await readFile('/proc/net/tcp', 'latin1').catch(() => undefined);
  if (table === undefined) return true;
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const own = new Set(await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => ''))));
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  return ports.every((port) => {
    const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    return rows.some((row) => row[1] === address && row[3] === LISTENING && own.has(`socket:[${row[9]}]`));
  });
}

/** A state of `/proc/net/tcp`. */
const LISTENING = '0A';

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function hasEnded({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return;
  const gone = once(child, 'exit');
  child.ref();
  child.kill(signal);
  await gone;
}

function tail(log: string): string {
  return log.trimEnd().split('\n').slice(-20).join('\n');
}
