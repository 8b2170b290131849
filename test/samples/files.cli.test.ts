import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { TOP } from '../support/markdown.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';
import { TARGETS } from './occasions.js';
import { readSample } from './pipelines.js';
import { program } from './project.js';

describe('with-release-key.sh', () => {
  const box = useSandbox();
  const script = join(TOP, 'samples/ci/with-release-key.sh');
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    execa('sh', [script, ...args], {
      ...{ cwd: box().path('work'), extendEnv: false, reject: false },
      env: { ...box().env, PATH: process.env.PATH!, RELEASE_KEY: 'a-1:c2VjcmV0', ...env },
    });

  it('gives the key in a file of its own, which is gone afterwards', async () => {
    const lines = 'stat -c %a "$CARPORT_SECRET_KEY_FILES"; cat "$CARPORT_SECRET_KEY_FILES"; echo "[$RELEASE_KEY]"';
    const { stdout } = await run(['sh', '-c', lines]);
    expect(stdout).toBe('600\na-1:c2VjcmV0\n[]');
    expect(await readdir(box().path('tmp'))).toEqual([]);
  });

  it('ends as the command does, and leaves nothing', async () => {
    expect(await run(['sh', '-c', 'exit 75'])).toMatchObject({ exitCode: 75 });
    expect(await run(['sh', '-c', 'kill -TERM $PPID; sleep 0.2'])).toMatchObject({ exitCode: 143 });
    expect(await readdir(box().path('tmp'))).toEqual([]);
  });

  it('says what is wrong when there is no key', async () => {
    const { exitCode, stderr } = await run(['true'], { RELEASE_KEY: '' });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('RELEASE_KEY: is not set: CI systems give no secrets');
  });
});

describe('install-carport.sh', () => {
  const box = useSandbox();

  it('installs the commit that it names, and that once', async () => {
    const [sources, prefix] = [box().path('sources'), box().path('npm')];
    const env = { ...box().env, PATH: `${prefix}/bin:${process.env.PATH}`, npm_config_prefix: prefix };
    const run = (file: string, ...args: readonly string[]) =>
      execa(file, args, { cwd: sources, extendEnv: false, env });
    await mkdir(sources);
    const about = { name: 'carport', version: '1.2.3', bin: { carport: 'carport.js' } };
    await writeFile(join(sources, 'package.json'), JSON.stringify(about));
    await writeFile(join(sources, 'package-lock.json'), JSON.stringify({ ...about, lockfileVersion: 3, packages: {} }));
    await program(join(sources, 'carport.js'), ['echo "carport 1.2.3 $*"']);
    await run('git', 'init', '--quiet');
    await run('git', 'add', '.');
    await run('git', '-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', 'commit', '--quiet', '-m', 'One');
    const { stdout: commit } = await run('git', 'rev-parse', 'HEAD');
    const script = readSample('ci/install-carport.sh')
      .replace(/^sources=.*$/m, `sources=file://${sources}`)
      .replace(/^commit=.*$/m, `commit=${commit}`);
    await writeFile(box().path('work/install.sh'), script);
    const install = async () => (await run('sh', box().path('work/install.sh'))).stdout.split('\n');
    expect((await install()).at(-1)).toBe('carport 1.2.3 --version');
    const tree = await readdir(box().path('tmp'));
    expect(await install()).toEqual(['carport 1.2.3 --version']);
    expect(await readdir(box().path('tmp'))).toEqual(tree);
  });

  it('is what the image is made with', () => {
    const file = readSample('ci/Dockerfile');
    expect(file).toContain('COPY install-carport.sh /usr/local/lib/\n');
    const [, image] = /^FROM (\S+)$/m.exec(file)!;
    expect(readSample('.drone.yml')).toContain(`image: ${image}\n`);
  });
});

describe('the other samples', () => {
  const box = useSandbox();

  it.each(['install-carport.sh', 'with-release-key.sh'])('are scripts that shells can read: %s', (name) => {
    for (const shell of ['sh', 'bash']) {
      expect(spawnSync(shell, ['-n', join(TOP, 'samples/ci', name)]).status, shell).toBe(0);
    }
  });

  it('are settings that carport knows', async () => {
    await writeFile(box().path('work/carport.toml'), readSample('carport.toml'));
    const { settings } = JSON.parse((await box().succeed(['config', 'show', '--json'])).stdout);
    expect(settings.find(({ key }: { key: string }) => key === 'required-targets').value).toEqual(TARGETS);
  });

  it('have lines for cron that run', async () => {
    const cron = readSample('carport.cron')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    const entries = cron.filter((line) => !/^\w+=/.test(line));
    const variables = Object.fromEntries(cron.filter((line) => /^\w+=/.test(line)).map((line) => line.split('=')));
    expect(Object.keys(variables)).toEqual(['SHELL', 'PATH', 'CARPORT_SECRET_KEY_FILES']);
    expect(entries).toHaveLength(2);
    const key = await box().makeKey('releases.example.org-1');
    const home = box().path('home');
    await program(box().path('bin/carport'), [`exec ${process.execPath} ${CARPORT} "$@"`]);
    await writeFile(join(home, 'release.sec'), await readFile(key.file), { mode: 0o600 });
    await writeFile(join(home, 'release.env'), `CARPORT_TO=file://${box().path('bucket')}\n`, { mode: 0o600 });
    const to = [
      '--to',
      `file://${box().path('bucket')}`,
      '--secret-key',
      key.file,
      '--tag',
      'v1.0.0',
      '--target',
      'x86_64',
    ];
    await writeFile(box().path('work/tool'), 'tool');
    await box().succeed(['release', 'put', 'tool', ...to]);
    for (const entry of entries) {
      const fields = /^(?:\S+ ){5}releases (.*)$/.exec(entry);
      expect(fields, entry).not.toBeNull();
      // cron takes it for the end of the line.
      expect(fields![1]).not.toContain('%');
      const { all, exitCode } = await execa('sh', ['-c', fields![1]!], {
        ...{ cwd: home, extendEnv: false, reject: false, all: true },
        env: { ...box().env, ...variables, PATH: `${box().path('bin')}:/usr/bin:/bin` },
      });
      expect(all).toBe('');
      expect(exitCode).toBe(0);
    }
    expect(existsSync(box().path('bucket/_releases.html'))).toBe(true);
  });
});
