/** carport beside the newest Nix and rclone, in turns, on this machine: `npm run bench`. */

import { buildClosures } from './closures.js';
import { JOBS } from './jobs.js';
import { type BenchOptions, readOptions } from './options.js';
import { printTable, writeResults } from './report.js';
import { measureJob } from './rounds.js';
import { describeMachine, enterWorld, openWorld } from './world.js';

const options = readOptions(process.argv.slice(2));
if (options.help !== undefined) console.log(options.help);
else process.exitCode = (await enterWorld()) ?? (await run(options));

async function run({ jobs: names, rounds, output, document }: BenchOptions): Promise<number> {
  const jobs = JOBS.filter(({ name }) => names.includes(name));
  const world = await openWorld();
  try {
    const closures = await buildClosures(world);
    const results = [];
    for (const job of jobs) results.push(await measureJob(job, { world, closures }, rounds));
    printTable(results);
    await writeResults({ machine: await describeMachine(world), rounds, results }, { output, document });
  } finally {
    await world.close();
  }
  return 0;
}
