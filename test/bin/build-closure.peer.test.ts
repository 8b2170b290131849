import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { runCommandLine } from '#bin/program.js';
import { fakeContext } from '../support/context.js';
import { createNixStore, describeWithNix, type NixStore, nix } from '../support/nix.js';
import { isAlive } from '../support/processes.js';
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
    slow = run { name = "slow"; args = [ "-c" "echo it sleeps >&2; sleep SECONDS" ]; };
    broken = run { name = "broken"; args = [ "-c" "echo I am broken >&2; exit 1" ]; };
    many = builtins.genList (n: run { name = "many-\${toString n}"; args = [ script ]; }) 10;
  }
`;
/** Tells the process of this test's build from those of others. */
const SECONDS = String(1_000_000 + process.pid);
/** Its output is content-addressed: the derivation does not tell which path that is. */
const FLOATING = `derivation {
  name = "private"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; src = ./secret;
  __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
}`;
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
    await writeFile(file, EXPRESSION.replace('SECONDS', SECONDS));
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
  /** The same within this process, for what is said and not for what is done: starting a program takes longer. */
  const ask = async (args: readonly string[], env: Readonly<Record<string, string>> = builder.env) => {
    const context = fakeContext({ ...box().env, ...env });
    const exitCode = await runCommandLine(args, context);
    return { exitCode, lines: context.stdout.text().split('\n').slice(0, -1), stderr: context.stderr.text() };
  };
  const push = async (...args: readonly string[]) => {
    const ran = await carport(['push', ...args, '--to', each().path('cache')]);
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const refresh = (args: readonly string[], store = builder) =>
    carport(['cache', 'refresh-toolchain', ...args, '--file', file, '--to', each().path('cache')], store);
  const cached = async () => [...(await narInfosOf(each().path('cache'))).keys()].sort();

  it.each(['--build', '--toolchain-only'])('shows the same paths in every form: %s', async (kind) => {
    const show = async (...form: readonly string[]) => {
      const { exitCode, lines, stderr } = await ask(['closure', app.output, kind, ...form]);
      expect([exitCode, stderr.includes('E_BUG')]).toEqual([0, false]);
      return lines;
    };
    const paths = (await show()).toSorted();
    const last = (line: string) => line.slice(line.indexOf('/nix/store/')).replace(' [above]', '');
    expect((await show('--sizes')).map(last).sort()).toEqual(paths);
    expect([...new Set((await show('--tree')).map(last))].sort()).toEqual(paths);
    const json = JSON.parse((await show('--json')).join('\n')) as {
      readonly paths: readonly { readonly path: string }[];
    };
    expect(json.paths.map(({ path }) => path).sort()).toEqual(paths);
    for (const path of paths) expect((await show('--why', path)).at(-1)).toContain(path);
  });

  /** A store that nothing was built in. */
  async function withFreshStore(work: (store: NixStore) => Promise<void>): Promise<void> {
    const store = await createNixStore();
    try {
      await work(store);
    } finally {
      await store.remove();
    }
  }

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
    it('lets Nix build nothing, and is that of the derivation and of its output', async () => {
      const { stderr, lines } = await push(app.derivation, '--closure', 'build');
      expect(await cached()).toEqual(
        (await builder.run('nix-store', ['-qR', '--include-outputs', app.derivation])).split('\n').sort(),
      );
      expect(namesOf(await cached())).toEqual([...TOOLCHAIN, 'app'].sort());
      expect(stderr).not.toContain('warning');
      for (const root of [app.derivation, app.output]) {
        const shown = await ask(['closure', root, '--build']);
        expect([...shown.lines].sort(), shown.stderr).toEqual([...lines].sort());
      }
      expect(await buildsFromCache('app')).toEqual([]);
    });

    it('with `--toolchain-only` lets Nix build the final output and nothing else', async () => {
      const { lines } = await push(app.derivation, '--toolchain-only');
      expect(namesOf(await cached())).toEqual([...TOOLCHAIN].sort());
      expect([...lines].sort()).toEqual(await cached());
      expect((await ask(['closure', app.output, '--toolchain-only'])).lines).toEqual(lines);
      expect(await buildsFromCache('app')).toEqual(['app']);
    });

    // What the seed did by hand, with the list that carport pushes. Before 2.15 a derivation stood for its outputs, and
    // nothing was said of it.
    const [major, minor] = 'version' in nix ? nix.version.split('.').map(Number) : [];
    it.skipIf(major !== 2 || minor! >= 15)(
      'is more than `nix copy` takes, which loses the derivations in silence',
      async () => {
        const closure = (await builder.run('nix-store', ['-qR', '--include-outputs', app.derivation])).split('\n');
        const copied = async (name: string, ...args: readonly string[]) => {
          await builder.run('nix', ['copy', '--to', `file://${each().path(name)}`, ...args]);
          return namesOf([...(await narInfosOf(each().path(name))).keys()]);
        };
        const outputs = ['app', 'archive', 'build.sh', 'compiler', 'compiler-lib', 'library'];
        expect(await copied('all', ...closure)).toEqual(outputs);
        expect(await copied('root', '--derivation', app.derivation)).not.toContain('compiler');
      },
    );
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
      const verbose = await ask(['closure', ...many, '--build', '-v']);
      expect(verbose.stderr.match(/^ {2}the output /gm)).toHaveLength(10);
      expect(verbose.stderr).not.toContain('more (`-v`');
      const quiet = await ask(['closure', ...many, '--build', '-q']);
      expect(quiet.stderr.match(/^ {2}the output /gm)).toHaveLength(3);
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

    it('takes no derivation along that a cache has named as the maker of a path', () =>
      withFreshStore(async (store) => {
        const lone = await builder.run('nix-build', [file, '-A', 'lone', '--no-out-link']);
        const cache = each().path('hostile');
        await box().succeed(['push', lone, '--to', cache, '--secret-key', key.file], { env: builder.env });
        await writeFile(join(store.root, 'secret'), 'my secret');
        await writeFile(join(store.root, 'private.nix'), FLOATING);
        const secret = await store.run('nix-instantiate', ['--quiet', join(store.root, 'private.nix')]);
        // Nobody signs this line.
        const narInfo = join(cache, `${lone.slice(11, 43)}.narinfo`);
        const text = (await readFile(narInfo, 'utf8')).replace(/^Deriver: .*$/m, `Deriver: ${secret.slice(11)}`);
        await writeFile(narInfo, text);
        const trusted = ['--from', cache, '--trusted-key', key.publicKey];
        await box().succeed(['pull', lone, ...trusted, '--store', 'nix'], { env: store.env });
        expect(await store.run('nix-store', ['-q', '--deriver', lone])).toBe(secret);

        const args = ['push', lone, '--to', each().path('cache'), '--closure', 'build'];
        const { exitCode, stderr, lines } = await carport(args, store);
        expect([exitCode, lines, await cached()]).toEqual([0, [lone], [lone]]);
        expect(stderr).toContain(`warning: what it takes to build \`${lone}\` is left out: `);
        expect(stderr).toContain(`does not tell what it makes, since its outputs are content-addressed: \`${secret}\``);
        const toolchain = await ask(['closure', lone, '--toolchain-only'], store.env);
        expect([toolchain.exitCode, toolchain.lines]).toEqual([5, []]);
        expect(toolchain.stderr).toContain('name its derivation, which `nix-instantiate` prints');
        const shown = JSON.parse((await ask(['closure', lone, '--build', '--json'], store.env)).lines.join(''));
        expect(shown.missingDerivers).toEqual([{ path: lone, deriver: secret, reason: 'does-not-tell' }]);
      }));

    it('is told to be none with another kind of closure', async () => {
      const args = [app.derivation, '--to', each().path('cache'), '--toolchain-only', '--closure', 'runtime'];
      const { exitCode, stderr } = await ask(['push', ...args]);
      expect(exitCode).toBe(2);
      expect(stderr).toContain('`--toolchain-only` is for build closures');
      expect(existsSync(each().path('cache'))).toBe(false);
    });
  });

  describe('by `cache refresh-toolchain`', () => {
    /** What is left in the directory for temporary files. */
    const temporary = async () =>
      (await readdir(join(builder.root, 'tmp'), { recursive: true })).filter((name) => name.includes('carport-'));
    afterEach(async () => expect(await temporary()).toEqual([]));

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
      }));

    it('does not build the final output with `--toolchain-only`', () =>
      withFreshStore(async (store) => {
        const { exitCode, stderr, lines } = await refresh(['app', '--toolchain-only', '--pin', 'toolchain'], store);
        expect(exitCode, stderr).toBe(0);
        expect(stderr).not.toMatch(/^building '.*-app\.drv'/m);
        expect(namesOf(lines)).toEqual([...TOOLCHAIN].sort());
        expect(await builtIn(store)).toEqual(['archive', 'build.sh', 'compiler', 'compiler-lib', 'library']);
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
      // One after the other: Nix waits for seconds when another builds the same.
      const { exitCode, stderr } = await refresh([attribute]);
      const json = await refresh([attribute, '--json']);
      expect(exitCode).toBe(1);
      expect(stderr).toContain('error[E_PROGRAM]: ');
      expect(stderr).toContain(failed);
      expect(stderr).toContain(said);
      expect(JSON.parse(json.stderr)).toMatchObject({ code: 'E_PROGRAM', exitCode: 1 });
      expect(JSON.parse(json.stderr).causes.join('\n')).toContain(said);
      expect(existsSync(each().path('cache'))).toBe(false);
    });

    it.each(['--help', '-E', './result', '.', '', 'a\nb'])(
      'gives Nix no options and no paths as attributes (%j)',
      async (what) => {
        const { exitCode, stderr } = await ask([
          'cache',
          'refresh-toolchain',
          '--to',
          '/c',
          '--file',
          file,
          '--',
          what,
        ]);
        expect(exitCode).toBe(2);
        expect(stderr).toContain('is neither a derivation nor an attribute');
      },
    );

    it('takes no expression as an attribute', async () => {
      const marker = box().path('work/marker');
      const attributes = [`$(touch ${marker})`, `app; touch ${marker}`].map((text) => text.replaceAll('/', '\\57'));
      const ran = await Promise.all(attributes.map((attribute) => refresh([attribute])));
      expect(ran.map(({ exitCode }) => exitCode)).toEqual([1, 1]);
      expect(existsSync(marker)).toBe(false);
    });

    describe('before anything is built', () => {
      const said = 'Nix evaluates this';
      const traced = async () => {
        const traces = box().path('work/traces.nix');
        await writeFile(traces, `builtins.trace "${said}" (import ./.).lone`);
        return ['cache', 'refresh-toolchain', '--file', traces, '--secret-key', key.file];
      };

      it('a pin is found that another key has signed', async () => {
        const args = [...(await traced()), '--to', each().path('cache'), '--pin', 'toolchain'];
        const first = await box().carport(args, { env: builder.env });
        expect([first.exitCode, first.stderr.includes(said)], first.stderr).toEqual([0, true]);
        const other = await box().makeKey('other-1');
        const theirs = args.map((arg) => (arg === key.file ? other.file : arg));
        const { exitCode, stderr } = await box().carport(theirs, { env: builder.env });
        expect([exitCode, stderr.includes(said)], stderr).toEqual([6, false]);
        expect(stderr).toContain('the pin `toolchain` is there, and its history cannot be carried on');
      });

      it('a server is found that is gone, and a cache for other paths', async () => {
        const bucket = 's3://bucket?endpoint=http://127.0.0.1:1&region=garage';
        const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
        const env = { ...builder.env, ...keys };
        const gone = await ask([...(await traced()), '--to', bucket, '--retry-seconds', '0'], env);
        expect([gone.exitCode, gone.stderr.includes(said)], gone.stderr).toEqual([75, false]);
        expect(gone.stderr).toContain('127.0.0.1:1');
        await mkdir(each().path('cache'));
        await writeFile(each().path('cache/nix-cache-info'), 'StoreDir: /elsewhere/store\n');
        const wrong = await ask([...(await traced()), '--to', each().path('cache')]);
        expect([wrong.exitCode, wrong.stderr.includes(said)], wrong.stderr).toEqual([2, false]);
        expect(wrong.stderr).toContain('/elsewhere/store');
      });
    });

    /** Starts a build that does not end by itself, beside a derivation and an output of a flake. */
    async function startSlowBuild() {
      const whats = ['slow', app.derivation, `path:${box().path('work')}#tool`];
      const args = ['cache', 'refresh-toolchain', ...whats, '--file', file, '--to', each().path('cache')];
      const env = { ...each().env, ...builder.env };
      const running = execa(process.execPath, [CARPORT, ...args], { env, extendEnv: false, reject: false });
      onTestFinished(endSleepers);
      let said = '';
      for await (const text of running.stderr.setEncoding('utf8')) {
        said += text;
        if (said.includes('it sleeps')) break;
      }
      await expect.poll(sleepers).toHaveLength(1);
      return { ended: running, kill: running.kill.bind(running) };
    }

    it('keeps all derivations from the garbage collector, and ends Nix and its build when it is interrupted', async () => {
      const { ended, kill } = await startSlowBuild();
      const roots = await builder.run('nix-store', ['--gc', '--print-roots']);
      const kept = [...roots.matchAll(/carport.* -> .*?-(.*)\.drv$/gm)].map(([, name]) => name);
      expect(kept.sort()).toEqual(['app', 'flake-tool', 'slow']);
      kill('SIGTERM');
      expect((await ended).exitCode).toBe(130);
      await expect.poll(sleepers).toEqual([]);
      expect(existsSync(each().path('cache'))).toBe(false);
    });

    it('removes what a run has left that was killed', async () => {
      const { ended, kill } = await startSlowBuild();
      kill('SIGKILL');
      await ended;
      // Nix goes on with its build.
      await endSleepers();
      expect(await temporary()).not.toEqual([]);
      expect((await refresh(['lone'])).exitCode).toBe(0);
    });

    it('says that it needs Nix, and that there is no such file', async () => {
      const without = await ask(['cache', 'refresh-toolchain', 'app', '--file', file, '--to', '/c'], {});
      expect([without.exitCode, without.lines]).toEqual([1, []]);
      expect(without.stderr).toContain('this needs Nix');
      const missing = await ask(['cache', 'refresh-toolchain', 'app', '--file', './none.nix', '--to', '/c']);
      expect(missing.exitCode).toBe(5);
      expect(missing.stderr).toContain('`./none.nix` does not exist');
    });
  });
});

/** What is behind the hash part. */
function namesOf(paths: readonly string[]): readonly string[] {
  return paths.map((path) => path.replace(/^(\/nix\/store\/)?[a-z0-9]{32}-/, '')).sort();
}

/** The processes of the build that does not end. */
async function sleepers(): Promise<readonly number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  return ids.filter((_, at) => lines[at] === `sleep\0${SECONDS}\0`).map(Number);
}

async function endSleepers(): Promise<void> {
  await expect
    .poll(async () => {
      const ids = await sleepers();
      // One may be ending already.
      for (const id of ids.filter(isAlive)) process.kill(id);
      return ids;
    })
    .toEqual([]);
}
