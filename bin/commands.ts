/** The commands by group; each is loaded when it is used. */

import type { Command } from 'commander';
import type { Context } from './cli/context.js';

/** A command's module: adds arguments, options and the action. `loadAll` gives the tree of all commands. */
export interface CommandModule {
  configure(command: Command, context: Context, loadAll: () => Promise<Command>): void;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** The commands of a family, all of them. */
  readonly commands?: readonly string[];
  readonly load: () => Promise<CommandModule>;
  /** Runs another program: what comes after `--` is that one's command line. */
  readonly runsProgram?: boolean;
}

/** The commands by group, as `carport --help` lists them. A module is loaded when its command is used. */
export const COMMAND_GROUPS: Readonly<Record<string, readonly CommandEntry[]>> = {
  'Main commands': [
    { name: 'push', summary: 'push closures to a binary cache', load: () => import('./push/command.js') },
    { name: 'pull', summary: 'pull closures from binary caches', load: () => import('./pull/command.js') },
    {
      ...{ name: 'run', summary: 'run a command with the store at /nix/store', runsProgram: true },
      load: () => import('./run/command.js'),
    },
    {
      ...{ name: 'shell', summary: 'the same with a shell', runsProgram: true },
      load: () => import('./run/shell-command.js'),
    },
    {
      name: 'lock',
      summary: "write down which store paths a project's toolchains are",
      load: () => import('./project/lock-command.js'),
    },
    {
      name: 'env',
      summary: "a toolchain's programs on the PATH of a shell, for direnv",
      load: () => import('./project/env-command.js'),
    },
    {
      name: 'shims',
      summary: 'small scripts that run programs of a toolchain, for editors and make',
      load: () => import('./shims/command.js'),
    },
    {
      ...{ name: 'watch', summary: 'push what a command builds, beside it', runsProgram: true },
      load: () => import('./watch/command.js'),
    },
    {
      name: 'hook',
      summary: 'push what Nix builds, as its post-build-hook',
      load: () => import('./watch/hook-command.js'),
    },
    {
      ...{ name: 'outdated', summary: 'which pulled pins have newer values' },
      load: () => import('./outdated/command.js'),
    },
    { name: 'export', summary: 'closures as one file', load: () => import('./offline/export-command.js') },
    { name: 'import', summary: 'take such a file in', load: () => import('./offline/import-command.js') },
    { name: 'closure', summary: 'show what paths need', load: () => import('./closure/command.js') },
  ],
  Releases: [
    {
      ...{
        name: 'ci',
        summary: 'what the CI system says of this build, and what it wants signed',
        commands: ['env', 'sign'],
      },
      load: () => import('./release/ci-command.js'),
    },
    {
      ...{ name: 'release', summary: 'releases: what a build made, for everybody' },
      commands: [
        ...['put', 'ls', 'show', 'promote', 'yank', 'unyank', 'prune'],
        ...['bump', 'tag', 'branch', 'notes', 'download'],
        ...['wheel-retag', 'upload-pypi', 'forge-publish'],
      ],
      load: () => import('./release/command.js'),
    },
    {
      ...{ name: 'index', summary: 'the index of releases', commands: ['build', 'publish'] },
      load: () => import('./index/command.js'),
    },
    {
      ...{
        name: 'image',
        summary: 'container images, without a daemon',
        commands: ['build', 'push', 'copy', 'index', 'ls', 'inspect', 'publish', 'prune', 'sign', 'verify'],
      },
      load: () => import('./image/command.js'),
    },
  ],
  'Stores, caches and keys': [
    {
      ...{ name: 'store', summary: "carport's own store" },
      commands: ['add', 'ls', 'info', 'verify', 'gc', 'delete', 'forget'],
      load: () => import('./store/command.js'),
    },
    {
      ...{ name: 'cache', summary: 'binary caches' },
      commands: [
        ...['init', 'config', 'info', 'ls', 'cat', 'refresh-toolchain', 'copy', 'stats', 'page', 'export'],
        ...['sign', 'gc', 'fsck', 'erase'],
      ],
      load: () => import('./cache/command.js'),
    },
    {
      ...{ name: 'pin', summary: 'names for store paths of a cache', commands: ['set', 'rm', 'ls'] },
      load: () => import('./pin/command.js'),
    },
    {
      ...{ name: 'key', summary: 'signing keys' },
      commands: ['generate', 'public', 'sign', 'verify', 'publish', 'rotate'],
      load: () => import('./key/command.js'),
    },
    {
      name: 'serve',
      summary: "caches as one, on loopback, for this machine's Nix",
      load: () => import('./serve/command.js'),
    },
    {
      name: 'use',
      summary: 'have your settings read a cache, when you trust its keys',
      load: () => import('./use/command.js'),
    },
    {
      ...{ name: 'config', summary: 'settings and where they are from', commands: ['show'] },
      load: () => import('./settings/command.js'),
    },
    {
      name: 'version',
      summary: 'version, and whether there is a newer one',
      load: () => import('./version/command.js'),
    },
    { name: 'completion', summary: 'completion for bash, zsh, fish', load: () => import('./completion/command.js') },
  ],
  'For scripts': [
    {
      ...{ name: 'nar', summary: 'NAR archives', commands: ['pack', 'unpack', 'ls'] },
      load: () => import('./scripts/nar.js'),
    },
    {
      ...{ name: 'narinfo', summary: 'narinfo files', commands: ['show'] },
      load: () => import('./scripts/narinfo.js'),
    },
    {
      ...{ name: 'derivation', summary: 'derivations', commands: ['show'] },
      load: () => import('./scripts/derivation.js'),
    },
    {
      ...{ name: 'hash', summary: 'hashes', commands: ['path', 'file'] },
      load: () => import('./scripts/hash.js'),
    },
  ],
};

export const COMMANDS: readonly CommandEntry[] = Object.values(COMMAND_GROUPS).flat();
