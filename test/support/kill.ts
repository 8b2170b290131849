import { spawn } from 'node:child_process';
import { CARPORT, type Sandbox } from './sandbox.js';

/** How often a test kills carport. More by hand: `CARPORT_TEST_KILLS=100`. */
export function killCount(usual: number): number {
  return Number(process.env.CARPORT_TEST_KILLS ?? usual);
}

/** Runs carport and kills it after a delay, unless it has ended before. Tells whether it was killed. */
async function runAndKill(box: Sandbox, args: readonly string[], delayMs: number): Promise<boolean> {
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

/**
 * Runs carport and kills it at a random instant, again and again, until it was killed `kills` times; `look` is called
 * after each run. What a run takes is learnt as it goes: a busy machine is slower at one time than at another.
 */
export async function killOften(
  box: Sandbox,
  args: () => readonly string[],
  kills: number,
  look: (wasKilled: boolean, at: string) => Promise<void>,
): Promise<void> {
  let duration = 400;
  for (let killed = 0; killed < kills; ) {
    const start = performance.now();
    const delay = duration * (0.1 + Math.random());
    const wasKilled = await runAndKill(box, args(), delay);
    if (wasKilled) killed++;
    // Half of the way to what it took, or a little more than what it was not enough for.
    duration = wasKilled ? duration * 1.02 : (duration + performance.now() - start) / 2;
    await look(wasKilled, `${wasKilled ? 'killed' : 'ended'} after ${Math.round(delay)} ms`);
  }
}
