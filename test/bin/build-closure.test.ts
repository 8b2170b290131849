import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore, nix } from '../support/nix.js';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

/** A toolchain as small as can be: an archive with a known hash, a library of it, a compiler with that, an app. */
const EXPRESSION = `
  let
    run = attributes: derivation ({ system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin"; } // attributes);
    script = builtins.path { name = "build.sh"; path = ./build.sh; };
    archive = run {
      name = "archive"; args = [ "-c" "echo archive > $out" ];
      outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" "archive\\n";
    };
    library = run { name = "library"; args = [ script ]; inputs = [ archive ]; };
    compiler = run {
      name = "compiler"; outputs = [ "out" "lib" ];
      args = [ "-c" "echo \${library} > $out; : > $lib" ];
    };
  in rec {
    inherit compiler;
    app = run { name = "app"; args = [ script ]; inputs = [ compiler compiler.lib ]; };
    lone = run { name = "lone"; args = [ script ]; inputs = [ ]; };
    slow = run { name = "slow"; args = [ "-c" "echo it sleeps >&2; sleep 977" ]; };
    broken = run { name = "broken"; args = [ "-c" "echo I am broken >&2; exit 1" ]; };
    many = builtins.genList (n: run { name = "many-\${toString n}"; args = [ script ]; }) 10;
  }
`;
const FLAKE = `{
  outputs = _: {
    tool = derivation { name = "flake-tool"; system = "SYSTEM"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; };
  };
}`;

/** What the closure of `app` has, without what `app` is. */
const TOOLCHAIN = ['app.drv', 'archive', 'archive.drv', 'build.sh', 'compiler', 'compiler-lib', 'compiler.drv'].concat([
  ...['library', 'library.drv'],
]);

describeWithNix('a build closure', () => {
  const box = useSandbox('all');
  const each = useSandbox();
  let builder: NixStore;
  let key: KeyFile;
  let file: string;
  let app: { readonly derivation: string; readonly output: string };

  beforeAll(async () => {
    builder = await createNixStore();
    key = await box().makeKey('carport-test-1');
    file = box().path('work/default.nix');
    await writeFile(file, EXPRESSION);
    await writeFile(box().path('work/build.sh'), 'echo "$inputs" > "$out"\n');
    const system = JSON.parse(await builder.run('nix-instantiate', ['--eval', '-E', 'builtins.currentSystem']));
    await writeFile(box().path('work/flake.nix'), FLAKE.replace('SYSTEM', system));
    const output = await builder.run('nix-build', [file, '-A', 'app', '--no-out-link']);
    app = { output, derivation: await builder.run('nix-store', ['-q', '--deriver', output]) };
  });
  afterAll(() => builder.remove());

  /** Runs carport beside a store of Nix. */
  const carport = (args: readonly string[], store = builder) =>
    box().carport([...args, '--secret-key', key.file], { env: store.env });
  const push = async (...args: readonly string[]) => {
    const ran = await carport(['push', ...args, '--to', each().path('cache')]);
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const refresh = (args: readonly string[], store = builder) =>
    carport(['cache', 'refresh-toolchain', ...args, '--file', file, '--to', each().path('cache')], store);
  const cached = async () => [...(await narInfosOf(each().path('cache'))).keys()].sort();

  /** Names of what a fresh store, which has all of the cache and nothing else, builds for the same expression. */
  async function buildsFromCache(attribute: string): Promise<readonly string[]> {
    const store = await createNixStore({ settings: { 'trusted-public-keys': key.publicKey } });
    try {
      const paths = await cached();
      const from = ['copy', '--from', `file://${each().path('cache')}`, '--no-recursive'];
      const isDerivation = (path: string) => path.endsWith('.drv');
      // Outputs first: without `--no-recursive` they would be fetched by their derivations, too.
      const outputs = paths.filter((path) => !isDerivation(path));
      await store.run('nix', [...from, ...outputs]);
      await store.run('nix', [...from, '--derivation', ...paths.filter(isDerivation)]);
      const { stderr, stdout } = await execa('nix-build', [file, '-A', attribute, '--no-out-link'], {
        ...{ env: store.env, extendEnv: false, cwd: store.root },
      });
      expect(existsSync(store.realPath(stdout.trim()))).toBe(true);
      return [...stderr.matchAll(/^building '.*?\/[a-z0-9]{32}-(.*)\.drv'/gm)].map(([, name]) => name!);
    } finally {
      await store.remove();
    }
  }

  describe('that is pushed', () => {
    it.each(['derivation', 'output'] as const)('from the %s lets Nix build nothing', async (root) => {
      const { stderr } = await push(app[root], '--closure', 'build');
      expect(await cached()).toEqual(
        (await builder.run('nix-store', ['-qR', '--include-outputs', app.derivation])).split('\n').sort(),
      );
      expect(namesOf(await cached())).toEqual([...TOOLCHAIN, 'app'].sort());
      expect(stderr).not.toContain('warning');
      expect(await buildsFromCache('app')).toEqual([]);
    });

    it('with `--toolchain-only` lets Nix build the final output and nothing else', async () => {
      const { lines } = await push(app.derivation, '--toolchain-only');
      expect(namesOf(await cached())).toEqual([...TOOLCHAIN].sort());
      expect([...lines].sort()).toEqual(await cached());
      expect(await buildsFromCache('app')).toEqual(['app']);
    });

    it('is what `carport closure` shows', async () => {
      for (const [root, flags, kind] of [
        [app.derivation, ['--build'], ['--closure', 'build']],
        [app.output, ['--toolchain-only'], ['--toolchain-only']],
      ] as const) {
        const shown = await box().succeed(['closure', root, ...flags], { env: builder.env });
        expect((await push(root, ...kind)).lines).toEqual(shown.lines);
      }
    });

    // What the seed did by hand. Before 2.15 a derivation stood for its outputs, and nothing was said of it.
    const [major, minor] = 'version' in nix ? nix.version.split('.').map(Number) : [];
    it.skipIf(major !== 2 || minor! >= 15)('has the derivations, which `nix copy` loses in silence', async () => {
      const closure = (await builder.run('nix-store', ['-qR', '--include-outputs', app.derivation])).split('\n');
      const copied = async (name: string, ...args: readonly string[]) => {
        await builder.run('nix', ['copy', '--to', `file://${each().path(name)}`, ...args]);
        return namesOf([...(await narInfosOf(each().path(name))).keys()]);
      };
      const outputs = ['app', 'archive', 'build.sh', 'compiler', 'compiler-lib', 'library'];
      expect(await copied('all', ...closure)).toEqual(outputs);
      expect(await copied('root', '--derivation', app.derivation)).not.toContain('compiler');
      await push(app.derivation, '--closure', 'build');
      expect(await cached()).toEqual(closure.sort());
    });
  });

  describe('that is not all here', () => {
    const drvOf = async (attribute: string) =>
      (await builder.run('nix-instantiate', [file, '-A', attribute])).split('\n');

    it('is pushed with a warning that counts what is missing, and names a few', async () => {
      const many = await drvOf('many');
      expect(many).toHaveLength(10);
      const { stderr } = await push(...many, '--closure', 'build');
      expect(stderr).toContain('warning: 10 outputs of derivations are not here and left out:\n');
      expect(stderr.match(/^ {2}the output `out` of .*: \/nix\/store\/.*-many-\d+$/gm)).toHaveLength(3);
      expect(stderr).toContain('\n  and 7 more (`-v` names all)\n');
      const verbose = await push(...many, '--closure', 'build', '-v');
      expect(verbose.stderr.match(/^ {2}the output /gm)).toHaveLength(10);
      expect(verbose.stderr).not.toContain('more (`-v`');
      const shown = await box().succeed(['closure', ...many, '--build', '-q'], { env: builder.env });
      expect(shown.stderr.match(/^ {2}the output /gm)).toHaveLength(3);
    });

    it('is pushed with one JSON warning that has all of it', async () => {
      const many = await drvOf('many');
      const { lines } = await push(...many, '--closure', 'build', '--json');
      const [warning, ...others] = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'warning');
      expect(others).toEqual([]);
      expect(warning.missingOutputs).toHaveLength(10);
      expect(warning.missingOutputs).toContainEqual({
        ...{ derivation: many[0], output: 'out' },
        path: await builder.run('nix-store', ['-q', '--outputs', many[0]!]),
      });
    });

    it('is pushed with a warning when the derivation of an output is gone', async () => {
      const store = await createNixStore();
      try {
        const lone = await store.run('nix-build', [file, '-A', 'lone', '--no-out-link']);
        const deriver = await store.run('nix-store', ['-q', '--deriver', lone]);
        await store.run('nix-store', ['--delete', '--ignore-liveness', deriver]);
        const args = [lone, '--to', each().path('cache')];
        const { exitCode, stderr, lines } = await carport(['push', ...args, '--closure', 'build'], store);
        expect([exitCode, namesOf(lines)]).toEqual([0, ['lone']]);
        expect(stderr).toContain(`warning: what it takes to build \`${lone}\` is left out: `);
        expect(stderr).toContain(`not valid here: \`${deriver}\``);
        const failed = await carport(['push', ...args, '--toolchain-only'], store);
        expect(failed.exitCode).toBe(5);
        expect(failed.stderr).toContain('nix-instantiate');
      } finally {
        await store.remove();
      }
    });

    it('is told to be none with another kind of closure', async () => {
      const args = [app.derivation, '--to', each().path('cache'), '--toolchain-only', '--closure', 'runtime'];
      const { exitCode, stderr } = await carport(['push', ...args]);
      expect(exitCode).toBe(2);
      expect(stderr).toContain('`--toolchain-only` is for build closures');
      expect(existsSync(each().path('cache'))).toBe(false);
    });
  });

  describe('by `cache refresh-toolchain`', () => {
    /** A store that nothing was built in. */
    async function withFreshStore(work: (store: NixStore) => Promise<void>): Promise<void> {
      const store = await createNixStore();
      try {
        await work(store);
      } finally {
        await store.remove();
      }
    }
    const builtIn = async (store: NixStore) => {
      const names = await readdir(store.realPath('/nix/store'));
      return namesOf(names.filter((name) => !/\.(drv|lock|chroot)$|^\./.test(name)));
    };

    it('is evaluated, built and pushed', () =>
      withFreshStore(async (store) => {
        const { exitCode, stderr, lines } = await refresh(['app'], store);
        expect(exitCode, stderr).toBe(0);
        expect(stderr).toMatch(/^building '.*-app\.drv'/m);
        expect(namesOf(lines)).toEqual([...TOOLCHAIN, 'app'].sort());
        expect(await cached()).toEqual([...lines].sort());
        expect(await buildsFromCache('app')).toEqual([]);
      }));

    it('does not build the final output with `--toolchain-only`', () =>
      withFreshStore(async (store) => {
        const { exitCode, stderr, lines } = await refresh(['app', '--toolchain-only', '--pin', 'toolchain'], store);
        expect(exitCode, stderr).toBe(0);
        expect(stderr).not.toMatch(/^building '.*-app\.drv'/m);
        expect(namesOf(lines)).toEqual([...TOOLCHAIN].sort());
        expect(await builtIn(store)).toEqual(['archive', 'build.sh', 'compiler', 'compiler-lib', 'library']);
        expect(await buildsFromCache('app')).toEqual(['app']);
        const cache = ['--from', each().path('cache'), '--trusted-key', key.publicKey];
        const pulled = await each().succeed(['pull', 'toolchain', ...cache]);
        expect(namesOf(pulled.lines)).toEqual(['compiler', 'compiler-lib', 'library', 'archive'].sort());
      }));

    it('brings back the inputs of what is built already', () =>
      withFreshStore(async (store) => {
        const lone = await store.run('nix-build', [file, '-A', 'app', '--no-out-link']);
        const compilers = (await readdir(store.realPath('/nix/store'))).filter((name) => /compiler(-lib)?$/.test(name));
        await store.run('nix-store', [
          '--delete',
          '--ignore-liveness',
          ...[lone, ...compilers.map((name) => `/nix/store/${name}`)],
        ]);
        expect((await refresh(['app'], store)).exitCode).toBe(0);
        expect(namesOf(await cached())).toEqual([...TOOLCHAIN, 'app'].sort());
      }));

    it('takes several attributes, derivations and outputs of flakes, and all of a file without any', async () => {
      const flake = `path:${box().path('work')}#tool`;
      const { exitCode, stderr, lines } = await refresh(['lone', 'compiler.lib', app.derivation, flake, '-q']);
      expect([exitCode, stderr]).toEqual([0, '']);
      expect(namesOf(lines)).toEqual([...TOOLCHAIN, 'app', 'flake-tool', 'flake-tool.drv', 'lone', 'lone.drv'].sort());
      await writeFile(box().path('work/whole.nix'), '{ inherit (import ./.) compiler lone; }');
      const whole = [
        'cache',
        'refresh-toolchain',
        '--file',
        box().path('work/whole.nix'),
        '--to',
        each().path('whole'),
      ];
      expect(namesOf((await carport(whole)).lines)).toEqual(
        [...TOOLCHAIN.filter((name) => name !== 'app.drv'), 'lone', 'lone.drv'].sort(),
      );
    });

    it('leaves everything as it is with `--dry-run`, and says what would be built', () =>
      withFreshStore(async (store) => {
        const { exitCode, stderr, lines } = await refresh(['app', '--dry-run'], store);
        expect([exitCode, namesOf(lines)]).toEqual([0, namesOf(lines).filter((name) => /\.(drv|sh)$/.test(name))]);
        expect(stderr).toMatch(/will be built:\n( .*\n)* .*-app\.drv/);
        expect(await builtIn(store)).toEqual(['build.sh']);
        expect(existsSync(each().path('cache'))).toBe(false);
      }));

    it.each([
      ['broken', 'I am broken', '`nix-store --realise` failed'],
      ['missing', "attribute 'missing'", '`nix-instantiate'],
    ])('shows what Nix says when it fails (%s)', async (attribute, said, failed) => {
      const { exitCode, stderr } = await refresh([attribute]);
      expect(exitCode).toBe(1);
      expect(stderr).toContain('error[E_PROGRAM]: ');
      expect(stderr).toContain(failed);
      expect(stderr).toContain(said);
      const quiet = await refresh([attribute, '--json']);
      expect(JSON.parse(quiet.stderr)).toMatchObject({ code: 'E_PROGRAM', exitCode: 1 });
      expect(JSON.parse(quiet.stderr).causes.join('\n')).toContain(said);
      expect(existsSync(each().path('cache'))).toBe(false);
    });

    it.each([['--', '--help'], ['--', '-E'], ['./result'], ['.'], [''], ['a\nb']])(
      'gives Nix no options and no paths as attributes (%j)',
      async (...whats) => {
        const { exitCode, stderr } = await box().carport(
          ['cache', 'refresh-toolchain', '--to', each().path('cache'), '--file', file, ...whats],
          { env: builder.env },
        );
        expect(exitCode).toBe(2);
        expect(stderr).toContain('is neither a derivation nor an attribute');
      },
    );

    it('takes no expression as an attribute', async () => {
      const marker = box().path('work/marker');
      for (const attribute of [`$(touch ${marker})`, `app; touch ${marker}`].map((text) =>
        text.replaceAll('/', '\\57'),
      )) {
        expect((await refresh([attribute])).exitCode).toBe(1);
      }
      expect(existsSync(marker)).toBe(false);
    });

    it('ends Nix and its build when it is interrupted', async () => {
      const args = ['cache', 'refresh-toolchain', 'slow', '--file', file, '--to', each().path('cache')];
      const env = { ...each().env, ...builder.env };
      const running = execa(process.execPath, [CARPORT, ...args], { env, extendEnv: false, reject: false });
      let said = '';
      for await (const text of running.stderr.setEncoding('utf8')) {
        said += text;
        if (said.includes('it sleeps')) break;
      }
      await expect.poll(commandLines).toContain('sleep 977');
      running.kill('SIGTERM');
      expect((await running).exitCode).toBe(130);
      await expect.poll(commandLines).not.toContain('sleep 977');
      expect(existsSync(each().path('cache'))).toBe(false);
    });

    it('leaves no links of its own behind', async () => {
      await refresh(['lone']);
      await refresh(['broken']);
      expect((await readdir(box().path('tmp'))).filter((name) => name.startsWith('carport-roots'))).toEqual([]);
      const temporary = await readdir(join(builder.root, 'tmp'));
      expect(temporary.filter((name) => name.startsWith('carport-roots'))).toEqual([]);
    });

    it('says that it needs Nix, and that there is no such file', async () => {
      const without = await box().carport(['cache', 'refresh-toolchain', 'app', '--file', file, '--to', '/c']);
      expect([without.exitCode, without.stdout]).toEqual([1, '']);
      expect(without.stderr).toContain('this needs Nix');
      await rm(box().path('work/none.nix'), { force: true });
      const args = ['cache', 'refresh-toolchain', 'app', '--file', './none.nix', '--to', '/c'];
      const missing = await box().carport(args, { env: builder.env });
      expect(missing.exitCode).toBe(5);
      expect(missing.stderr).toContain('`./none.nix` does not exist');
    });
  });
});

/** What is behind the hash part. */
function namesOf(paths: readonly string[]): readonly string[] {
  return paths.map((path) => path.replace(/^(\/nix\/store\/)?[a-z0-9]{32}-/, '')).sort();
}

/** Of all processes of this machine. */
async function commandLines(): Promise<string> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => ''));
  return (await Promise.all(lines)).map((line) => line.replaceAll('\0', ' ')).join('\n');
}
