/** Where the program is, or how to get it. */

import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';

/** The version that everything here was tried with. */
const GARAGE_VERSION = '2.5.0';

/** What was found of Garage. */
export type GarageFound = { readonly program: string; readonly version: string } | { readonly missing: string };

/** Looks for the program `garage`: `CARPORT_GARAGE`, PATH, then the folder where carport's peers are kept. */
export async function findGarage(env: NodeJS.ProcessEnv = process.env): Promise<GarageFound> {
  const onPath = (env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'garage'));
  const places = env.CARPORT_GARAGE ? [env.CARPORT_GARAGE] : [...onPath, join(peersFolder(env), 'bin', 'garage')];
  for (const program of places) {
    const usable = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return askVersion(program);
  }
  return { missing: env.CARPORT_GARAGE ? `there is no program ${env.CARPORT_GARAGE}` : 'Garage is missing' };
}

/** How to get Garage, for people. */
export function howToInstallGarage(env: NodeJS.ProcessEnv = process.env): string {
  const folder = peersFolder(env).replace(new RegExp(`^${homedir()}(?=/)`), '~');
  const command = `cargo install garage --locked --version ${GARAGE_VERSION} --root ${folder}`;
  return `install it with \`${command}\` (8 minutes on 2 cores), or set CARPORT_GARAGE to the program`;
}

async function askVersion(program: string): Promise<GarageFound> {
  const { stdout, exitCode } = await execa(program, ['--version'], { reject: false });
  const version = /^garage \S*?(\d+(?:\.\d+)+)/.exec(stdout ?? '')?.[1];
  if (exitCode !== 0 || version === undefined) return { missing: `${program} is not a Garage that runs` };
  // The administration API that is used here came with 2.0.
  if (Number.parseInt(version, 10) < 2) return { missing: `${program} is Garage ${version}: too old` };
  return { program, version };
}

/** Where programs are kept that tests run beside carport. */
export function peersFolder(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'carport', 'peers');
}
