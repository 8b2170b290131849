import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from 'vitest';
import { type Garage, startGarage } from '#dev/garage.js';
import { findGarage, howToInstallGarage } from '#dev/garage-program.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { isAlive } from '../support/processes.js';

describeWithGarage('one node of Garage', () => {
  // Its node is ended.
  const garage = useGarage({ nodes: 1 });

  it('takes objects and gives them back', async () => {
    const bucket = await garage().freshBucket();
    await put(garage(), bucket, 'a/b', 'hello');
    expect(await get(garage(), bucket, 'a/b')).toBe('hello');
  });

  it('has a first bucket, and gives each test another', async () => {
    const [one, two] = [await garage().freshBucket(), await garage().freshBucket()];
    expect(one).not.toBe(two);
    const buckets = await garage().cli(['bucket', 'list']);
    for (const name of ['nix', one, two]) expect(buckets).toContain(name);
  });

  it('serves the bucket that has the alias localhost', async () => {
    const [one, two] = [await garage().freshBucket(), await garage().freshBucket()];
    await Promise.all([put(garage(), one, 'x', 'of one'), put(garage(), two, 'x', 'of two')]);
    const read = async (url: string) => (await fetch(`${url}/x`)).text();
    expect(await read(await garage().serve(one))).toBe('of one');
    expect(await read(await garage().serve(two))).toBe('of two');
  });

  it('has keys that may do less', async () => {
    const bucket = await garage().freshBucket();
    await put(garage(), bucket, 'x', 'hello');
    const credentials = await garage().createKey('reader', { bucket, read: true });
    const reader = { ...garage(), credentials };
    expect(await get(reader, bucket, 'x')).toBe('hello');
    await expect(put(reader, bucket, 'x', 'other')).rejects.toThrow('Forbidden');
  });

  it('gives URLs as people write them', () => {
    const { s3Endpoint } = garage().nodes[0]!;
    expect(garage().url('nix', { compression: 'xz' })).toBe(
      `s3://nix?endpoint=${s3Endpoint}&region=garage&compression=xz`,
    );
  });

  it('ends and starts again with its data', async () => {
    const [node] = garage().nodes;
    const bucket = await garage().freshBucket();
    await put(garage(), bucket, 'x', 'hello');
    const before = node!.pid!;
    await node!.kill();
    expect(node!.pid).toBeUndefined();
    expect(isAlive(before)).toBe(false);
    await expect(fetch(node!.s3Endpoint)).rejects.toThrow();
    await node!.start();
    await garage().healthy();
    expect(await get(garage(), bucket, 'x')).toBe('hello');
  });

  it('waits for a port that was taken while it was down', async () => {
    const [node] = garage().nodes;
    await node!.kill();
    const other = createServer().listen(Number(new URL(node!.s3Endpoint).port), '127.0.0.1');
    await once(other, 'listening');
    let hasStarted = false;
    const started = node!.start().then(() => {
      hasStarted = true;
    });
    await sleep(1500);
    expect(hasStarted).toBe(false);
    other.close();
    await started;
    await garage().healthy();
  });

  it('can be killed while it starts, and started again', async () => {
    const [node] = garage().nodes;
    await node!.kill();
    const first = node!.start();
    while (node!.pid === undefined) await sleep(1);
    await node!.kill();
    const [one, two] = await Promise.allSettled([first, node!.start()]);
    expect([one.status, two.status]).toEqual(['rejected', 'fulfilled']);
    expect(isAlive(node!.pid!)).toBe(true);
    await garage().healthy();
  });

  it('keeps its secrets for its user alone', async () => {
    const { mode } = await stat(garage().directory);
    expect(mode & 0o077).toBe(0);
  });
});

describeWithGarage('three nodes of Garage', () => {
  const garage = useGarage({ nodes: 3 });

  it('go on when one is killed, and take it back', async () => {
    const bucket = await garage().freshBucket();
    const [first, second, third] = garage().nodes;
    await put(garage(), bucket, 'a', 'before');
    await third!.kill();
    expect(await get(garage(), bucket, 'a', second!.s3Endpoint)).toBe('before');
    await put(garage(), bucket, 'b', 'while it is away');
    await third!.start();
    await garage().healthy();
    expect(await get(garage(), bucket, 'b', third!.s3Endpoint)).toBe('while it is away');
    await first!.kill();
    expect(await get(garage(), bucket, 'b', third!.s3Endpoint)).toBe('while it is away');
    await first!.start();
    await garage().healthy();
  });

  it('refuse to write when two are killed', async () => {
    const bucket = await garage().freshBucket();
    const [first, second, third] = garage().nodes;
    await Promise.all([second!.kill(), third!.kill()]);
    await expect(put(garage(), bucket, 'a', 'x', first!.s3Endpoint)).rejects.toThrow();
    await Promise.all([second!.start(), third!.start()]);
    await garage().healthy();
    await put(garage(), bucket, 'a', 'x', first!.s3Endpoint);
  });
});

describeWithGarage('the end of a Garage', () => {
  const script = fileURLToPath(new URL('../../dist/dev/garage.js', import.meta.url));
  const temporary: string[] = [];
  afterEach(async () => {
    for (const path of temporary.splice(0)) await rm(path, { recursive: true, force: true });
  });

  it('leaves no process and no directory after `stop`', async () => {
    const garage = await startGarage({ nodes: 3 });
    const pids = garage.nodes.map(({ pid }) => pid!);
    expect(pids.every(isAlive)).toBe(true);
    await garage.stop();
    expect(pids.some(isAlive)).toBe(false);
    expect(existsSync(garage.directory)).toBe(false);
    await garage.stop();
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL', 'uncaught'] as const)('comes with that of its process: %s', async (how) => {
    const fail = how === 'uncaught' ? "throw new Error('uncaught');" : '';
    const { child, told } = await startInProcess(`${START}; setInterval(() => {}, 1000); ${fail}`);
    if (how !== 'uncaught') child.kill(how);
    await expectNothingLeft(told);
  });

  it('does not wait for a process that has nothing else to do', async () => {
    const { child, told } = await startInProcess(START);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
    await expectNothingLeft(told);
  });

  it('leaves a directory that was given, and what is in it can be used again', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'carport-garage-kept-'));
    temporary.push(directory);
    const first = await startGarage({ directory });
    await put(first, 'nix', 'x', 'kept');
    await first.stop();
    const second = await startGarage({ directory });
    try {
      expect(second.credentials).toEqual(first.credentials);
      expect(second.nodes[0]!.s3Endpoint).toBe(first.nodes[0]!.s3Endpoint);
      expect(await get(second, 'nix', 'x')).toBe('kept');
      await expect(startGarage({ directory })).rejects.toThrow('are taken: does it run?');
    } finally {
      await second.stop();
    }
    expect(existsSync(directory)).toBe(true);
    await expect(startGarage({ directory, nodes: 3 })).rejects.toThrow('is of a Garage with 1 nodes');
  });

  /** What a process that starts a Garage tells of it. */
  interface Told {
    readonly pids: readonly number[];
    readonly directory: string;
  }

  const START = `
    const { startGarage } = await import(${JSON.stringify(script)});
    const garage = await startGarage();
    console.log(JSON.stringify({ pids: garage.nodes.map(({ pid }) => pid), directory: garage.directory }))`;

  async function startInProcess(code: string): Promise<{ readonly child: ChildProcess; readonly told: Told }> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = await once(createInterface(child.stdout), 'line');
    const told = JSON.parse(line) as Told;
    expect(told.pids).toHaveLength(1);
    return { child, told };
  }

  async function expectNothingLeft({ pids, directory }: Told): Promise<void> {
    const left = () => [pids.filter(isAlive), existsSync(directory)];
    await expect.poll(left, { interval: 20 }).toEqual([[], false]);
  }
});

describe('looking for Garage', () => {
  let directory: string;
  const inDirectory = async (version: string) => {
    directory = await mkdtemp(join(tmpdir(), 'carport-garage-program-'));
    await writeFile(join(directory, 'garage'), `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
    return { program: join(directory, 'garage'), env: { PATH: directory, XDG_CACHE_HOME: directory } };
  };
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('takes what it is told, then PATH, then the folder of peers', async () => {
    const { program, env } = await inDirectory('garage v2.1.0 [features: …]');
    expect(await findGarage(env)).toEqual({ program, version: '2.1.0' });
    const told = { CARPORT_GARAGE: program, PATH: '', XDG_CACHE_HOME: '/nowhere' };
    expect(await findGarage(told)).toEqual({ program, version: '2.1.0' });
    expect(await findGarage({ ...env, CARPORT_GARAGE: '/nowhere/garage' })).toEqual({
      missing: 'there is no program /nowhere/garage',
    });
  });

  it('refuses one that is too old, or something else', async () => {
    const old = await inDirectory('garage v1.0.1 [features: …]');
    expect(await findGarage(old.env)).toEqual({ missing: `${old.program} is Garage 1.0.1: too old` });
    await rm(directory, { recursive: true });
    const other = await inDirectory('a shop for cars');
    expect(await findGarage(other.env)).toEqual({ missing: `${other.program} is not a Garage that runs` });
  });

  it('says how to get it', async () => {
    directory = await mkdtemp(join(tmpdir(), 'carport-garage-program-'));
    const env = { PATH: directory, XDG_CACHE_HOME: directory };
    expect(await findGarage(env)).toEqual({ missing: 'Garage is missing' });
    expect(howToInstallGarage(env)).toContain(
      `cargo install garage --locked --version 2.5.0 --root ${directory}/carport/peers`,
    );
  });
});

type Access = Pick<Garage, 'nodes' | 'region' | 'credentials'>;

function connect({ nodes, region, credentials }: Access, endpoint = nodes[0]!.s3Endpoint): S3Client {
  // A copy of the credentials, as the client writes into them.
  return new S3Client({ endpoint, region, credentials: { ...credentials }, forcePathStyle: true, maxAttempts: 1 });
}

async function put(garage: Access, bucket: string, key: string, body: string, endpoint?: string): Promise<void> {
  const client = connect(garage, endpoint);
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body })).finally(() => client.destroy());
}

async function get(garage: Access, bucket: string, key: string, endpoint?: string): Promise<string> {
  const client = connect(garage, endpoint);
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return await Body!.transformToString();
  } finally {
    client.destroy();
  }
}
