import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { execa, type Options } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { writePulledPin } from '#lib/store/own/pulled-pins.js';
import {
  createHostNix,
  createToolStore,
  HOST_NAME,
  linkPrograms,
  type Machine,
  machineWith,
  type ToolStore,
  WIDE,
} from '../support/machines.js';
import { describeWithPeer } from '../support/peers.js';
import { isAlive } from '../support/processes.js';
import { describeWithProgram } from '../support/programs.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const PROGRAMS = [
  'bwrap',
  'sh',
  'cat',
  'ls',
  'head',
  'sleep',
  'env',
  'readlink',
  'stat',
  'bash',
  'script',
  'id',
  'wc',
  'touch',
  'mkdir',
  'chmod',
  'rmdir',
];

const NOBODY = { uid: 65534, gid: 65534 };

describeWithProgram('bwrap', 'carport run', () => {
  const shared = useSandbox('all');
  let tools: ToolStore;
  let withoutNix: Machine;
  let withEmptyNix: Machine;
  let withHostStore: Machine;
  beforeAll(async () => {
    const box = shared();
    await linkPrograms(box.path('bin'), PROGRAMS);
    tools = await createToolStore(box.root);
    await mkdir(box.path('empty-nix'));
    withoutNix = machineWith();
    withEmptyNix = machineWith(box.path('empty-nix'));
    withHostStore = machineWith(await createHostNix(box.path('host-nix')));
    // For another user, too.
    execFileSync('chmod', ['-R', 'go+rX', box.root]);
  });

  /** Runs a command line of carport on a machine; gives what it printed. */
  const carport = async (machine: Machine, args: readonly string[], options: Options = {}) => {
    const [program, ...before] = [...machine, process.execPath, CARPORT];
    const { env, cwd, ...rest } = options;
    const { exitCode, stdout, stderr } = await execa(program!, [...before, ...args], {
      ...{ cwd: cwd ?? shared().path('work'), reject: false, stripFinalNewline: false, extendEnv: false, input: '' },
      ...rest,
      env: { ...shared().env, ...env },
    });
    return { exitCode, stdout: String(stdout), stderr: String(stderr) };
  };
  /** Runs a command with the greeter on PATH, where there is no `/nix`. */
  const run = (command: readonly string[], options?: Options) =>
    carport(withoutNix, ['run', tools.greeter, '--store', tools.root, '--', ...command], options);
  const succeed = async (command: readonly string[], options?: Options): Promise<string> => {
    const { exitCode, stdout, stderr } = await run(command, options);
    expect([exitCode, stderr], command.join(' ')).toEqual([0, '']);
    return stdout;
  };

  describe.each([
    ['without /nix', () => withoutNix],
    ['with an empty /nix', () => withEmptyNix],
    ['with a store of its own', () => withHostStore],
  ])('on a machine %s', (_, machine) => {
    const runWith = (whats: readonly string[], command: readonly string[], options?: Options) =>
      carport(machine(), ['run', ...whats, '--store', tools.root, '--', ...command], options);

    it('runs a script whose interpreter is in the store', async () => {
      const ran = await runWith(
        [tools.greeter],
        ['greet', 'a b', '', '*', "it's", 'two\nlines', '--', '-v', '--json', 'ü'],
      );
      expect(ran).toEqual({ exitCode: 0, stdout: "hello<a b><><*><it's><two\nlines><--><-v><--json><ü>", stderr: '' });
    });

    it('runs a program with the loader and the libraries of the store', async () => {
      const ran = await runWith([tools.cat], ['own-cat', '-'], { input: 'piped' });
      expect(ran).toEqual({ exitCode: 0, stdout: 'piped', stderr: '' });
    });

    it('finds commands through links to other paths', async () => {
      expect((await runWith([tools.environment], ['linked-greet'])).stdout).toBe('hello');
    });

    it('has every path of a closure, each as what it is', async () => {
      const script = `cat $(cat ${tools.wide}/references) && readlink ${tools.link} && stat -c %F ${tools.link} ${tools.wide}`;
      const { stdout, stderr } = await runWith([tools.wide], ['sh', '-c', script]);
      expect(stderr).toBe(`warning: what was named has no programs: \`${tools.wide}\` has no \`bin\`\n`);
      const numbers = Array.from({ length: WIDE }, (_, index) => `${index}\n`).join('');
      expect(stdout).toBe(`a file\n${numbers}${tools.file}\nsymbolic link\ndirectory\n`);
    });

    it('shows paths that were named under their own names', async () => {
      const { stdout } = await runWith([tools.greeter], ['sh', '-c', `cd -P ${tools.greeter}/bin && pwd`]);
      expect(stdout).toBe(`${tools.greeter}/bin\n`);
    });

    it('lets nobody write to the store, nor beside it', async () => {
      const script = `for p in ${tools.greeter}/x /nix/store/x /nix/x; do touch $p 2>/dev/null && echo wrote $p; done; true`;
      expect(await runWith([tools.greeter], ['sh', '-c', script])).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    });

    it('leaves nothing behind', async () => {
      const XDG_RUNTIME_DIR = await runtimeDirectory();
      const script = `ls -A ${XDG_RUNTIME_DIR}; exit 3`;
      const { stdout } = await runWith([tools.wide], ['sh', '-c', script], { env: { XDG_RUNTIME_DIR } });
      expect(stdout).toBe(machine() === withHostStore ? `carport-${process.getuid?.()}\n` : '');
      expect([await readdir(XDG_RUNTIME_DIR), await readdir(shared().path('tmp'))]).toEqual([[], []]);
    });
  });

  /** A directory for short-lived files, as a login gives it. */
  const runtimeDirectory = async (): Promise<string> => {
    const directory = shared().path('runtime');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return directory;
  };

  describe('what a command sees', () => {
    it('is the machine as it is', async () => {
      await writeFile(shared().path('home/file'), 'of home');
      const script = `echo "$MARK|$HOME|$PWD|$(pwd)"; cat "$HOME/file"; echo x > /dev/null; echo written > made; ls -d /proc/self /sys/kernel /etc/passwd`;
      const stdout = await succeed(['sh', '-c', script], { env: { MARK: 'of the environment' } });
      const work = shared().path('work');
      expect(stdout).toBe(
        `of the environment|${shared().path('home')}|${work}|${work}\nof home/etc/passwd\n/proc/self\n/sys/kernel\n`,
      );
      expect(await readFile(shared().path('work/made'), 'utf8')).toBe('written\n');
    });

    it('is the environment, and two things more', async () => {
      const lines = (await succeed(['env'])).trimEnd().split('\n').sort();
      const { PATH, ...env } = shared().env;
      const expected = {
        ...env,
        PATH: `${tools.greeter}/bin:${PATH}`,
        CARPORT_RUN: tools.greeter,
        PWD: shared().path('work'),
      };
      expect(lines).toEqual(
        Object.entries(expected)
          .map(([name, value]) => `${name}=${value}`)
          .sort(),
      );
    });

    it('is the working directory as the shell names it', async () => {
      await symlink('work', shared().path('link-to-work'));
      const link = shared().path('link-to-work');
      const args = ['run', tools.greeter, '--store', tools.root, '--', 'sh', '-c', 'echo "$PWD"'];
      const pwd = async (options: Options) => (await carport([], args, options)).stdout;
      expect(await pwd({ cwd: link, env: { PWD: link } })).toBe(`${link}\n`);
      expect(await pwd({ env: { PWD: '/etc' } })).toBe(`${shared().path('work')}\n`);
    });

    it('is a working directory inside of the store, too', async () => {
      const cwd = `${tools.root}/nix/store`;
      expect(await succeed(['sh', '-c', 'pwd; greet'], { cwd })).toBe(`${cwd}\nhello`);
    });

    it('is what the machine has in /nix', async () => {
      const script = `cat /nix/var/state; /nix/store/${HOST_NAME}/bin/host-program; host-program; greet`;
      const args = ['run', tools.greeter, '--store', tools.root, '--', 'sh', '-c', script];
      const PATH = `/nix/store/${HOST_NAME}/bin:${shared().env.PATH}`;
      const { stdout, stderr } = await carport(withHostStore, args, { env: { PATH } });
      expect(stderr).toBe('');
      expect(stdout).toBe('state of the host\na program of the host\na program of the host\nhello');
    });

    it('is no open file but input, output and errors', async () => {
      const alone = spawnSync('ls', ['/proc/self/fd'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).stdout;
      expect(await succeed(['ls', '/proc/self/fd'])).toBe(alone);
    });

    it('is input of which carport has read nothing', async () => {
      const [program, ...before] = withoutNix;
      const line = [program!, ...before, process.execPath, CARPORT, 'run', tools.greeter, '--store', tools.root, '--'];
      const script = `printf 'abcdef' | { "$@" head -c 2; echo; cat; }`;
      const { stdout } = await execa('sh', ['-c', script, 'sh', ...line], { env: shared().env, extendEnv: false });
      expect(stdout).toBe('ab\ncdef');
    });
  });

  describe('the arguments of a command', () => {
    it('may be more than bubblewrap takes', async () => {
      const special = ["it's", '', 'two\nlines', '$x `y` "z" \\', '💡'.repeat(30_000)];
      const many = [...special, ...Array.from({ length: 10_000 }, (_, index) => `${index}`)];
      // Not on another machine: that is bubblewrap's work here, too.
      const args = ['run', tools.greeter, '--store', tools.root, '--', 'greet', ...many];
      const { exitCode, stdout, stderr } = await carport([], args);
      expect([exitCode, stderr]).toEqual([0, '']);
      expect(stdout === `hello${many.map((arg) => `<${arg}>`).join('')}`).toBe(true);
    });

    it('may begin with what looks like a variable', async () => {
      await writeFile(shared().path('work/a=b'), '#!/bin/sh\necho "$0 $1"\n', { mode: 0o755 });
      expect(await succeed(['./a=b', 'c'])).toBe('./a=b c\n');
    });

    it('may be too many for the system', async () => {
      // What is run with is in one variable, and Linux takes 128 KiB in one.
      const whats = Array.from({ length: 3000 }, () => tools.greeter);
      const { exitCode, stderr } = await carport(withoutNix, ['run', ...whats, '--store', tools.root, '--', 'greet']);
      expect(exitCode, stderr).toBe(2);
      expect(stderr).toContain('longer than the system takes');
    });
  });

  describe('what is not UTF-8', () => {
    /** A shell runs a script, in which `"$@"` is a command line of carport, or the machine it is on. */
    const shell = async (machine: Machine, script: string, args: readonly string[]): Promise<Buffer> => {
      const line = [...machine, process.execPath, CARPORT, ...args];
      const { stdout, stderr, exitCode } = await execa('/bin/sh', ['-c', script, 'sh', ...line], {
        ...{ cwd: shared().path('work'), env: shared().env, extendEnv: false, input: '', reject: false },
        ...{ encoding: 'buffer', stripFinalNewline: false },
      });
      expect([exitCode, Buffer.from(stderr).toString()]).toEqual([0, '']);
      return Buffer.from(stdout);
    };
    // Node cannot name what is there.
    afterAll(() => {
      execFileSync('/bin/sh', ['-c', 'rm -r caf* ../raw-nix'], { cwd: shared().path('work') });
    });
    const raw = (text: string) => Buffer.from(text, 'latin1');
    /** `printf` in a shell makes it. */
    const octal = (bytes: Uint8Array) => [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');

    describe.each([
      ['in a namespace', () => withoutNix, () => tools.root],
      ['where the paths are in place', () => machineWith(`${tools.root}/nix`), () => '/'],
    ])('%s', (_, machine, store) => {
      const runWith = (script: string, ...command: readonly string[]) =>
        shell(machine(), script, ['run', tools.greeter, '--store', store(), '--', ...command]);

      it('is the same in arguments', async () => {
        const all = Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1));
        const script = `all=$(printf '${octal(all)}'); "$@" "$all" ü '' "it's" "$(printf '\\377')" "$(printf '\\377=%s' a)"`;
        expect(await runWith(script, 'greet')).toEqual(
          Buffer.concat([raw('hello<'), all, Buffer.from("><ü><><it's"), raw('><\xff><\xff=a>')]),
        );
      });

      it('is the same in the environment, beside names that shells drop', async () => {
        const script = `b=$(printf 'caf\\351'); export VALUE="$b
" PATH="$PATH:/$b"; exec env A.B=1 "C.$b='%s' " "$@"`;
        const lines = (await runWith(script, 'env')).toString('latin1').split('\n').sort();
        const { PATH, ...env } = shared().env;
        const expected = {
          ...env,
          ...{ PATH: `${tools.greeter}/bin:${PATH}:/caf\xe9`, VALUE: 'caf\xe9', CARPORT_RUN: tools.greeter },
          ...{ PWD: shared().path('work'), 'A.B': '1', 'C.caf\xe9': "'%s' " },
        };
        const pairs = Object.entries(expected).map(([name, value]) => `${name}=${value}`);
        // Of the last line, and of the value that ends with a line feed.
        expect(lines).toEqual([...pairs, '', ''].sort());
      });

      it('is the same in the working directory, and in the name of the command', async () => {
        const script = `b=$(printf 'caf\\351'); mkdir -p "$b/$b" && cd "$b" && export PATH="$PATH:$PWD/$b"
          printf '#!/bin/sh\\necho "$0: $PWD, $(pwd -P)"\\n' > "$b/$b=x" && chmod +x "$b/$b=x"
          "$@" "$b=x" && exec "$@" "./$b/$b=x"`;
        const directory = `${shared().path('work')}/caf\xe9`;
        expect((await runWith(script)).toString('latin1')).toBe(
          [`${directory}/caf\xe9/caf\xe9=x`, './caf\xe9/caf\xe9=x']
            .map((name) => `${name}: ${directory}, ${directory}\n`)
            .join(''),
        );
      });
    });

    it('is the same in more arguments than bubblewrap takes, beside variables that shells drop', async () => {
      const many = Array.from({ length: 5_000 }, () => ['-u', 'NOTHING']).flat();
      const args = ['run', tools.greeter, '--store', tools.root, '--', 'env', ...many];
      const lines = (await shell([], `exec env A.B=1 "$@" "R=$(printf '\\351')"`, args)).toString('latin1').split('\n');
      expect(lines.filter((line) => /^(A\.B|R)=/.test(line)).sort()).toEqual(['A.B=1', 'R=\xe9']);
    });

    it('is the same in the names of what the machine has in /nix', async () => {
      const nix = shared().path('raw-nix');
      await mkdir(nix);
      const make = `b=$(printf '${'caf\\351'}'); echo text > "$1/$b"; ln -s "$b" "$1/link-$b"`;
      execFileSync('/bin/sh', ['-c', make, 'sh', nix]);
      const script = `exec "$@" 'cat /nix/caf* /nix/link-caf*; ls /nix'`;
      const args = ['run', tools.greeter, '--store', tools.root, '--', 'sh', '-c'];
      expect(await shell(machineWith(nix), script, args)).toEqual(raw('text\ntext\ncaf\xe9\nlink-caf\xe9\nstore\n'));
    });

    it('is refused where the system does not tell the bytes', async () => {
      const machine = [...withoutNix.slice(0, -1), '--tmpfs', '/proc', '--'];
      const args = ['run', tools.greeter, '--store', tools.root, '--', 'greet'];
      const b = "b=$(printf 'caf\\351')";
      for (const [script, message] of [
        [`${b}; "$@" fine "$b" 2>&1; echo $?`, 'argument 3 of the command may not be UTF-8: `caf\ufffd`\n'],
        [`${b}; export b; "$@" 2>&1; echo $?`, 'the variable `b` may not be UTF-8\n'],
      ] as const) {
        const said = (await shell(machine, script, args)).toString();
        expect(said.startsWith(`error[E_UNSUPPORTED]: ${message}`), said).toBe(true);
        expect(said.endsWith('\n1\n'), said).toBe(true);
      }
    });
  });

  describe('the end of a command', () => {
    it.each(['run', 'shell'])('is what the help of `%s` has first among exit codes', async (name) => {
      const { lines } = await shared().succeed([name, '--help']);
      expect(lines[lines.indexOf('Exit status:') + 1]).toMatch(/^ {2}N +the command's own/);
      expect(lines).toContainEqual(expect.stringMatching(/--json +print errors as JSON/));
    });

    it.each([
      ['exit 0', 0],
      ['exit 1', 1],
      ['exit 7', 7],
      ['exit 127', 127],
      ['exit 255', 255],
      ['kill -9 $$', 137],
      ['kill -TERM $$', 143],
      ['kill -INT $$', 130],
    ])('`%s` is %i, and nothing is said', async (script, exitCode) => {
      expect(await run(['sh', '-c', script])).toEqual({ exitCode, stdout: '', stderr: '' });
    });
  });

  describe('signals', () => {
    /** Starts a command that tells when it is ready; gives carport's process id. */
    const start = async (trap: string, script: string) => {
      const [program, ...before] = withoutNix;
      const args = [...before, process.execPath, CARPORT, 'run', tools.greeter, '--store', tools.root, '--'];
      const child = execa(program!, [...args, 'sh', '-c', `${trap} echo $$ $PPID; ${script}`], {
        ...{ env: shared().env, extendEnv: false, cwd: shared().path('work'), reject: false, stdin: 'ignore' },
      });
      const first = await new Promise<string>((resolve) =>
        child.stdout!.once('data', (bytes) => resolve(String(bytes))),
      );
      const [command, monitor] = first.trim().split(' ').map(Number) as [number, number];
      return { child, command, carport: await parentOf(monitor) };
    };
    const parentOf = async (processId: number) =>
      Number(/^PPid:\s*([0-9]+)$/m.exec(await readFile(`/proc/${processId}/status`, 'utf8'))![1]);

    it.each(['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGQUIT'] as const)(
      'passes %s on to the command, whose trap ends it as it likes',
      async (signal) => {
        const name = signal.slice(3);
        const trap = `trap 'echo got ${name}; exit 9' ${name};`;
        const { child, carport: processId } = await start(trap, 'while :; do sleep 0.05; done');
        process.kill(processId, signal);
        const { exitCode, stdout, stderr } = await child;
        expect([exitCode, stdout.split('\n').at(-1), stderr]).toEqual([9, `got ${name}`, '']);
      },
    );

    it('goes on with a command that a signal does not end', async () => {
      const { child, carport: processId } = await start(
        "trap 'echo again' TERM;",
        'while [ ! -e go ]; do sleep 0.05; done; exit 4',
      );
      for (const _ of [1, 2]) {
        process.kill(processId, 'SIGTERM');
        await new Promise((resolve) => child.stdout!.once('data', resolve));
      }
      await writeFile(shared().path('work/go'), '');
      expect((await child).exitCode).toBe(4);
    });

    it('is 143 when SIGTERM has ended the command', async () => {
      const { child, carport: processId } = await start('', 'exec sleep 60');
      process.kill(processId, 'SIGTERM');
      expect((await child).exitCode).toBe(143);
    });

    it('lets the command end as it likes when all processes of a group get one', async () => {
      // Not on another machine: its bubblewrap would end, and kill all. The signal comes twice: to all, and passed on.
      const trap = 'trap "trap \'\' TERM; echo in peace; exit 4" TERM; echo ready; while :; do sleep 0.05; done';
      const args = ['run', tools.greeter, '--store', tools.root, '--', 'sh', '-c', trap];
      const child = execa(process.execPath, [CARPORT, ...args], {
        ...{ env: shared().env, extendEnv: false, cwd: shared().path('work'), reject: false, detached: true },
      });
      await new Promise((resolve) => child.stdout!.once('data', resolve));
      process.kill(-child.pid!, 'SIGTERM');
      const { exitCode, stdout } = await child;
      expect([exitCode, stdout]).toEqual([4, 'ready\nin peace']);
    });

    it('takes the command along when it is killed', async () => {
      const { child, command, carport: processId } = await start('', 'exec sleep 60');
      process.kill(processId, 'SIGKILL');
      await child;
      await expect.poll(() => isAlive(command)).toBe(false);
    });

    it('keeps the paths from being collected meanwhile', async () => {
      const { child, carport: processId } = await start('', 'exec sleep 60');
      const active = `${tools.root}/nix/var/carport/active`;
      const markers = async () => (await readdir(active)).filter((name) => name.includes(`-${processId}-`));
      const [marker] = await markers();
      expect(marker).toMatch(/\.use$/);
      expect(await readFile(`${active}/${marker}`, 'utf8')).toBe(`${tools.greeter}\n`);
      process.kill(processId, 'SIGTERM');
      await child;
      expect(await markers()).toEqual([]);
    });
  });

  describe('a terminal', () => {
    // On this machine: another one is bubblewrap's, which a terminal interrupts, too.
    const line = () => [process.execPath, CARPORT, 'run', tools.greeter, '--store', tools.root, '--'].join(' ');
    /** Types at a terminal where a program runs, when what is waited for has been seen. */
    const type = async (program: string, wait: RegExp, text: string) => {
      const child = execa(shared().path('bin/script'), ['-qec', program, '/dev/null'], {
        ...{ env: { ...shared().env, SHELL: '/bin/sh', TERM: 'dumb' }, extendEnv: false },
        ...{ cwd: shared().path('work'), reject: false, timeout: 90_000, stdin: 'pipe' },
      });
      let seen = '';
      child.stdout!.on('data', (bytes) => {
        seen += bytes;
      });
      await expect.poll(() => seen, { timeout: 60_000 }).toMatch(wait);
      child.stdin!.write(text);
      const { exitCode } = await child;
      return { exitCode, seen: seen.replaceAll('\r', '') };
    };

    it('is the terminal of the command', async () => {
      const program = `exec ${line()} sh -c '[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo ready; read x; echo got $x; exit 3'`;
      const { exitCode, seen } = await type(program, /^ready/m, 'a line\n');
      expect([exitCode, seen]).toEqual([3, expect.stringContaining('got a line')]);
    });

    it('interrupts the command and not carport', async () => {
      const trap = `trap "echo trapped; exit 5" INT; echo ready; while :; do sleep 0.05; done`;
      const { exitCode, seen } = await type(`exec ${line()} sh -c '${trap}'`, /^ready/m, '\x03');
      expect([exitCode, seen]).toEqual([5, expect.stringContaining('trapped')]);
    });

    it('interrupts a loop of the shell around carport', async () => {
      await writeFile(
        shared().path('work/loop'),
        `for i in 1 2; do ${line()} sh -c "echo ready $i; exec sleep 60"; done; echo after`,
      );
      const { seen } = await type('bash loop', /^ready 1/m, '\x03');
      expect(seen).toContain('ready 1');
      expect(seen).not.toMatch(/ready 2|after/);
    });

    it('stops the command and carport, and both go on', async () => {
      const script = 'echo ready; while [ ! -e continued ]; do sleep 0.05; done; echo done; exit 6';
      await writeFile(
        shared().path('work/stop'),
        `set -m; ${line()} sh -c '${script}'; echo "stopped with $?"; touch continued; fg; echo "ended with $?"`,
      );
      const { seen } = await type('bash stop', /^ready/m, '\x1a');
      expect(seen).toMatch(/stopped with 148\n(.|\n)*done\nended with 6\n/);
    });
  });

  describe('what is run with', () => {
    const runDefault = (whats: readonly string[], command: readonly string[]) =>
      carport(withoutNix, ['run', ...whats, '--', ...command], { env: { XDG_DATA_HOME: shared().path('data') } });
    beforeAll(async () => {
      await mkdir(shared().path('data'), { recursive: true });
      await symlink(tools.root, shared().path('data/carport'));
    });
    beforeEach(async () => {
      const pin = { from: 'file:///cache', updatedAt: '2026-01-01T00:00:00Z' };
      const storePaths = [tools.greeter, tools.cat];
      await writePulledPin(openOwnStore(tools.root), { ...pin, reference: 'toolchain', storePaths });
    });

    it('is a pin that was pulled, with several paths', async () => {
      const { stdout, stderr } = await runDefault(
        ['toolchain'],
        ['sh', '-c', 'greet | own-cat; echo; echo "$CARPORT_RUN"; echo "$PATH"'],
      );
      expect(stderr).toBe('');
      expect(stdout.split('\n')).toEqual([
        'hello',
        'toolchain',
        `${tools.greeter}/bin:${tools.cat}/bin:${shared().env.PATH}`,
        '',
      ]);
    });

    it('is a pin rather than a link of that name', async () => {
      await symlink(tools.file, shared().path('work/toolchain'));
      expect((await runDefault(['toolchain'], ['greet'])).stdout).toBe('hello');
      await rm(shared().path('work/toolchain'));
    });

    it.each([
      ['a hash part', () => tools.greeter.slice('/nix/store/'.length).slice(0, 32)],
      ['a base name', () => tools.greeter.slice('/nix/store/'.length)],
      ['a file of a path', () => `${tools.greeter}/bin/greet`],
      ['a link', () => './result'],
    ])('is %s', async (_, what) => {
      await symlink(shared().path('data/carport', tools.greeter), shared().path('work/result')).catch(() => undefined);
      expect((await runDefault([what()], ['greet'])).stdout).toBe('hello');
    });

    it('must be here', async () => {
      for (const what of ['other-pin', `/nix/store/${HOST_NAME}`, HOST_NAME, HOST_NAME.slice(0, 32)]) {
        const { exitCode, stderr } = await runDefault([what], ['greet']);
        expect([exitCode, stderr]).toEqual([5, expect.stringContaining(`carport pull ${what} --from`)]);
      }
    });

    it('may be in place already, and needs no bubblewrap then', async () => {
      const inPlace = machineWith(`${tools.root}/nix`);
      const args = ['run', tools.greeter, '--store', '/', '--', 'sh', '-c', 'greet; echo $PPID; exit 6'];
      const { exitCode, stdout, stderr } = await carport(inPlace, args, { env: { PATH: await pathWithout('bwrap') } });
      expect([exitCode, stdout, stderr]).toEqual([6, expect.stringMatching(/^hello[0-9]+\n$/), '']);
    });

    it('works within another run', async () => {
      const inner = [
        process.execPath,
        CARPORT,
        'run',
        tools.cat,
        '--store',
        tools.root,
        '--',
        'sh',
        '-c',
        'greet | own-cat',
      ];
      expect(await succeed(inner)).toBe('hello');
    });
  });

  describe('within another run', () => {
    let other: string;
    let otherStore: string;
    beforeAll(async () => {
      const box = shared();
      otherStore = box.path('other-store');
      await mkdir(box.path('other/bin'), { recursive: true });
      await writeFile(box.path('other/bin/say'), '#!/bin/sh\necho of the other store\n', { mode: 0o755 });
      const args = ['store', 'add', box.path('other'), '--name', 'other', '--store', otherStore];
      other = (await box.succeed(args)).stdout.trim();
    });

    it.each([
      ['without /nix', () => withoutNix, 'say; greet'],
      ['with a store of its own', () => withHostStore, `say; greet; echo; /nix/store/${HOST_NAME}/bin/host-program`],
    ])('a command sees both stores on a machine %s', async (_, machine, script) => {
      const inner = [process.execPath, CARPORT, 'run', other, '--store', otherStore, '--', 'sh', '-c', script];
      const ran = await carport(machine(), ['run', tools.greeter, '--store', tools.root, '--', ...inner]);
      const ofHost = machine() === withHostStore ? '\na program of the host\n' : '';
      expect(ran).toEqual({ exitCode: 0, stdout: `of the other store\nhello${ofHost}`, stderr: '' });
    });
  });

  describe('PATH within another run', () => {
    it('has the directories of programs once where they are first already, and first where they are not', async () => {
      const path = async (...whats: readonly string[]) => {
        const inner = [process.execPath, CARPORT, 'run', ...whats, '--store', tools.root, '--'];
        const { stdout, stderr } = await carport(withoutNix, [
          ...['run', tools.greeter, tools.cat, '--store', tools.root, '--', ...inner, 'sh', '-c', 'echo "$PATH"'],
        ]);
        expect(stderr).toBe('');
        return stdout.trimEnd();
      };
      const outer = `${tools.greeter}/bin:${tools.cat}/bin:${shared().env.PATH}`;
      expect(await path(tools.greeter)).toBe(outer);
      expect(await path(tools.greeter, tools.cat)).toBe(outer);
      expect(await path(tools.cat)).toBe(`${tools.cat}/bin:${outer}`);
    });
  });

  describe('what is not here yet', () => {
    it('is pulled, and stdout is the command’s with --json, too', async () => {
      const cache = shared().path('cache');
      await shared().succeed(['push', tools.greeter, '--to', cache, '--store', tools.root]);
      const store = ['--store', shared().path('pulled-store')];
      const from = ['--from', cache, '--allow-unsigned', '--json'];
      const { exitCode, stdout, stderr } = await carport(withoutNix, [
        ...['run', tools.greeter, ...store, ...from, '--', 'greet'],
      ]);
      expect([exitCode, stdout], stderr).toEqual([0, 'hello']);
      expect(stderr).toContain('3 paths');
      const failed = await carport(withoutNix, ['run', 'missing', ...store, '--json', '--', 'greet']);
      expect([failed.exitCode, failed.stdout]).toEqual([5, '']);
      expect(JSON.parse(failed.stderr)).toMatchObject({ code: 'E_NOT_FOUND' });
    });
  });

  describe('errors', () => {
    it('names a command that is not there', async () => {
      const { exitCode, stdout, stderr } = await run(['greeet']);
      expect([exitCode, stdout]).toEqual([5, '']);
      expect(stderr).toMatch(/^error\[E_NOT_FOUND\]: the command `greeet` is not on PATH\n/);
    });

    it('names a file that is not there', async () => {
      for (const command of ['./missing', `${tools.greeter}/bin/missing`]) {
        const { exitCode, stderr } = await run([command]);
        expect([exitCode, stderr]).toEqual([5, expect.stringContaining(`the command \`${command}\` does not exist`)]);
      }
    });

    it('leaves it to the system to say why a file cannot be executed', async () => {
      await writeFile(shared().path('work/bad'), '#!/no/such/interpreter\n', { mode: 0o755 });
      expect(await run(['./bad'])).toEqual({ exitCode: 127, stdout: '', stderr: expect.stringContaining('./bad') });
      const alone = await run(['./bad'], { env: { PATH: await pathWithout('env') } });
      expect([alone.exitCode, alone.stderr]).toEqual([1, expect.stringContaining('`./bad` cannot be executed')]);
    });

    it('names a file that is no program, in a namespace and without', async () => {
      await writeFile(shared().path('work/no-program'), 'text');
      const inPlace = machineWith(`${tools.root}/nix`);
      for (const file of ['./no-program', '/etc', `${tools.greeter}/bin`]) {
        const all = [await run([file]), await carport(inPlace, ['run', tools.greeter, '--store', '/', '--', file])];
        for (const { exitCode, stdout, stderr } of all) {
          expect([exitCode, stdout]).toEqual([1, '']);
          expect(stderr).toMatch(/^error\[E_PROGRAM\]: `[^`]*` cannot be executed\n\nhint: /);
          expect(stderr).toContain(`\`${file}\``);
        }
      }
    });

    it.each([
      [['x', 'gcc', 'a.c'], 'carport run x -- gcc …'],
      [['x', 'gcc'], 'carport run x -- gcc`'],
      [['x', 'gcc', '--version'], 'carport run x -- gcc …'],
      [['x'], 'carport shell x'],
      [['x', 'y', '--'], 'carport shell x y'],
    ])('`carport run %j` tells how it is called', async (args, hint) => {
      const { exitCode, stderr } = await carport(withoutNix, ['run', ...args]);
      expect(exitCode).toBe(2);
      expect(stderr.split('hint: ')[1]).toContain(hint);
    });

    it('says how to get bubblewrap', async () => {
      const { exitCode, stderr } = await run(['greet'], { env: { PATH: await pathWithout('bwrap') } });
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining('apt install bubblewrap')]);
    });

    it('does not take the bubblewrap of what is run', async () => {
      const box = shared();
      await mkdir(box.path('trap/bin'), { recursive: true });
      await writeFile(box.path('trap/bin/bwrap'), '#!/bin/sh\necho trapped\n', { mode: 0o755 });
      const added = await box.succeed([
        'store',
        'add',
        box.path('trap'),
        '--name',
        'trap',
        '--store',
        box.path('trap-store'),
      ]);
      const args = ['run', added.stdout.trim(), '--store', box.path('trap-store'), '--', 'sh', '-c', 'echo fine'];
      expect(await carport(withoutNix, args)).toEqual({ exitCode: 0, stdout: 'fine\n', stderr: '' });
    });

    it('says that user namespaces are not allowed', async () => {
      const forbidden = [...withoutNix.slice(0, -1), '--unshare-user', '--disable-userns', '--'];
      const { exitCode, stdout, stderr } = await carport(
        forbidden,
        [...['run', tools.greeter, '--store', tools.root, '--', 'greet']],
        ordinaryUser(),
      );
      expect([exitCode, stdout]).toEqual([1, '']);
      expect(stderr).toContain('error[E_PROGRAM]: user namespaces are not allowed here');
      expect(stderr).toMatch(/because bwrap: .*\n\nhint: /);
    });

    it('says that bubblewrap does not work, and no more than it knows', async () => {
      const PATH = `${await pathWithout('bwrap')}-broken`;
      await mkdir(PATH);
      const others = PROGRAMS.filter((program) => program !== 'bwrap');
      await linkPrograms(PATH, others);
      await writeFile(`${PATH}/bwrap`, '#!/bin/sh\necho it is broken >&2\nexit 1\n', { mode: 0o755 });
      const { exitCode, stderr } = await run(['greet'], { env: { PATH } });
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining('bwrap` does not work here')]);
      expect(stderr).toContain('because it is broken');
      expect(stderr).not.toContain('not allowed here');
    });

    it('says that the working directory is gone', async () => {
      const script = `mkdir gone && cd gone && rmdir "$PWD" && exec "$@"`;
      const { exitCode, stderr } = await carport(
        ['/bin/sh', '-c', script, 'sh'],
        [...['run', tools.greeter, '--store', tools.root, '--', 'greet']],
      );
      expect([exitCode, stderr]).toEqual([5, expect.stringContaining('the working directory does not exist any more')]);
    });
  });

  describe('carport shell', () => {
    const shell = (args: readonly string[], options?: Options) =>
      carport(withoutNix, ['shell', tools.greeter, '--store', tools.root, ...args], options);

    it('reads commands, and ends as the last of them', async () => {
      const ran = await shell([], { input: 'greet; echo; echo "$CARPORT_SHELL"; exit 3\n' });
      expect(ran).toEqual({ exitCode: 3, stdout: `hello\n${tools.greeter}\n`, stderr: '' });
    });

    it('is the shell of the user', async () => {
      const SHELL = shared().path('work/my-shell');
      await writeFile(SHELL, '#!/bin/sh\necho my shell "$@"\n', { mode: 0o755 });
      expect((await shell(['--', '-c', 'x'], { env: { SHELL } })).stdout).toBe('my shell -c x\n');
    });

    it.each(['/usr/sbin/nologin', '/bin/false', '/no/such/shell', 'relative'])(
      'is /bin/sh in place of %s',
      async (SHELL) => {
        expect((await shell(['--', '-c', 'echo $0'], { env: { SHELL } })).stdout).toBe('/bin/sh\n');
      },
    );
  });

  const someoneElse =
    process.getuid?.() === 0 && spawnSync(process.execPath, [CARPORT, '--version'], NOBODY).status === 0;
  describeWithPeer(
    someoneElse ? undefined : 'it takes root, and a checkout that others may read',
    'an ordinary user',
    () => {
      it('uses no runtime directory of another', async () => {
        const XDG_RUNTIME_DIR = await runtimeDirectory();
        execFileSync('chown', ['65534:65534', XDG_RUNTIME_DIR]);
        const args = ['run', tools.greeter, '--store', tools.root, '--', 'ls', '-A', XDG_RUNTIME_DIR];
        expect(await carport(withHostStore, args, { env: { XDG_RUNTIME_DIR } })).toEqual({
          ...{ exitCode: 0, stdout: '', stderr: '' },
        });
        await rm(XDG_RUNTIME_DIR, { recursive: true });
      });

      it.each([
        ['without /nix', () => withoutNix],
        ['with a store of its own', () => withHostStore],
      ])('with a home of their own runs commands on a machine %s', async (_, machine) => {
        const home = shared().path('their-home');
        await mkdir(home, { recursive: true, mode: 0o700 });
        execFileSync('chown', ['65534:65534', home]);
        const options = { ...NOBODY, cwd: home, env: { HOME: home, XDG_DATA_HOME: home, TMPDIR: '/tmp' } };
        const script = 'greet; echo; id -u; echo text > "$HOME/made"; cat made; [ -t 0 ] || echo no terminal';
        const args = ['run', tools.greeter, '--store', tools.root, '--', 'sh', '-c', script];
        expect(await carport(machine(), args, options)).toEqual({
          ...{ exitCode: 0, stdout: 'hello\n65534\ntext\nno terminal\n', stderr: '' },
        });
        expect(await readFile(`${home}/made`, 'utf8')).toBe('text\n');
      });
    },
  );

  /** The PATH of the sandbox without one of its programs. */
  const pathWithout = async (name: string): Promise<string> => {
    const directory = shared().path(`bin-without-${name}`);
    await mkdir(directory, { recursive: true });
    const missing = PROGRAMS.filter((program) => program !== name);
    await linkPrograms(directory, missing).catch(() => undefined);
    return directory;
  };

  const ordinaryUser = () => (someoneElse ? { ...NOBODY, env: { TMPDIR: '/tmp' } } : {});
});
