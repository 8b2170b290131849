/** Gates that are command lines: each must end with 0, in time. */

import { runGroup } from '../../../lib/process/group.js';
import { gateEnvironment } from './environment.js';
import { failed, type Gate, type GateTools, passed } from './gate.js';

const GATE = 'command';

interface End {
  readonly isGood: boolean;
  /** Goes on with what follows the name of a program. */
  readonly text: string;
}

/** A gate for each command line: it must end with 0, in time. */
export function commandGates(commands: readonly string[]): readonly Gate[] {
  return commands.map((command, index) => async (plan, { commandSeconds }, tools) => {
    const label = labelOf(command, index + 1, commands.length);
    const start = performance.now();
    const env = gateEnvironment(tools.env, plan);
    const { isGood, text } = await run(command, commandSeconds, { ...tools, env });
    const seconds = Math.round((performance.now() - start) / 1000);
    return isGood ? passed(GATE, `${label} ${text} after ${seconds} s`) : failed(GATE, `${label} ${text}`);
  });
}

/** The program alone: verdicts are published, and arguments or variables may be secrets. */
function labelOf(command: string, number: number, all: number): string {
  const [program = ''] = command.trim().split(/\s/);
  if (!/^[\w./+-]{1,100}$/.test(program)) return `command ${number} of ${all}`;
  return all === 1 ? `\`${program}\`` : `\`${program}\` (${number} of ${all})`;
}

/** Runs a command line in a process group of its own, none of which is left. */
async function run(command: string, seconds: number, { directory, env, signal, show }: GateTools): Promise<End> {
  const end = await runGroup({
    program: '/bin/sh',
    arguments: ['-c', command],
    env,
    directory,
    timeLimit: seconds * 1000,
    signal,
    show,
  });
  switch (end.state) {
    case 'exited':
      return { isGood: end.exitCode === 0, text: `ended with ${end.exitCode}` };
    case 'killed':
      return { isGood: false, text: `ended with ${end.signal}` };
    case 'timed-out':
      return { isGood: false, text: `took longer than ${seconds} s, and was ended` };
    case 'not-started':
      return { isGood: false, text: `did not run: ${end.reason}` };
  }
}
