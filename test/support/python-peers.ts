import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

/** As `.ci/run` installs them. */
const INSTALLED = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'carport/peers/bin');

const PROGRAMS = ['pip', 'uv', 'twine', 'pypi-server'] as const;

/** Why tests with Python's programs cannot run here. */
export const pythonMissing = PROGRAMS.map((name) => join(INSTALLED, name)).find((path) => !existsSync(path));

/** Runs one of them with settings of nobody; never throws for an exit code. */
export function runPython(program: (typeof PROGRAMS)[number], args: readonly string[], home: string) {
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    PIP_CONFIG_FILE: '/dev/null',
    UV_NO_CONFIG: '1',
    UV_CACHE_DIR: join(home, 'uv'),
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_NO_CACHE_DIR: '1',
  };
  return execa(join(INSTALLED, program), args, { env, extendEnv: false, reject: false, all: true });
}
