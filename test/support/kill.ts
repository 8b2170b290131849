import { spawn } from 'node:child_process';
import { CARPORT, type Sandbox } from './sandbox.js';

/** How often a test kills carport. More by hand: `CARPORT_TEST_KILLS=100`. */
export function killCount(usual: number): number {
  return Number(process.env.CARPORT_TEST_KILLS ?? usual);
}

/** Runs carport and kills it after a delay, unless it has ended before. Tells whether it was killed. */
export async function runAndKill(box: Sandbox, args: readonly string[], delayMs: number): Promise<boolean> {
  // Its children die with it only if they notice: what matters is what they leave.
  const child = spawn(process.execPath, [CARPORT, ...args], { env: box.env, cwd: box.path('work'), stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((resolve, reject) => {
    child.once('exit', (_, signal) => resolve(signal));
    child.once('error', reject);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), delayMs);
  const signal = await ended;
  clearTimeout(timer);
  return signal === 'SIGKILL';
}

/** How long carport takes for what will be killed. */
export async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
