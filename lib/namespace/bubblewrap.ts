/** The program, its command line, what it tells. */

import { readFile } from 'node:fs/promises';
import { CarportError } from '../errors.js';
import { findProgram } from '../process/find-program.js';
import { rawBytes } from '../raw-text.js';
import { NO_SHIELD, type Shield } from './shield.js';

/** How to start bubblewrap: options go through a file descriptor, since a command line is shown to everybody. */
export interface Bubblewrap {
  readonly program: string;
  readonly arguments: readonly string[];
  /** For file descriptor 3; through 4 it tells what `parseStatus` reads. */
  readonly options: Uint8Array;
}

/** Where bubblewrap reads options. */
const OPTIONS_FD = 3;
/** Where bubblewrap tells, as JSON, the command's process id and, if it was started, its exit code. */
const STATUS_FD = 4;

/** CAP_SYS_ADMIN, which makes mounts without a user namespace. */
const CAN_MOUNT = 1n << 21n;

/** Where the program is. `env` must be that of the user: a store's programs have no say in it. */
export async function findBubblewrap(env: NodeJS.ProcessEnv): Promise<string> {
  const found = await findProgram('bwrap', env.PATH);
  if (found !== undefined) return found;
  throw new CarportError(
    'E_PROGRAM',
    'to run programs from a store that is not at `/nix/store` takes the program `bwrap`, which is not on PATH',
    { hint: 'install bubblewrap: `apt install bubblewrap`, `dnf install bubblewrap` or `apk add bubblewrap`' },
  );
}

/** A plain command that sees the mounts, in a directory. It ends when this process is killed. */
export async function bubblewrapCall(
  program: string,
  mountOptions: readonly string[],
  directory: string,
  command: readonly string[],
  { ignore, restore }: Shield = NO_SHIELD,
): Promise<Bubblewrap> {
  const namespace = (await isPowerlessRoot()) ? ['--unshare-user'] : [];
  const options = [...namespace, ...mountOptions, '--chdir', directory, '--die-with-parent'];
  const given = ['--args', `${OPTIONS_FD}`, '--json-status-fd', `${STATUS_FD}`, '--'];
  const [first, ...rest] = [...ignore, program, ...given, ...restore, ...command];
  return {
    program: first!,
    arguments: rest,
    options: rawBytes(options.map((option) => `${option}\0`).join('')),
  };
}

/** Root in a container may make no mounts, and bubblewrap does not expect that. */
export async function isPowerlessRoot(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const status = await readFile('/proc/self/status', 'latin1').catch(() => '');
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) & CAN_MOUNT) === 0n;
}

/** What bubblewrap told, whole lines of it. */
export function parseStatus(text: string): { readonly processId?: number; readonly exitCode?: number } {
  const processId = /"child-pid": *([0-9]+)/.exec(text)?.[1];
  const exitCode = /"exit-code": *([0-9]+)/.exec(text)?.[1];
  return {
    ...(processId !== undefined && { processId: Number(processId) }),
    ...(exitCode !== undefined && { exitCode: Number(exitCode) }),
  };
}
