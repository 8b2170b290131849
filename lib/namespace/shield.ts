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

const SIGNALS = ['HUP', 'INT', 'QUIT', 'TERM', 'USR1', 'USR2'];

/** Programs that can do it; a POSIX shell cannot restore. GNU `env` can since coreutils 8.31. */
const SHIELDS: Readonly<Record<string, Shield>> = {
  env: { ignore: [`--ignore-signal=${SIGNALS}`], restore: [`--default-signal=${SIGNALS}`] },
  perl: { ignore: ['-e', perlScript('IGNORE')], restore: ['-e', perlScript('DEFAULT')] },
};

/** For commands that get no signals. */
export const NO_SHIELD: Shield = { ignore: [], restore: [] };

/** The first that works here. Without any, signals to all of them end the command at once. */
export async function findShield(env: NodeJS.ProcessEnv): Promise<Shield> {
  for (const [name, { ignore, restore }] of Object.entries(SHIELDS)) {
    const program = await findProgram(name, env.PATH);
    if (program === undefined) continue;
    const shield = { ignore: [program, ...ignore], restore: [program, ...restore] };
    if (await succeeds([...shield.ignore, ...shield.restore, '/bin/sh', '-c', ':'])) return shield;
  }
  return NO_SHIELD;
}

function perlScript(handler: string): string {
  return `@SIG{qw(${SIGNALS.join(' ')})} = ('${handler}') x ${SIGNALS.length}; exec { $ARGV[0] } @ARGV; print STDERR "$ARGV[0]: $!\\n"; exit 127`;
}

async function succeeds([program, ...args]: readonly string[]): Promise<boolean> {
  return (await runProgram(program!, args)).failure === undefined;
}
