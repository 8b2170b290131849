import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { chmod, chown, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { TOP } from './markdown.js';
import type { Ran, Sandbox } from './sandbox.js';

/** A machine with no Nix, no `/nix` and no compiler, and a user on it without rights. */
export interface Developer {
  /** What is the user's home directory, `/home/developer`, on that machine. */
  readonly directory: string;
  /** Runs lines of shell in the home directory; never throws for an exit code. */
  shell(script: string, env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** The same, but it must succeed. Gives stdout without the last newline. */
  succeed(script: string, env?: Readonly<Record<string, string>>): Promise<string>;
}

export interface DeveloperOptions {
  /** Directories of this machine by their place on the other, in `/srv`, where they can be read only. */
  readonly shared?: Readonly<Record<string, string>>;
  /** The same, where the user may write. */
  readonly writable?: Readonly<Record<string, string>>;
  /** Programs on PATH beside carport and bubblewrap. */
  readonly programs?: readonly string[];
}

/** Directories of `/` that the other machine has, too. */
const SYSTEM = ['bin', 'etc', 'lib', 'lib32', 'lib64', 'libx32', 'sbin', 'sys', 'usr'];
/** What a C compiler of the system could not do without. */
const COMPILER = ['/usr/include', '/usr/lib/gcc'];
const NOBODY = 65534;

/** Makes such a machine: a root directory of its own, which bubblewrap makes for each command, and a home that stays. */
export async function createDeveloper(box: Sandbox, name: string, options: DeveloperOptions = {}): Promise<Developer> {
  const home = box.path(name);
  const programs = box.path(`${name}-programs`);
  await Promise.all([home, programs].map((directory) => mkdir(directory, { recursive: true })));
  for (const program of ['sh', 'bwrap', 'cat', 'id', 'ls', ...(options.programs ?? [])]) {
    const found = execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
    await symlink(await realpath(found), join(programs, program));
  }
  const carport = '#!/bin/sh\nexec /opt/node /opt/carport/dist/bin/carport.js "$@"\n';
  await writeFile(join(programs, 'carport'), carport);
  await chmod(join(programs, 'carport'), 0o755);
  const asRoot = process.getuid?.() === 0;
  const writable = Object.entries({ ...options.writable, '/home/developer': home });
  if (asRoot) await Promise.all(writable.map(([, directory]) => chown(directory, NOBODY, NOBODY)));

  const machine = [
    // Root makes the machine, whatever the directories' modes are, and is nobody on it.
    ...(asRoot ? ['--cap-add', 'ALL'] : []),
    ...[
      '--die-with-parent',
      '--dev-bind',
      '/dev',
      '/dev',
      '--bind',
      '/proc',
      '/proc',
      '--tmpfs',
      '/tmp',
      '--chmod',
      '1777',
      '/tmp',
    ],
    ...systemMounts(),
    ...COMPILER.flatMap((directory) => ['--tmpfs', directory]),
    ...['/opt', '/home', '/srv'].flatMap((directory) => ['--dir', directory]),
    ...['--ro-bind', process.execPath, '/opt/node', '--ro-bind', TOP, '/opt/carport'],
    ...['--ro-bind', programs, '/opt/bin'],
    ...writable.flatMap(([place, directory]) => ['--bind', directory, place]),
    ...Object.entries(options.shared ?? {}).flatMap(([place, directory]) => ['--ro-bind', directory, place]),
    ...['--remount-ro', '/', '--chdir', '/home/developer'],
  ];
  const user = asRoot
    ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--bounding-set=-all']
    : [];
  const environment = { PATH: '/opt/bin', HOME: '/home/developer', NO_COLOR: '1', AWS_EC2_METADATA_DISABLED: 'true' };

  const shell: Developer['shell'] = async (script, env = {}) => {
    const command = ['/usr/bin/env', '-i', ...assignments({ ...environment, ...env }), '/bin/sh', '-c', script];
    const { exitCode, stdout, stderr } = await execa('bwrap', [...machine, '--', ...user, ...command], {
      ...{ input: '', reject: false, stripFinalNewline: false, encoding: 'buffer' },
    });
    const [out, err] = [stdout, stderr].map((bytes) => Buffer.from(bytes).toString('utf8')) as [string, string];
    return { exitCode: exitCode ?? -1, stdout: out, stderr: err, lines: out.split('\n').slice(0, -1), bytes: stdout };
  };
  return {
    directory: home,
    shell,
    async succeed(script, env) {
      const { exitCode, stdout, stderr } = await shell(script, env);
      if (exitCode !== 0) throw new Error(`\`${script}\` exited with ${exitCode}:\n${stdout}${stderr}`);
      return stdout.trimEnd();
    },
  };
}

function systemMounts(): readonly string[] {
  const entries = readdirSync('/', { withFileTypes: true }).filter(({ name }) => SYSTEM.includes(name));
  return entries.flatMap((entry) => {
    const path = `/${entry.name}`;
    return entry.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
  });
}

function assignments(env: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}
