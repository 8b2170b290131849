import { cp, mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const TOP = fileURLToPath(new URL('../..', import.meta.url));

/** Copies the program to a directory that is not there yet, and puts it together there as a build does. */
export async function installBundle(directory: string): Promise<void> {
  await mkdir(directory);
  await cp(join(TOP, 'package.json'), join(directory, 'package.json'));
  await cp(join(TOP, 'dist'), join(directory, 'dist'), { recursive: true });
  await symlink(join(TOP, 'node_modules'), join(directory, 'node_modules'));
  await rm(join(directory, 'dist/.tsbuildinfo'), { force: true });
  await execa(process.execPath, [join(directory, 'dist/tools/bundle.js')]);
}
