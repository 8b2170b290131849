import type { Command } from 'commander';
import type { Context } from './context.js';

/** A command's module: adds arguments, options and the action. `loadAll` gives the tree of all commands. */
export interface CommandModule {
  configure(command: Command, context: Context, loadAll: () => Promise<Command>): void;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
  /** Runs another program: what comes after `--` is that one's command line. */
  readonly runsProgram?: boolean;
}

/** The commands by group, as `carport --help` lists them. A module is loaded when its command is used. */
export const COMMAND_GROUPS: Readonly<Record<string, readonly CommandEntry[]>> = {
  'Main commands': [
    { name: 'push', summary: 'push closures to a binary cache', load: () => import('./commands/push.js') },
    { name: 'pull', summary: 'pull closures from binary caches', load: () => import('./commands/pull.js') },
    {
      ...{ name: 'run', summary: 'run a command with the store at /nix/store', runsProgram: true },
      load: () => import('./commands/run.js'),
    },
    {
      ...{ name: 'shell', summary: 'the same with a shell', runsProgram: true },
      load: () => import('./commands/shell.js'),
    },
    { name: 'export', summary: 'closures as one file', load: () => import('./commands/export.js') },
    { name: 'import', summary: 'take such a file in', load: () => import('./commands/import.js') },
    { name: 'closure', summary: 'show what paths need', load: () => import('./commands/closure.js') },
  ],
  Releases: [
    { name: 'ci', summary: 'what the CI system says of this build: env', load: () => import('./commands/ci.js') },
    {
      ...{ name: 'release', summary: 'releases: put, ls, show, promote, yank, prune' },
      load: () => import('./commands/release.js'),
    },
    { name: 'index', summary: 'the index of releases: build, publish', load: () => import('./commands/index.js') },
  ],
  'Stores, caches and keys': [
    { name: 'store', summary: "carport's own store: add, ls, verify, gc", load: () => import('./commands/store.js') },
    {
      name: 'cache',
      summary: 'binary caches: init, info, ls, refresh-toolchain',
      load: () => import('./commands/cache.js'),
    },
    { name: 'pin', summary: 'names for store paths of a cache: set, rm, ls', load: () => import('./commands/pin.js') },
    { name: 'key', summary: 'signing keys: generate, public', load: () => import('./commands/key.js') },
    { name: 'config', summary: 'settings and where they are from', load: () => import('./commands/config.js') },
    { name: 'completion', summary: 'completion for bash, zsh, fish', load: () => import('./commands/completion.js') },
  ],
  'For scripts': [
    { name: 'nar', summary: 'NAR archives: pack, unpack, ls', load: () => import('./commands/nar.js') },
    { name: 'narinfo', summary: 'narinfo files: show', load: () => import('./commands/narinfo.js') },
    { name: 'derivation', summary: 'derivations: show', load: () => import('./commands/derivation.js') },
    { name: 'hash', summary: 'hashes: path, file', load: () => import('./commands/hash.js') },
  ],
};

export const COMMANDS: readonly CommandEntry[] = Object.values(COMMAND_GROUPS).flat();
