import { spawn } from 'node:child_process';
import { expect } from 'vitest';
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

/** What a run that was killed, or not, left to see. */
export type Progress = 'nothing' | 'a part' | 'all';

/**
 * Runs carport and kills it at a random instant, again and again, until it was killed `kills` times and was once in the
 * midst of its work. `look` is called after each run. How long a run takes is learnt as it goes, as machines are busy.
 */
export async function killOften(
  box: Sandbox,
  args: () => readonly string[],
  kills: number,
  look: (wasKilled: boolean, at: string) => Promise<Progress>,
): Promise<void> {
  const midst = createMidst();
  let duration = 400;
  let partial = 0;
  for (let killed = 0, runs = 0; killed < kills || (partial === 0 && runs < 200); runs++) {
    const start = performance.now();
    const delay = killed < kills ? duration * (0.1 + Math.random()) : midst.instant();
    const wasKilled = await runAndKill(box, args(), delay);
    const took = performance.now() - start;
    const progress = await look(wasKilled, `${wasKilled ? 'killed' : 'ended'} after ${Math.round(took)} ms`);
    if (wasKilled) killed++;
    if (wasKilled && progress === 'a part') partial++;
    if (!wasKilled) duration = (duration + took) / 2;
    else if (progress === 'nothing') duration *= 1.1;
    midst.learn(took, wasKilled ? progress : 'all');
  }
  if (kills > 1) expect(partial, 'it was never killed in the midst of its work').toBeGreaterThan(0);
}

/** When a run is in the midst of its work, in milliseconds: between the last instant that was too early and the last that was too late. */
function createMidst() {
  let [early, late] = [0, 400];
  return {
    instant: () => early + (late - early) * Math.random(),
    /** Either may have been otherwise before, as runs go on where others ended, and machines are busy. */
    learn(took: number, progress: Progress) {
      if (progress === 'nothing') [early, late] = [took, Math.max(late, took * 1.3)];
      if (progress === 'all') [early, late] = [Math.min(early, took * 0.7), took];
    },
  };
}
