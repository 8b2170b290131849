/** Runs a job in turns: carport, the peer, carport, the peer. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import fastGlob from 'fast-glob';
import type { Bench, Job, OpenJob, Side } from './job.js';
import { measure, type Usage } from './measure.js';
import { compare, median, type Ratio } from './statistics.js';

/** What one side took in one round. */
export interface Sample extends Usage {
  /** Requests that the server answered, where there is one. */
  readonly requests?: number;
  /** Objects, and their bytes, that are there after it: of a pull, paths. */
  readonly objects: number;
  readonly bytes: number;
}

export interface JobResult {
  readonly job: Pick<Job, 'name' | 'title' | 'peer' | 'bar'>;
  readonly carport: readonly Sample[];
  readonly peer: readonly Sample[];
  readonly time: Ratio;
  readonly cpu: Ratio;
}

/** Measures a job so many times on each side. */
export async function measureJob(job: Job, bench: Bench, rounds: number): Promise<JobResult> {
  const { name, title, peer, bar } = job;
  console.error(`${name}: ${title}`);
  const open = await job.open(bench);
  const own: Sample[] = [];
  const other: Sample[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      own.push(await sample(bench, open, open.carport, `${name}-${round}-carport`));
      other.push(await sample(bench, open, open.peer, `${name}-${round}-peer`));
      console.error(`  ${describe(own.at(-1)!)}  |  ${describe(other.at(-1)!)}`);
    }
  } finally {
    await open.close?.();
  }
  const ratio = (key: 'seconds' | 'cpu') =>
    compare(
      own.map((each) => each[key]),
      other.map((each) => each[key]),
    );
  return { job: { name, title, peer, bar }, carport: own, peer: other, time: ratio('seconds'), cpu: ratio('cpu') };
}

/** The median of one number of samples. */
export function middleOf(samples: readonly Sample[], key: keyof Sample): number {
  return median(samples.map((each) => each[key] ?? 0));
}

async function sample(bench: Bench, open: OpenJob, side: Side, name: string): Promise<Sample> {
  const directory = join(bench.world.directory, name);
  await mkdir(directory);
  try {
    await side.prepare?.(directory);
    const before = await open.requests?.();
    const usage = await measure(bench.world, side.commands(directory));
    const requests = before === undefined ? undefined : (await open.requests!()) - before;
    return { ...usage, ...(requests !== undefined && { requests }), ...(await side.check(directory)) };
  } finally {
    await removeIfFew(directory);
  }
}

/** More files than this stay until all is measured. */
const FEW = 2000;

/**
 * Removes large files: what is not on the disk yet will not be written, and the next run does not wait for it. Many stay: for
 * minutes ext4 gives no inode away again, and looks at each that was freed for each file that is made, which takes longer
 * than all else. Store paths are read-only.
 */
async function removeIfFew(directory: string): Promise<void> {
  const names = await fastGlob('**', { cwd: directory, dot: true, followSymbolicLinks: false });
  if (names.length <= FEW) await execa('rm', ['-rf', directory]);
}

function describe({ seconds, cpu, memory }: Sample): string {
  return `${seconds.toFixed(2)} s, CPU ${cpu.toFixed(2)} s, ${Math.round(memory / 1e6)} MB`;
}
