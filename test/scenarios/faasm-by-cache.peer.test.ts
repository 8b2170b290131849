import { mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, it } from 'vitest';
import { createDeveloper, type Developer } from '../support/developer.js';
import { describeWithProgram } from '../support/programs.js';
import { snapshot, writeFiles } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

const SCRIPTS = '/opt/carport/test/scenarios/faasm/by-cache';

/** What is downloaded as what, where it comes to, and the archive that it was published in. */
const PARTS = [
  { what: 'toolchain', tree: 'toolchain', archive: 'faasm-toolchain' },
  { what: 'sysroot', tree: 'llvm-sysroot', archive: 'faasm-sysroot' },
  { what: 'runtime', tree: 'runtime_root', archive: 'faasm-runtime-root' },
] as const;

describeWithProgram('bwrap', "Faasm's downloads, without Nix", () => {
  const box = useSandbox('all');
  let maintainer: Developer;
  let developer: Developer;
  beforeAll(async () => {
    const programs = ['chmod', 'mkdir', 'mktemp', 'rm', 'tar', 'gzip'];
    for (const name of ['cache', 'archives']) await mkdir(box().path(name));
    const writable = { '/srv/cache': box().path('cache') };
    const shared = { '/srv/archives': box().path('archives') };
    maintainer = await createDeveloper(box(), 'maintainer', { programs, writable, shared });
    developer = await createDeveloper(box(), 'developer', { programs, shared: { '/srv/cache': box().path('cache') } });
    await maintainer.succeed('carport key generate faasm-1 --out cache.sec > cache.pub');
    for (const version of ['1.2.3', '1.2.4']) await makeArchives(version);
  });

  /** The trees of a version, and the archives of them that a release has. */
  const makeArchives = async (version: string) => {
    const trees = box().path(`trees-${version}`);
    await writeFiles(join(trees, 'toolchain'), {
      'bin/clang-10': { script: `#!/bin/sh\necho clang of ${version}\n` },
      'bin/clang': { link: 'clang-10' },
      'lib/clang/10.0.1/include/stddef.h': '/* the same in each version */\n',
    });
    await writeFiles(join(trees, 'llvm-sysroot'), {
      'lib/wasm32-wasi/libc.a': Buffer.alloc(300_000, `objects of ${version} `),
      'include/a name with spaces.h': `/* ${version} */\n`,
    });
    await writeFiles(join(trees, 'runtime_root'), {
      'lib/python3.8/site.py': `version = "${version}"\n`,
      'etc/hosts': '',
    });
    for (const { tree, archive } of PARTS) {
      await execa('tar', ['-czf', box().path('archives', `${archive}-${version}.tar.gz`), '-C', trees, tree]);
    }
  };

  const publish = async (args: string, more: Readonly<Record<string, string>> = {}) => {
    const env = { CARPORT_TO: 'file:///srv/cache', CARPORT_SECRET_KEY_FILES: 'cache.sec', ...more };
    return maintainer.shell(`${SCRIPTS}/publish.sh ${args}`, env);
  };
  const download = async (args: string, more: Readonly<Record<string, string>> = {}) => {
    const publicKey = (await readFile(join(maintainer.directory, 'cache.pub'), 'utf8')).trim();
    const env = { CARPORT_FROM: 'file:///srv/cache', CARPORT_TRUSTED_KEYS: publicKey, ...more };
    return developer.shell(`${SCRIPTS}/download.sh ${args}`, env);
  };
  /** The files of what a developer has, and of a version. */
  const downloaded = async (tree: string) => {
    const target = await readlink(join(developer.directory, tree));
    return snapshot(target.replace('/home/developer', developer.directory));
  };
  const published = (tree: string, version: string) => snapshot(box().path(`trees-${version}`, tree));

  it('are refused a version of which an archive is missing, and nothing is published', async () => {
    expect(await publish('1.2.5 /srv/archives')).toMatchObject({
      exitCode: 5,
      stderr: 'publish.sh: `/srv/archives/faasm-toolchain-1.2.5.tar.gz` does not exist\n',
    });
    expect(await publish('')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('usage') });
    expect(await publish('../1.2.3 /srv/archives')).toMatchObject({ exitCode: 2 });
    expect(await publish('--current')).toMatchObject({ exitCode: 2 });
    expect(await publish('1.2.3 /srv/archives', { CARPORT_TO: '' })).toMatchObject({ exitCode: 2 });
    expect(await maintainer.succeed('ls /srv/cache')).toBe('');
  });

  it('have what was published', async () => {
    expect(await publish('1.2.3 /srv/archives')).toMatchObject({ exitCode: 0 });
    for (const { what, tree } of PARTS) {
      expect(await download(what), what).toMatchObject({ exitCode: 0, stdout: '' });
      expect(await downloaded(tree)).toEqual(await published(tree, '1.2.3'));
    }
    expect(await developer.succeed('./toolchain/bin/clang')).toBe('clang of 1.2.3');
  });

  it('have the newest in place of what was there, and an older version when it is named', async () => {
    expect(await publish('1.2.4 /srv/archives')).toMatchObject({ exitCode: 0 });
    expect(await developer.succeed('./toolchain/bin/clang')).toBe('clang of 1.2.3');
    for (const { what, tree } of PARTS) {
      expect(await download(what), what).toMatchObject({ exitCode: 0 });
      expect(await downloaded(tree)).toEqual(await published(tree, '1.2.4'));
    }
    expect(await download('sysroot 1.2.3')).toMatchObject({ exitCode: 0 });
    expect(await downloaded('llvm-sysroot')).toEqual(await published('llvm-sysroot', '1.2.3'));
  });

  it('replace a directory of an archive', async () => {
    await developer.succeed('mkdir -p old/toolchain/bin && : > old/toolchain/bin/clang-9');
    expect(await download('toolchain 9.9.9', { FAASM_ROOT: 'old' })).toMatchObject({ exitCode: 5 });
    expect(await developer.succeed('ls old/toolchain/bin')).toBe('clang-9');
    expect(await download('toolchain', { FAASM_ROOT: 'old' })).toMatchObject({ exitCode: 0 });
    expect(await developer.succeed('./old/toolchain/bin/clang')).toBe('clang of 1.2.4');
  });

  it('leave what was there when they fail: a wrong version, a wrong key, a wrong word', async () => {
    const before = await readlink(join(developer.directory, 'toolchain'));
    expect(await download('toolchain 9.9.9')).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('there is no pin `faasm-toolchain-9.9.9`'),
    });
    const foreign = await box().makeKey('faasm-1');
    expect(await download('toolchain', { CARPORT_TRUSTED_KEYS: foreign.publicKey })).toMatchObject({ exitCode: 6 });
    expect(await download('everything')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('none of') });
    expect(await readlink(join(developer.directory, 'toolchain'))).toBe(before);
  });

  it('are the newest when a job that published an older version is run again', async () => {
    const again = await publish('1.2.3 /srv/archives');
    expect(again).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('`faasm-toolchain` stays: 1.2.3 was') });
    const root = { FAASM_ROOT: 'again' };
    await developer.succeed('mkdir again');
    for (const { what, tree } of PARTS) {
      expect(await download(what, root), what).toMatchObject({ exitCode: 0 });
      expect(await downloaded(`again/${tree}`)).toEqual(await published(tree, '1.2.4'));
    }
  });

  it('are an older version again when that is said, and the newest when a job did not come to that', async () => {
    const clang = async () => {
      expect(await download('toolchain', { FAASM_ROOT: 'again' })).toMatchObject({ exitCode: 0 });
      return developer.succeed('./again/toolchain/bin/clang');
    };
    expect(await publish('--current 1.2.3 /srv/archives')).toMatchObject({ exitCode: 0 });
    expect(await clang()).toBe('clang of 1.2.3');
    // What a job has done that was killed then.
    await makeArchives('1.2.5');
    for (const { archive, tree } of PARTS) {
      const name = `${archive}-1.2.5`;
      await maintainer.succeed(
        `tar -xzf /srv/archives/${name}.tar.gz && p=$(carport store add ${tree} --name ${name}) && carport push "$p" --pin ${name}`,
        { CARPORT_TO: 'file:///srv/cache', CARPORT_SECRET_KEY_FILES: 'cache.sec' },
      );
    }
    expect(await clang()).toBe('clang of 1.2.3');
    expect(await publish('1.2.5 /srv/archives')).toMatchObject({ exitCode: 0 });
    expect(await clang()).toBe('clang of 1.2.5');
  });

  it('are refused an archive that is none', async () => {
    for (const { archive } of PARTS) await writeFile(box().path('archives', `${archive}-1.2.6.tar.gz`), 'text');
    expect(await publish('1.2.6 /srv/archives')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('faasm-toolchain-1.2.6.tar.gz` cannot be unpacked'),
    });
  });

  it('are refused a version that is there with other content', async () => {
    await writeFiles(box().path('trees-1.2.4/toolchain'), { NEWS: 'more\n' });
    const { archive, tree } = PARTS[0];
    await execa('tar', [
      '-czf',
      box().path('archives', `${archive}-1.2.4.tar.gz`),
      '-C',
      box().path('trees-1.2.4'),
      tree,
    ]);
    expect(await publish('1.2.4 /srv/archives')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('`faasm-toolchain-1.2.4` is there already, with other content'),
    });
  });
});
