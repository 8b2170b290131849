/** What a program took: time, processor time, memory. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Command, World } from './world.js';

/** What programs took, one after another. */
export interface Usage {
  /** Wall time, seconds. */
  readonly seconds: number;
  /** User and system time of the programs and what they started, seconds. */
  readonly cpu: number;
  /** Resident memory of the largest process at its peak, bytes. */
  readonly memory: number;
}

/** Memory is looked at so often; what it was at most until then is told, so little is missed. */
const LOOK_MS = 20;
/** Clock ticks a second, in which Linux tells processor time. */
const TICKS = 100;

/** Runs commands one after another; throws when one fails, with what it said. */
export async function measure(world: World, commands: readonly Command[]): Promise<Usage> {
  const before = await childrenCpu();
  const start = performance.now();
  let memory = 0;
  for (const command of commands) memory = Math.max(memory, await runOne(world, command));
  const seconds = (performance.now() - start) / 1000;
  return { seconds, cpu: (await childrenCpu()) - before, memory };
}

/** Gives the peak of its memory. */
async function runOne(world: World, command: Command): Promise<number> {
  const { argv, env } = world.inside(command);
  const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const said: Buffer[] = [];
  child.stderr.on('data', (bytes: Buffer) => said.push(bytes));
  let peak = 0;
  const look = async () => {
    for (const pid of await withChildren(child.pid!)) peak = Math.max(peak, await peakOf(pid));
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  clearInterval(timer);
  if (code !== 0) {
    throw new Error(`${command.argv.join(' ')} ended with ${code ?? signal}:\n${Buffer.concat(said)}`.slice(0, 8000));
  }
  return peak;
}

/** Processor time of children that have ended, and of theirs. */
async function childrenCpu(): Promise<number> {
  const text = await readFile('/proc/self/stat', 'latin1');
  // After the name, which may have spaces: state is field 3, cutime 16, cstime 17.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}

async function withChildren(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1').catch(() => '');
  return [pid, ...text.split(' ').filter(Boolean).map(Number)];
}

async function peakOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
