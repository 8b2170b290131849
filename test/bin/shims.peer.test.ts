import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa, type Options } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createHostNix,
  createToolStore,
  linkPrograms,
  type Machine,
  machineWith,
  type ToolStore,
} from '../support/machines.js';
import { TOP } from '../support/markdown.js';
import { describeWithProgram } from '../support/programs.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const PROGRAMS = ['bwrap', 'sh', 'cat', 'env', 'sleep', 'setpriv', 'ls', 'bash'];

describeWithProgram('bwrap', 'carport shims and carport env', () => {
  const box = useSandbox('all');
  let tools: ToolStore;
  let machines: Readonly<Record<string, Machine>>;
  beforeAll(async () => {
    await linkPrograms(box().path('bin'), PROGRAMS);
    tools = await createToolStore(box().root);
    await mkdir(box().path('empty-nix'));
    machines = {
      'without /nix': machineWith(),
      'with an empty /nix': machineWith(box().path('empty-nix')),
      'with a store of its own': machineWith(await createHostNix(box().path('host-nix'))),
    };
  });

  const on = async (machine: Machine, command: readonly string[], options: Options = {}) => {
    const [program, ...before] = machine;
    const { env, cwd, ...rest } = options;
    const { exitCode, stdout, stderr } = await execa(program!, [...before, ...command], {
      ...{ cwd: cwd ?? box().path('work'), reject: false, stripFinalNewline: false, extendEnv: false, input: '' },
      ...rest,
      env: { ...box().env, ...env },
    });
    return { exitCode, stdout: String(stdout), stderr: String(stderr) };
  };
  const carportIn = (cwd: string, machine: Machine, ...args: readonly string[]) =>
    on(machine, [process.execPath, CARPORT, ...args, '--store', tools.root], { cwd });
  const carport = (machine: Machine, ...args: readonly string[]) => carportIn(box().path('work'), machine, ...args);
  /** What starts no program is done within this process. */
  const local = (...args: readonly string[]) => box().carport([...args, '--store', tools.root]);
  const plain = (): Machine => machines['without /nix']!;

  describe.each(['without /nix', 'with an empty /nix', 'with a store of its own'])('on a machine %s', (name) => {
    it('run programs without carport', async () => {
      const machine = machines[name]!;
      const above = box().path('work', `it's "$HOME" ${name.replaceAll('/', '')}`);
      await mkdir(above);
      const directory = `${above}/shims`;
      const made = await carportIn(above, machine, 'shims', './shims', tools.environment, tools.cat, tools.shell);
      expect([made.exitCode, made.stdout]).toEqual([0, 'greet\nlinked-greet\nown-cat\ntool-sh\n']);

      const greeted = await on(machine, [`${directory}/greet`, 'a b', '', '*', "it's", '$x', '--', '-v']);
      expect(greeted).toEqual({ exitCode: 0, stdout: "hello<a b><><*><it's><$x><--><-v>", stderr: '' });
      expect((await on(machine, [`${directory}/own-cat`, '-'], { input: 'piped' })).stdout).toBe('piped');

      const script = `echo "$CARPORT_RUN|$PWD"; greet; printf '|'; ${tools.cat}/bin/own-cat <&3; exit 7`;
      const inner = await on(machine, ['sh', '-c', 'exec 3<given; exec "$0" -c "$1"', `${directory}/tool-sh`, script], {
        cwd: await given(),
      });
      const names = `${tools.environment} ${tools.cat} ${tools.shell}`;
      expect(inner).toEqual({ exitCode: 7, stdout: `${names}|${box().path('given')}\nhello|open file`, stderr: '' });
      // Within a namespace of its own there is no second one.
      const nested = await on(machine, [`${directory}/tool-sh`, '-c', '"$0/greet"', directory]);
      expect(nested).toMatchObject({ exitCode: 0, stdout: 'hello' });
    });
  });

  /** A directory with a file that is opened as number 3, as make's job server is. */
  const given = async (): Promise<string> => {
    await mkdir(box().path('given'), { recursive: true });
    await writeFile(box().path('given/given'), 'open file');
    return box().path('given');
  };

  it('pass a signal on, and give the exit code of a program that it ends', async () => {
    const directory = box().path('work/signals');
    await carport(plain(), 'shims', directory, tools.shell);
    const [program, ...before] = plain();
    const script = 'trap "echo cleaned; exit 9" TERM; echo ready; while :; do sleep 0.1; done';
    const child = spawn(
      program!,
      [
        ...before.filter((word) => word !== '--die-with-parent'),
        'sh',
        '-c',
        `"$1" -c '${script}' & echo $!; wait`,
        'sh',
        `${directory}/tool-sh`,
      ],
      {
        env: box().env,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let said = '';
    let sent = false;
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
      const [, id] = /^(\d+)\nready\n/m.exec(said) ?? [];
      if (id === undefined || sent) return;
      sent = true;
      process.kill(Number(id), 'SIGTERM');
    });
    await once(child, 'close');
    expect(said).toMatch(/cleaned\n$/);
  });

  it('keep their toolchain until they are removed, and leave alone what is not theirs', async () => {
    const directory = box().path('work/kept');
    await mkdir(directory);
    await writeFile(`${directory}/greet`, 'mine\n');
    const refused = await local('shims', directory, tools.greeter);
    expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringContaining('carport has not made it')]);
    expect(await readFile(`${directory}/greet`, 'utf8')).toBe('mine\n');
    await rm(`${directory}/greet`);
    await writeFile(`${directory}/other`, 'mine\n');

    await local('shims', directory, tools.greeter);
    const roots = async () => (await local('store', 'ls', '--roots')).stdout;
    expect(await roots()).toContain(`${directory}/.carport/shims/1 -> ${tools.greeter}\n`);
    // Made anew for another toolchain, they are its programs and no others; without names they are renewed.
    await local('shims', directory, tools.cat);
    expect((await local('shims', directory)).stdout).toBe('own-cat\n');
    expect((await readdir(directory)).sort()).toEqual(['.carport', 'other', 'own-cat']);
    expect(await roots()).toContain(`${directory}/.carport/shims/1 -> ${tools.cat}\n`);

    const removed = await local('shims', '--remove', directory, '--json');
    expect(JSON.parse(removed.stdout)).toEqual({ version: 1, directory, removed: ['own-cat'] });
    expect(await readdir(directory)).toEqual(['other']);
    expect(await roots()).not.toContain(directory);
    expect((await local('shims', '--remove', directory)).exitCode).toBe(5);
  });

  it('stand beside a project, which keeps its own toolchains', async () => {
    const directory = box().path('work/beside');
    await mkdir(`${directory}/.carport/toolchains`, { recursive: true });
    await writeFile(`${directory}/.carport/.gitignore`, '*\n');
    await symlink(box().path('data/of-the-project'), `${directory}/.carport/toolchains/1`);
    await local('shims', directory, tools.cat);
    expect((await readdir(`${directory}/.carport`)).sort()).toEqual(expect.arrayContaining(['shims', 'toolchains']));
    await local('shims', '--remove', directory);
    expect(await readdir(`${directory}/.carport`)).toEqual(['.gitignore', 'toolchains']);
    expect(await readdir(`${directory}/.carport/toolchains`)).toEqual(['1']);
  });

  it('env puts them on the PATH of a shell', async () => {
    const printed = await carport(plain(), 'env', tools.greeter, '--json');
    const { path, shims, inPlace, variables } = JSON.parse(printed.stdout);
    expect([path, inPlace, variables.PATH]).toEqual([[shims], false, `${shims}:${box().env.PATH}`]);
    expect(printed.stderr).toContain('carport run');
    const script = `lines=$(${process.execPath} ${CARPORT} env --store ${tools.root} --shell bash ${tools.greeter})
eval "$lines"; eval "$lines"; greet; echo "|$CARPORT_ENV|\${PATH#*:}"`;
    const { stdout, stderr } = await on(plain(), ['bash', '-ec', script]);
    expect([stdout, stderr]).toEqual([expect.stringMatching(`^hello\\|${tools.greeter}\\|`), '']);
    const fish = await carport(plain(), 'env', tools.greeter, '--shell', 'fish');
    expect(fish.stdout).toBe(`set -gx CARPORT_ENV '${tools.greeter}';\nset -gx PATH '${shims}' $PATH;\n`);
    // A toolchain that has programs of these names has no say in how namespaces are entered.
    await symlink('/nonexistent', `${shims}/bwrap`);
    const run = await on(
      plain(),
      [process.execPath, CARPORT, 'run', tools.greeter, '--store', tools.root, '--', 'greet'],
      {
        env: { PATH: variables.PATH },
      },
    );
    expect(run).toMatchObject({ exitCode: 0, stdout: 'hello' });
  });

  it("a project's toolchain comes with one command, and its shims are told when the lock has moved on", async () => {
    const [cache, project] = [box().path('cache'), box().path('work/project')];
    const key = await box().makeKey('project-1');
    const push = (path: string) => local('push', path, '--pin', 'tools', '--to', cache, '--secret-key', key.file);
    await push(tools.greeter);
    await mkdir(`${project}/.git`, { recursive: true });
    await writeFile(`${project}/carport.toml`, '[toolchains]\ntools = { pin = "tools", cache = "../../cache" }\n');
    const here = (...args: readonly string[]) =>
      on(plain(), [process.execPath, CARPORT, ...args], { cwd: project, env: { CARPORT_TRUSTED_KEYS: key.publicKey } });
    const hereLocal = (...args: readonly string[]) =>
      box().carport(args, { cwd: project, env: { CARPORT_TRUSTED_KEYS: key.publicKey } });
    expect((await hereLocal('lock')).exitCode).toBe(0);

    const shell = await here('shell', '--frozen', '--', '-c', 'greet; echo "|$CARPORT_SHELL"');
    expect(shell).toEqual({ exitCode: 0, stdout: 'hello|tools\n', stderr: expect.stringContaining('pulled 3 paths') });
    expect((await here('run', '--frozen', '--', 'greet')).stderr).toBe('');
    const envrc = `watch_file() { printf '<%s>' "$@"; }; use() { "use_$@"; }
carport() { ${process.execPath} ${CARPORT} "$@"; }
. ${join(TOP, 'samples/direnv/.envrc')}; greet`;
    const direnv = await on(plain(), ['bash', '-ec', envrc], {
      cwd: project,
      env: { CARPORT_TRUSTED_KEYS: key.publicKey },
    });
    expect(direnv.stdout).toBe('<carport.toml><carport.lock>hello');

    await hereLocal('shims', './shims');
    await push(tools.cat);
    const updated = await hereLocal('lock', '--update');
    expect(updated.stderr).toContain(`\`carport shims ${project}/shims\` renews them`);
    expect((await hereLocal('pull')).stderr).toContain('renews them');
    expect((await hereLocal('shims', './shims')).stdout).toBe('own-cat\n');
    expect((await hereLocal('pull')).stderr).not.toContain('renews them');
    expect(JSON.parse((await hereLocal('env', '--json')).stdout).storePaths).toEqual([tools.cat]);
  }, 120_000);
});
