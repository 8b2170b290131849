import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { installBundle } from '../support/installed.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

/** Machines that let carport have less than it is used to. */

const NOBODY = '65534';

const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

/** Becoming another user takes root, and that user has to be let at the program. */
const canBecomeNobody =
  process.getuid?.() === 0 &&
  (await execa('/usr/bin/setpriv', [...AS_NOBODY, 'test', '-r', CARPORT], { reject: false })).exitCode === 0;
const itAsRoot = it.runIf(canBecomeNobody);

describe('a machine', () => {
  const box = useSandbox();

  /** The store path of a new file of 20 KB, added to a store. */
  const add = async (name: string, store: string) => {
    await writeFile(box().path(name), `${name} `.repeat(4000));
    const { lines } = await box().succeed(['store', 'add', box().path(name), '--name', name, '--store', store]);
    return lines[0]!;
  };
  const asNobody = (args: readonly string[], env: Readonly<Record<string, string>>) =>
    execa('/usr/bin/setpriv', [...AS_NOBODY, process.execPath, CARPORT, ...args], {
      ...{ cwd: '/', env: { PATH: box().env.PATH!, NO_COLOR: '1', ...env }, extendEnv: false, reject: false },
    });
  /** Lets everybody into the sandbox, and makes a home for somebody else. */
  const open = async () => {
    await chmod(box().root, 0o755);
    await mkdir(box().path('theirs'));
    await chmod(box().path('theirs'), 0o777);
    return box().path('theirs');
  };

  itAsRoot('whose HOME belongs to somebody else has no settings there', async () => {
    const theirs = await open();
    await mkdir(box().path('private'), { mode: 0o700 });
    await writeFile(box().path('f'), 'x');
    const args = ['store', 'add', box().path('f'), '--name', 'f-1', '--store', `${theirs}/store`];
    const { exitCode, stderr } = await asNobody(args, { HOME: box().path('private') });
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('error')]);
    // Settings that are there and cannot be read are another thing.
    await mkdir(`${theirs}/.config/carport`, { recursive: true });
    await writeFile(`${theirs}/.config/carport/config.toml`, '', { mode: 0o600 });
    const unreadable = await asNobody(args, { HOME: theirs });
    expect(unreadable.exitCode).toBe(2);
    expect(unreadable.stderr).toContain(`${theirs}/.config/carport/config.toml`);
    expect(unreadable.stderr).toContain('XDG_CONFIG_HOME');
  });

  itAsRoot('whose store somebody else fills lets others pull what is there, and nothing else', async () => {
    const theirs = await open();
    const [here, there] = [await add('a-1', box().path('s')), await add('b-1', box().path('s'))];
    const cache = `file://${box().path('cache')}`;
    await box().succeed(['push', here, there, '--store', box().path('s'), '--to', cache]);
    const from = ['--from', cache, '--allow-unsigned', '--store', box().path('shared')];
    await box().succeed(['pull', here, ...from]);
    const pulled = await asNobody(['pull', here, ...from], { HOME: theirs });
    expect([pulled.exitCode, pulled.stdout]).toEqual([0, here]);
    const refused = await asNobody(['pull', there, ...from], { HOME: theirs });
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain(box().path('shared'));
  });

  it('with few open files is asked for fewer at a time', async () => {
    const store = box().path('s');
    const paths: string[] = [];
    for (let n = 0; n < 40; n++) paths.push(await add(`p-${n}`, store));
    await writeFile(box().path('all'), paths.join('\n'));
    const { lines } = await box().succeed(['store', 'add', box().path('all'), '--name', 'all-1', '--store', store]);
    await box().succeed(['push', lines[0]!, '--store', store, '--to', `file://${box().path('cache')}`]);
    const server = createServer((request, response) => {
      // Late, so that all that may be asked at a time is.
      setTimeout(async () => {
        const body = await readFile(box().path('cache') + request.url).catch(() => undefined);
        response.writeHead(body ? 200 : 404).end(request.method === 'GET' ? body : undefined);
      }, 30);
    }).listen(0, '127.0.0.1');
    const url = await new Promise<string>((resolve) => {
      server.once('listening', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    });
    // As it is installed: of hundreds of modules Node opens more than that at a time.
    await installBundle(box().path('installed'));
    const program = box().path('installed/dist/bin/carport.js');
    try {
      const pull = [process.execPath, program, 'pull', lines[0]!, '--from', url, '--allow-unsigned', '--store'];
      for (const files of ['64', '128']) {
        const shell = ['-c', `ulimit -n ${files}; exec "$@"`, 'sh', ...pull, box().path(`r${files}`)];
        const { exitCode, stderr } = await execa('/bin/sh', shell, {
          ...{ cwd: box().path('work'), env: box().env, extendEnv: false, reject: false },
        });
        expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('error')]);
      }
    } finally {
      server.close();
    }
  });

  it.runIf(process.platform === 'linux')('with too few open files says that, and of no bug', async () => {
    const path = await add('few-1', box().path('s'));
    const cache = ['--to', `file://${box().path('cache')}`];
    await box().succeed(['push', path, '--store', box().path('s'), ...cache]);
    await writeFile(box().path('bin/nix'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await installBundle(box().path('installed'));
    const program = [process.execPath, box().path('installed/dist/bin/carport.js')];
    const withFiles = (files: number, args: readonly string[]) =>
      execa('/bin/sh', ['-c', `ulimit -n ${files}; exec "$@"`, 'sh', ...program, ...args], {
        ...{ cwd: box().path('work'), env: box().env, extendEnv: false, reject: false },
      });
    const said: string[] = [];
    for (let files = 20; files <= 31; files++) {
      const pull = [
        'pull',
        path,
        '--from',
        box().path('cache'),
        '--allow-unsigned',
        '--store',
        box().path(`r${files}`),
      ];
      const push = ['push', `/nix/store/${'a'.repeat(32)}-a`, '--to', `file://${box().path('new')}`];
      for (const args of [pull, push]) {
        const { stderr } = await withFiles(files, args);
        expect(stderr, `${args[0]} with ${files}`).not.toMatch(/Unhandled|E_BUG/);
        if (stderr.includes('raise `ulimit -n`')) said.push(args[0]!);
      }
    }
    expect(new Set(said)).toEqual(new Set(['pull', 'push']));
  });

  it.runIf(process.platform === 'linux')('whose PATH has no Nix says so of a path of its store', async ({ skip }) => {
    const { stdout } = await execa('sh', [
      '-c',
      'ls -d /nix/store/*-* 2>/dev/null | grep -E "/[0-9a-z]{32}-[^/]*$" | head -1',
    ]);
    if (stdout === '' || process.env.NIX_REMOTE) return skip();
    const { exitCode, stderr } = await box().carport(['push', stdout, '--to', `file://${box().path('c')}`]);
    expect(exitCode).toBe(5);
    expect(stderr).toContain('`nix`, which knows what is valid in `/nix/store`, is not on PATH');
  });
});
