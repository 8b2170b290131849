import { existsSync } from 'node:fs';
import { cp, mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const TOP = fileURLToPath(new URL('../..', import.meta.url));

/** Copies the program to a directory that is not there yet, as a build puts it together: where no build is left of, it is made there. */
export async function installBundle(directory: string): Promise<void> {
  await install(directory);
  if (existsSync(join(directory, 'dist/bundle/main.js'))) return;
  await execa(process.execPath, [join(directory, 'dist/tools/bundle.js')]);
}

/** The same of the modules alone, each of which Node loads by itself. Gives the program. */
export async function installModules(directory: string): Promise<string> {
  await install(directory);
  await rm(join(directory, 'dist/bundle'), { recursive: true, force: true });
  return join(directory, 'dist/bin/carport.js');
}

async function install(directory: string): Promise<void> {
  await mkdir(directory);
  await cp(join(TOP, 'package.json'), join(directory, 'package.json'));
  await cp(join(TOP, 'dist'), join(directory, 'dist'), { recursive: true });
  await symlink(join(TOP, 'node_modules'), join(directory, 'node_modules'));
  await rm(join(directory, 'dist/.tsbuildinfo'), { force: true });
}
