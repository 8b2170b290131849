import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readDocument, TOP } from './support/markdown.js';
import { describeWithNix } from './support/nix.js';

const SYSTEMS = ['aarch64-darwin', 'aarch64-linux', 'x86_64-darwin', 'x86_64-linux'];
const FILES = ['flake.nix', 'package.json', 'package-lock.json'];
const { version, dependencies } = JSON.parse(readDocument('package.json')) as {
  version: string;
  dependencies: { commander: string };
};

/** Real Nix evaluates the flake, offline: the input is replaced by a stub that has the names which the flake uses. */
describeWithNix('flake.nix', () => {
  let root: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'carport-flake-'));
    await Promise.all(['flake', 'conf', 'home'].map((name) => mkdir(join(root, name))));
    await Promise.all(FILES.map((name) => copyFile(join(TOP, name), join(root, 'flake', name))));
    await writeFile(join(root, 'conf/nix.conf'), 'experimental-features = nix-command flakes\nsubstituters =\n');
  });

  afterAll(async () => {
    await execa('chmod', ['-R', 'u+rwX', root]);
    await rm(root, { recursive: true, force: true });
  });

  const nix = async (command: readonly string[], ...args: readonly string[]): Promise<string> => {
    const home = join(root, 'home');
    const stub = join(TOP, 'test/support/nixpkgs-stub');
    const flags = ['--no-write-lock-file', '--offline', '--override-input', 'nixpkgs', `path:${stub}`];
    const { stdout } = await execa('nix', [...command, ...flags, ...args], {
      env: {
        PATH: process.env.PATH,
        ...{ HOME: home, XDG_CACHE_HOME: home, TMPDIR: root },
        NIX_CONF_DIR: join(root, 'conf'),
        NIX_USER_CONF_FILES: '',
        NIX_REMOTE: `local?root=${join(root, 'nix')}`,
      },
      extendEnv: false,
    });
    return stdout;
  };
  const flake = () => `path:${join(root, 'flake')}`;

  it('has a package, a shell and checks for every system', async () => {
    const shown = JSON.parse(await nix(['flake', 'show', '--json', flake()])) as Record<string, unknown>;
    const names = [`carport-${version}`, 'shell-0', `carport-check-${version}`];
    for (const [index, output] of ['packages', 'devShells', 'checks'].entries()) {
      const systems = Object.entries(shown[output] as Record<string, { default: { name?: string; type?: string } }>);
      expect(systems.map(([system]) => system).sort()).toEqual(SYSTEMS);
      for (const [, { default: derivation }] of systems) {
        expect(derivation).toMatchObject({ type: 'derivation', name: names[index] });
      }
    }
    expect(Object.keys(shown).sort()).toEqual(['checks', 'devShells', 'packages']);
  });

  it('takes every dependency by the hash in the lock file', async () => {
    const deps = `${flake()}#packages.x86_64-linux.default.arguments.npmDeps.arguments.nativeBuildInputs`;
    const sources = JSON.parse(await nix(['eval', '--json'], deps)) as readonly string[];
    expect(sources.filter((path) => path.endsWith(`-commander-${dependencies.commander}.tgz`))).toHaveLength(1);
    expect(sources.length).toBeGreaterThan(100);
  });

  it('has a shell with what development needs', async () => {
    const packages = await nix(
      ['eval', '--json'],
      `${flake()}#devShells.x86_64-linux.default.arguments.packages`,
      '--apply',
      'map (each: each.name)',
    );
    for (const name of ['nodejs_24', 'garage', 'nix']) expect(JSON.parse(packages)).toContain(name);
  });

  it('checks with tests', async () => {
    const check = await nix(['eval', '--raw'], `${flake()}#checks.x86_64-linux.default.arguments.checkPhase`);
    expect(check).toContain('vitest run');
  });
});
