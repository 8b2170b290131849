import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { execa } from 'execa';
import { makeNixPrograms, type NixVersion } from './nix-versions.js';
import { describeWithPeer } from './peers.js';

/** What was found of the system's Nix. */
export type NixFound = { readonly version: string } | { readonly missing: string };

/** Asks `nix-store` on PATH for its version. */
function findNix(): NixFound {
  const { status, stdout, error } = spawnSync('nix-store', ['--version'], { encoding: 'utf8' });
  if (status === 0) return { version: stdout.trim().split(' ').at(-1)! };
  return { missing: `Nix is missing (${error?.message ?? `nix-store --version exited with ${status}`})` };
}

export const nix = findNix();

/**
 * `describe` for tests against real Nix. Without Nix, or with `unfit` (a reason why this Nix will not do), the suite is
 * skipped and its title says why; with `CARPORT_REQUIRE_PEERS=1` it fails.
 */
export function describeWithNix(title: string, body: () => void, unfit?: string): void {
  describeWithPeer('missing' in nix ? nix.missing : unfit, title, body);
}

/** An isolated Nix store in a temporary directory. Nothing of the system's Nix is read or written. */
export interface NixStore {
  /** The temporary directory that holds all of it; files of a test may be put here too. */
  readonly root: string;
  readonly storeDir: string;
  /** The whole environment for Nix's programs, and for programs that run them. Has PATH, and no settings of the user. */
  readonly env: Readonly<Record<string, string>>;
  /** Where a store path really lies on disk. */
  realPath(storePath: string): string;
  /** Runs a program such as `nix-store`; gives what it printed, without the last newline. Throws when it fails. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** As `run`, for output that is bytes. */
  runForBytes(program: string, args: readonly string[], options?: RunOptions): Promise<Uint8Array>;
  /** Builds a Nix expression (text); gives the store paths of its outputs. */
  build(expression: string): Promise<readonly string[]>;
  remove(): Promise<void>;
}

interface RunOptions {
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
}

export interface NixStoreOptions {
  /**
   * `false` (the default): a chroot store, `local?root=<temporary directory>`. Its store dir is `/nix/store`, and the
   * files lie in `<root>/nix/store`. Builds run in Nix's sandbox whatever `sandbox` says, as the store dir is not
   * where the files are: `sandbox-paths` brings in the system's `/bin` and libraries, so builders may use `/bin/sh`.
   * Needs user namespaces, or root.
   *
   * `true`: the store dir itself is `<root>/store`. Builds need no sandbox, and store paths are real paths, but hash
   * parts differ from run to run.
   */
  readonly ownStoreDir?: boolean;
  /** Another version than the system's. */
  readonly version?: NixVersion;
  /** More lines for nix.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Makes an isolated, empty store; `remove` it after the tests. */
export async function createNixStore(options: NixStoreOptions = {}): Promise<NixStore> {
  const root = await mkdtemp(join(tmpdir(), 'carport-nix-'));
  const storeDir = options.ownStoreDir ? join(root, 'store') : '/nix/store';
  const settings = {
    sandbox: 'false',
    'build-users-group': '',
    substituters: '',
    'experimental-features': 'nix-command flakes ca-derivations',
    'sandbox-paths': ['/bin', '/usr', '/lib', '/lib64'].filter((path) => existsSync(path)).join(' '),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}\n`);
  await Promise.all(['conf', 'home', 'tmp'].map((name) => mkdir(join(root, name))));
  await writeFile(join(root, 'conf', 'nix.conf'), lines.join(''));
  const bin = options.version && (await makeNixPrograms(options.version, join(root, 'bin')));
  const env = { ...baseEnvironment(root, bin), ...(options.ownStoreDir ? ownStoreDir(root) : chrootStore(root)) };

  const execute = (program: string, args: readonly string[], { cwd = root, input }: RunOptions = {}) =>
    execa(program, args, { cwd, env, extendEnv: false, ...(input !== undefined && { input }), encoding: 'buffer' });
  const runForBytes: NixStore['runForBytes'] = async (...call) => (await execute(...call)).stdout;
  const run: NixStore['run'] = async (...call) =>
    Buffer.from((await execute(...call)).stdout)
      .toString()
      .trimEnd();

  return {
    root,
    storeDir,
    env,
    realPath: (storePath) => (options.ownStoreDir ? storePath : join(root, storePath)),
    run,
    runForBytes,
    build: async (expression) =>
      (await run('nix-build', ['--no-out-link', '--quiet', '-E', expression])).split('\n').filter(Boolean),
    async remove() {
      await execa('chmod', ['-R', 'u+rwX', root]);
      await rm(root, { recursive: true, force: true });
    },
  };
}

function baseEnvironment(root: string, bin?: string): Record<string, string> {
  const path = process.env.PATH ?? '/usr/bin:/bin';
  return {
    PATH: bin === undefined ? path : `${bin}${delimiter}${path}`,
    HOME: join(root, 'home'),
    TMPDIR: join(root, 'tmp'),
    NIX_CONF_DIR: join(root, 'conf'),
    NIX_USER_CONF_FILES: '',
  };
}

function chrootStore(root: string): Record<string, string> {
  return { NIX_REMOTE: `local?root=${root}` };
}

function ownStoreDir(root: string): Record<string, string> {
  return {
    NIX_STORE_DIR: join(root, 'store'),
    NIX_LOCALSTATE_DIR: join(root, 'var'),
    NIX_STATE_DIR: join(root, 'var', 'nix'),
    NIX_LOG_DIR: join(root, 'var', 'log', 'nix'),
  };
}

/** Waits until a daemon takes connections: its socket is there a moment before. */
export async function untilListening(socket: string): Promise<void> {
  const isTaken = () =>
    new Promise<boolean>((resolve) => {
      const connection = connect(socket, () => connection.end(() => resolve(true)));
      connection.on('error', () => resolve(false));
    });
  while (!(await isTaken())) await setTimeout(10);
}
