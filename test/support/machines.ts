import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { chmod, copyFile, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { addToStore } from '#lib/store/own/add.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { createWorkerPool } from '#lib/workers/pool.js';
import { writeFiles } from './samples.js';

/** The beginning of a command line: the rest runs on a machine that has something else at `/nix` than this one. */
export type Machine = readonly string[];

/** This machine with a directory at `/nix`, or without `/nix`. Everything else is as it is here. */
export function machineWith(nix?: string): Machine {
  const entries = readdirSync('/', { withFileTypes: true }).filter(({ name }) => name !== 'nix');
  const options = entries.flatMap((entry) => {
    const path = `/${entry.name}`;
    return entry.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--dev-bind', path, path];
  });
  const store = nix === undefined ? [] : ['--bind', nix, '/nix'];
  return [programPath('bwrap'), '--die-with-parent', ...options, ...store, '--'];
}

/** Makes links to programs of the system: a PATH that has these and no others. */
export async function linkPrograms(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await symlink(await realpath(programPath(name)), join(directory, name));
  }
}

function programPath(name: string): string {
  return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
}

/** A store with programs that work only where they are called what they are called. */
export interface ToolStore {
  readonly root: string;
  /** `bin/tool-sh`, a copy of `/bin/sh`. */
  readonly shell: string;
  /** `bin/greet`, a script of `shell` that prints a file of another path and its arguments; `linked-greet` leads to it. */
  readonly greeter: string;
  /** `bin/own-cat`: a `cat` with its own C library and loader. */
  readonly cat: string;
  /** `bin` is a link into `greeter`. */
  readonly environment: string;
  /** A path that is a file. */
  readonly file: string;
  /** A path that is a link to `file`. */
  readonly link: string;
  /** A path that refers to `link`, and to many others. */
  readonly wide: string;
}

/** How many paths `wide` refers to; each is a file that holds its number. */
export const WIDE = 150;

export async function createToolStore(directory: string): Promise<ToolStore> {
  const root = join(directory, 'tool-store');
  const trees = join(directory, 'tool-trees');
  const store = openOwnStore(root);
  const pool = createWorkerPool(1);
  const add = async (name: string, make: (path: string) => Promise<unknown>): Promise<string> => {
    await make(join(trees, name));
    return (await addToStore({ path: join(trees, name), name, store, known: store, pool })).info.path;
  };
  const addFiles = (name: string, files: Parameters<typeof writeFiles>[1]) =>
    add(name, (path) => writeFiles(path, files));
  try {
    await mkdir(trees);
    const shell = await add('shell-1', (path) => copyPrograms(path, { 'bin/tool-sh': '/bin/sh' }));
    const data = await addFiles('data-1', { greeting: 'hello\n' });
    const greet = `#!${shell}/bin/tool-sh
read -r line < ${data}/greeting
printf '%s' "$line"
[ $# -eq 0 ] || printf '<%s>' "$@"
`;
    const greeter = await addFiles('greeter-1', {
      'bin/greet': { script: greet },
      'bin/linked-greet': { link: 'greet' },
    });
    const libraries = librariesOf('/bin/cat');
    const libc = await add('libc-1', (path) =>
      copyPrograms(path, Object.fromEntries(libraries.map((file) => [`lib/${basename(file)}`, file]))),
    );
    const loader = libraries.map((file) => basename(file)).find((name) => name.startsWith('ld-'));
    const realCat = await add('real-cat-1', (path) => copyPrograms(path, { 'bin/cat': '/bin/cat' }));
    const ownCat = `#!${shell}/bin/tool-sh
exec ${libc}/lib/${loader} --library-path ${libc}/lib ${realCat}/bin/cat "$@"
`;
    const cat = await addFiles('cat-1', { 'bin/own-cat': { script: ownCat } });
    const environment = await addFiles('environment-1', { bin: { link: `${greeter}/bin` } });
    const file = await add('file-1', (path) => writeFile(path, 'a file\n'));
    const link = await add('link-1', (path) => symlink(file, path));
    const parts: string[] = [];
    for (let index = 0; index < WIDE; index++)
      parts.push(await add(`part-${index}`, (path) => writeFile(path, `${index}\n`)));
    const wide = await addFiles('wide-1', { references: [link, ...parts].map((path) => `${path}\n`).join('') });
    return { root, shell, greeter, cat, environment, file, link, wide };
  } finally {
    await pool.close();
  }
}

async function copyPrograms(directory: string, programs: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, program] of Object.entries(programs)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await copyFile(program, join(directory, name));
    await chmod(join(directory, name), 0o755);
  }
}

/** A directory for `/nix` of a machine with a store of its own, and programs in it. */
export async function createHostNix(directory: string): Promise<string> {
  const bin = join(directory, 'store', HOST_NAME, 'bin');
  await writeFiles(directory, { 'var/state': 'state of the host\n' });
  await writeFiles(bin, { 'host-program': { script: '#!/bin/sh\necho a program of the host\n' } });
  return directory;
}

/** A store path of that machine. */
export const HOST_NAME = '00000000000000000000000000000000-host-1';

/** The loader and the libraries of a program. */
function librariesOf(program: string): readonly string[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}
