import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeWithGarage } from '../support/garage.js';

const SCRIPT = fileURLToPath(new URL('../../dist/dev/serve-garage.js', import.meta.url));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'carport-serve-garage-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return execa(process.execPath, [SCRIPT, ...args], { env: { TMPDIR: directory, ...env }, reject: false });
}

describe('npm run dev:garage', () => {
  it('has help', async () => {
    const { exitCode, stdout } = await run(['--help']);
    expect(exitCode).toBe(0);
    for (const option of ['--nodes 1|3', '--keep DIR']) expect(stdout).toContain(option);
  });

  it.each([
    [['--nodes', '2'], '--nodes is 1 or 3, not 2'],
    [['--what'], "Unknown option '--what'"],
    [['here'], "Unexpected argument 'here'"],
  ])('refuses %j', async (args, message) => {
    const { exitCode, stdout, stderr } = await run(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(`error: ${message}`);
  });

  it('says how to get Garage where it is missing', async () => {
    const { exitCode, stderr } = await run([], { PATH: directory, XDG_CACHE_HOME: directory, CARPORT_GARAGE: '' });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^error: Garage is missing\nhint: install it with `cargo install garage .*8 minutes/);
  });
});

describeWithGarage('npm run dev:garage, with Garage', () => {
  it('prints what it takes to write and to read, until Ctrl-C', async () => {
    const garage = await serve([]);
    const [accessKeyId, secretAccessKey] = [find(garage, /KEY_ID=(\S+)/), find(garage, /SECRET_ACCESS_KEY=(\S+)/)];
    const [, endpoint, region] = /--to 's3:\/\/nix\?endpoint=(\S+)&region=(\w+)'/.exec(garage.output) ?? [];
    const credentials = { accessKeyId, secretAccessKey };
    const client = new S3Client({ endpoint: endpoint!, region: region!, credentials, forcePathStyle: true });
    await client.send(new PutObjectCommand({ Bucket: 'nix', Key: 'x', Body: 'hello' }));
    client.destroy();
    const response = await fetch(`${find(garage, /extra-substituters = (\S+)/)}/x`);
    expect(await response.text()).toBe('hello');
    const data = find(garage, /Its data are in (\S+), and are removed/);
    expect(existsSync(data)).toBe(true);
    expect(await garage.interrupt()).toBe(0);
    expect(existsSync(data)).toBe(false);
  });

  it('keeps its keys and ports if asked', async () => {
    const kept = join(directory, 'kept');
    const first = await serve(['--keep', kept]);
    expect(await first.interrupt()).toBe(0);
    const second = await serve(['--keep', kept]);
    expect(await second.interrupt()).toBe(0);
    expect(second.output).toBe(first.output);
    const { exitCode, stderr } = await run(['--keep', kept, '--nodes', '3']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('is of a Garage with 1 nodes');
  });

  interface Serving {
    readonly output: string;
    /** Gives the exit code. */
    interrupt(): Promise<number | undefined>;
  }

  async function serve(args: readonly string[]): Promise<Serving> {
    const child = run(args);
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (/^extra-trusted-public-keys.*\n/m.test(output)) resolve();
      });
      child.once('exit', () => reject(new Error(`it ended, having said: ${output}`)));
    });
    return {
      output,
      async interrupt() {
        child.kill('SIGINT');
        return (await child).exitCode;
      },
    };
  }

  function find({ output }: Serving, pattern: RegExp): string {
    const found = pattern.exec(output)?.[1];
    if (found === undefined) throw new Error(`there is no ${pattern} in: ${output}`);
    return found;
  }
});
