/** Signals to all, that only the command is to have. */

import { findProgram } from '../process/find-program.js';
import { runProgram } from '../process/run.js';

/**
 * bubblewrap stays beside the command to wait for it, and the command ends when it does. A terminal, `timeout` and shells
 * send signals to all of them, and these are for the command to handle: bubblewrap must ignore them, and the command not.
 */
export interface Shield {
  /** Becomes the command that follows, which then ignores the signals. */
  readonly ignore: readonly string[];
  /** Becomes the command that follows, which no longer does. */
  readonly restore: readonly string[];
}

const SIGNALS: readonly string[] = ['HUP', 'INT', 'QUIT', 'TERM', 'USR1', 'USR2'];

/** Those that terminals send. */
export const TERMINAL_SIGNALS: readonly string[] = ['INT', 'QUIT'];

/** Programs that can do it; a POSIX shell cannot restore. GNU `env` can since coreutils 8.31. */
const SHIELDS: Readonly<Record<string, (signals: readonly string[]) => Shield>> = {
  env: (signals) => ({ ignore: [`--ignore-signal=${signals}`], restore: [`--default-signal=${signals}`] }),
  perl: (signals) => ({
    ignore: ['-e', perlScript('IGNORE', signals)],
    restore: ['-e', perlScript('DEFAULT', signals)],
  }),
};

/** For commands that get no signals. */
export const NO_SHIELD: Shield = { ignore: [], restore: [] };

/** The first that works here. Without any, signals to all of them end the command at once. */
export async function findShield(env: NodeJS.ProcessEnv, signals = SIGNALS): Promise<Shield> {
  for (const [name, shieldOf] of Object.entries(SHIELDS)) {
    const { ignore, restore } = shieldOf(signals);
    const program = await findProgram(name, env.PATH);
    if (program === undefined) continue;
    const shield = { ignore: [program, ...ignore], restore: [program, ...restore] };
    if (await succeeds([...shield.ignore, ...shield.restore, '/bin/sh', '-c', ':'])) return shield;
  }
  return NO_SHIELD;
}

function perlScript(handler: string, signals: readonly string[]): string {
  return `@SIG{qw(${signals.join(' ')})} = ('${handler}') x ${signals.length}; exec { $ARGV[0] } @ARGV; print STDERR "$ARGV[0]: $!\\n"; exit 127`;
}

/** Whether a program does its work here. */
export async function succeeds([program, ...args]: readonly string[]): Promise<boolean> {
  return (await runProgram(program!, args)).failure === undefined;
}
