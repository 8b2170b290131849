import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { environmentOf } from './samples/occasions.js';
import { readDocument, TOP } from './support/markdown.js';
import { useSandbox } from './support/sandbox.js';

const { version } = JSON.parse(readDocument('package.json')) as { version: string };
const TAG = `v${version}`;
const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly commands?: readonly string[];
}

/** The lines of the step that publishes, of each of carport's own pipelines. */
const PIPELINES = {
  woodpecker: () => stepNamed('publish', parse(readDocument('.woodpecker.yml')).steps),
  github: () => stepNamed('publish', parse(readDocument('.github/workflows/release.yml')).jobs.publish.steps),
};

function stepNamed(name: string, steps: readonly Step[]): string {
  const { run, commands = [] } = steps.find((step) => step.name === name)!;
  return run ?? commands.join('\n');
}

/** What `.ci/package` makes, as it is called. */
const MADE = {
  'carport-linux-x64': ['x86_64-unknown-linux-gnu', 'carport'],
  'carport-linux-x64.gz': ['x86_64-unknown-linux-gnu', 'carport.gz'],
  'carport-linux-arm64': ['aarch64-unknown-linux-gnu', 'carport'],
  'carport-linux-arm64.gz': ['aarch64-unknown-linux-gnu', 'carport.gz'],
  [`carport-${version}.tgz`]: ['noarch', 'carport.tgz'],
} as const;

describe("carport's own pipeline", () => {
  const box = useSandbox('all');

  const publish = async (system: keyof typeof PIPELINES, bucket: string, tag: string) => {
    const key = await box().makeKey('carport.example.org-1');
    const checkout = box().path(`checkout-${tag}-${system}`);
    await mkdir(join(checkout, 'packages'), { recursive: true });
    for (const name of ['.ci', 'dist', 'node_modules', 'package.json'])
      await symlink(join(TOP, name), join(checkout, name));
    for (const name of Object.keys(MADE)) await writeFile(join(checkout, 'packages', name), `${name}\n`);
    const { exitCode, all } = await execa('bash', ['-eo', 'pipefail', '-c', PIPELINES[system]()], {
      ...{ cwd: checkout, extendEnv: false, reject: false, all: true },
      env: {
        ...box().env,
        ...environmentOf(system, 'tag', { tag, commit: COMMIT }),
        PATH: process.env.PATH!,
        CARPORT_TO: `file://${bucket}`,
        CARPORT_BASE_URL: 'https://carport.example.org/',
        CARPORT_SECRET_KEY: (await readFile(key.file, 'utf8')).trim(),
      },
    });
    expect(all).not.toContain((await readFile(key.file, 'utf8')).trim().split(':')[1]!);
    return { exitCode, all, key };
  };

  it('publishes its files and its page', async () => {
    expect(PIPELINES.woodpecker()).toBe(PIPELINES.github());
    const bucket = box().path('bucket');
    const { exitCode, all, key } = await publish('github', bucket, TAG);
    expect(exitCode, all).toBe(0);
    for (const [name, [target, published]] of Object.entries(MADE)) {
      for (const place of [`_releases/${TAG}`, 'releases/latest/stable']) {
        expect(await readFile(join(bucket, place, target, published), 'utf8')).toBe(`${name}\n`);
      }
    }
    expect(existsSync(join(bucket, '_releases.html'))).toBe(true);
    const check = ['version', '--check', '--releases', bucket, '--release-key', key.publicKey];
    expect((await box().succeed(check)).stdout).toBe(`carport ${version} is the newest\n`);
  });

  it('publishes nothing under a tag that is not the version of the program', async () => {
    const bucket = box().path('bucket-other');
    const { exitCode, all } = await publish('woodpecker', bucket, 'v99.0.0');
    expect(exitCode).toBe(1);
    expect(all).toContain(`is not ${TAG}, the version of package.json`);
    expect(existsSync(bucket)).toBe(false);
  });

  it('gives no secret to pull requests, nor to steps that build', () => {
    const { steps } = parse(readDocument('.woodpecker.yml')) as { steps: readonly { name: string; when?: object }[] };
    const withSecrets = steps.filter((step) => JSON.stringify(step).includes('from_secret'));
    expect(withSecrets.map(({ name, when }) => [name, when])).toEqual([['publish', [{ event: 'tag' }]]]);
    const { jobs } = parse(readDocument('.github/workflows/release.yml')) as {
      jobs: Record<string, { if?: string; steps: readonly Step[] }>;
    };
    const seen = Object.values(jobs).flatMap((job) =>
      job.steps.filter((step) => JSON.stringify(step).includes('secrets.')).map(({ name }) => [name, job.if]),
    );
    expect(seen).toEqual([['publish', "github.ref_type == 'tag'"]]);
  });
});
