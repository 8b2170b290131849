/**
 * Where both sides run: the root of a newer Debian with its Nix, in a mount namespace of this bench. Both see one store,
 * one machine and the same names of files.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, homedir, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

/** A program that is run and measured, as both sides see its files. */
export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface World {
  /** A directory of this run, for everything that is made; it has one name inside and outside. */
  readonly directory: string;
  /** The command line and environment that run a program inside. */
  inside(command: Command): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> };
  /** Runs a program inside that is not measured; gives what it prints. */
  run(command: Command): Promise<string>;
  close(): Promise<void>;
}

const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'carport');
const ROOT = join(CACHE, 'peers/nix/sid');
/** Nix's own store, with the closures: they are built once. */
const KEPT_STORE = join(CACHE, 'bench/nix');

const KEPT_RCLONE = join(CACHE, 'peers/bin/rclone');

/** Names that are the same inside and outside. */
const PLACES = '/mnt';
const SOURCES = join(PLACES, 'carport');
const NODE = join(PLACES, 'node');
const WORK = join(PLACES, 'bench');
/** rclone, as both sides name it. */
export const RCLONE = join(PLACES, 'rclone');

/** Bytes that it may take: as many as are written are. */
const DISK_SIZE = '48G';

const ENTERED = 'CARPORT_BENCH_ENTERED';
const TOP = fileURLToPath(new URL('../../', import.meta.url));

const HOW_TO_GET_NIX = `the newest Nix is missing: as root, with the mirror that the sources of apt name,
  debootstrap --variant=minbase --include=nix-bin,ca-certificates,xz-utils,zstd sid ${ROOT} MIRROR`;

/** Runs this program again in a mount namespace of its own, and gives its exit code; nothing in there. */
export async function enterWorld(): Promise<number | undefined> {
  if (process.env[ENTERED]) return undefined;
  if (process.getuid?.() !== 0) throw new Error('the bench mounts directories: it must be run as root');
  await access(join(ROOT, 'usr/bin/nix')).catch(() => {
    throw new Error(HOW_TO_GET_NIX);
  });
  const child = spawn('unshare', ['--mount', '--', process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [ENTERED]: '1' },
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** Mounts what both sides need. */
export async function openWorld(): Promise<World> {
  const kept = await mkdtemp(join(tmpdir(), 'carport-bench-'));
  await mkdir(KEPT_STORE, { recursive: true });
  await mount('-t', 'tmpfs', 'places', PLACES);
  for (const directory of [SOURCES, WORK]) await mkdir(directory);
  for (const file of [NODE, RCLONE]) await writeFile(file, '');
  await writeFile(join(PLACES, 'hosts'), '127.0.0.1 localhost\n');
  await mount('--bind', TOP, SOURCES);
  await mount('--bind', process.execPath, NODE);
  await mountWork(kept);
  // Only some jobs need it; they fail without.
  if (await isThere(KEPT_RCLONE)) await mount('--bind', await realpath(KEPT_RCLONE), RCLONE);
  // A root of unpacked packages, as `.ci/run` makes it, has few directories.
  for (const name of ['nix', 'mnt', 'proc', 'dev', 'tmp', 'etc']) await mkdir(join(ROOT, name), { recursive: true });
  await writeFile(join(ROOT, 'etc/hosts'), '', { flag: 'a' });
  await mount('--rbind', PLACES, join(ROOT, PLACES));
  await mount('--bind', KEPT_STORE, join(ROOT, 'nix'));
  await mount('--bind', join(PLACES, 'hosts'), join(ROOT, 'etc/hosts'));
  for (const name of ['/proc', '/dev']) await mount('--rbind', name, join(ROOT, name));
  await writeConfiguration();
  const env = {
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
    HOME: join(WORK, 'home'),
    XDG_CACHE_HOME: join(WORK, 'home/cache'),
    NIX_CONF_DIR: join(WORK, 'conf'),
    AWS_EC2_METADATA_DISABLED: 'true',
    CARPORT_PROGRESS: 'none',
    LANG: 'C.UTF-8',
  };
  const inside = (command: Command) => ({
    argv: ['chroot', ROOT, ...command.argv],
    env: { ...env, ...command.env },
  });
  return {
    directory: WORK,
    inside,
    async run(command) {
      const { argv, env: all } = inside(command);
      return (await execa(argv[0]!, argv.slice(1), { env: all, extendEnv: false })).stdout;
    },
    async close() {
      await execa('umount', ['--lazy', join(ROOT, PLACES, 'bench'), WORK], { reject: false });
      await rm(kept, { recursive: true, force: true });
    },
  };
}

/** A command of carport. */
export function carport(args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
  return { argv: [NODE, join(SOURCES, 'dist/bundle/carport.js'), ...args], env };
}

/** What the numbers are of. */
export async function describeMachine(world: World) {
  const [cpu] = cpus();
  const versionOf = async (argv: readonly string[]) => (await world.run({ argv })).split('\n')[0]!.trim();
  return {
    processors: availableParallelism(),
    model: cpu?.model.trim() ?? 'unknown',
    memory: totalmem(),
    node: process.version,
    nix: await versionOf(['nix', '--version']),
    commit: (await execa('git', ['-C', TOP, 'rev-parse', '--short', 'HEAD'], { reject: false })).stdout,
    kernel: (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim(),
    date: new Date().toISOString().slice(0, 10),
  };
}

/**
 * A new file system for what is made, where that can be had: ext4 looks at each inode that was freed minutes ago for each file
 * that is made, and what was removed before would be measured.
 */
async function mountWork(kept: string): Promise<void> {
  const image = join(kept, 'disk');
  try {
    await execa('truncate', ['--size', DISK_SIZE, image]);
    await execa('mkfs.ext4', ['-q', image]);
    await mount('-o', 'loop', image, WORK);
  } catch {
    console.error('no file system of its own can be made: what was removed minutes ago makes this slower');
    await mount('--bind', kept, WORK);
  }
}

async function writeConfiguration(): Promise<void> {
  const file = join(WORK, 'conf/nix.conf');
  await mkdir(dirname(file));
  await writeFile(
    file,
    'sandbox = false\nbuild-users-group =\nsubstituters =\nexperimental-features = nix-command flakes\n',
  );
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function mount(...args: readonly string[]): Promise<void> {
  await execa('mount', args);
}
