/** The page of the documentation that tells how fast carport is. */

import type { JobResult } from './rounds.js';
import type { describeMachine } from './world.js';

/** All that a run of the bench has measured. */
export interface BenchResults {
  readonly machine: Awaited<ReturnType<typeof describeMachine>>;
  readonly rounds: number;
  readonly results: readonly JobResult[];
}

/** `docs/performance.md`. */
export function renderPage({ machine, rounds, results }: BenchResults, table: string): string {
  const { processors, model, memory, node, nix, commit, date, kernel } = machine;
  return `# Performance

carport beside ${nix}, the newest, and rclone. Made by \`npm run bench -- --document\` on ${date} of ${commit}: ${processors} processors
(${model}), ${Math.round(memory / 2 ** 30)} GiB, Linux ${kernel}, Node ${node}. Each side did each job ${rounds === 1 ? 'once' : `${rounds} times, in turns`}; times are
medians. On another machine only the ratios will be alike.

${table}

*time ÷* and *CPU ÷* are carport's by the peer's: ratio of the medians, and the least and largest of one round. *at most* is what
the time is to be. Processor time is user and system time of the programs, and not the server's. Memory is the
peak of the largest process, requests are those that Garage answered, carport's and the peer's.

![Times of carport by its peer's](performance.svg)

## The jobs

${results.map(({ job, carport }) => `* \`${job.name}\`: ${job.title}. The peer: ${job.peer}.${storedText(carport[0]?.bytes)}`).join('\n')}

Closures are built by that Nix of files of this machine. Caches that are pulled from were made by carport, and are in the page cache.
Each run has a new cache or store, and Nix knows nothing of the cache from before.

## What the limits are

* A process of Node with carport's modules takes 0.3 s to 0.45 s of processor time before it does anything.
* Many small paths from a directory: Nix takes 1.2 ms of processor time a path, carport 1.5 ms: reading and parsing the narinfo and its
  signature 0.5 ms on the main thread while the others wait for the plan, then reading, hashing, writing and registering 0.8 ms in threads.
  Files that were removed minutes ago make both slower, up to several times: ext4 looks at each freed inode for each file that is made.
* A large path: sha256 (0.8 s/GB) and writing (0.7 to 1.0 s/GB) are one thread's, decompression (1.6 s/GB) is the others'. With two
  threads the first is the limit.
* A push of many small paths: a third of its processor time is the main thread's, which makes a promise and a signature for each path while the
  threads pack. A push with nothing new asks three programs of Nix, and starts Node: that is most of its time. To a bucket it is eight requests,
  five of them for the lease that keeps garbage collections away.
* A push of a large path compresses on all processors: the least that zstd takes at this level is 11 s of processor time, Nix's own.

## To repeat it

    npm run bench                            # all jobs, five rounds: half an hour
    npm run bench -- --quick                 # one round
    npm run bench -- --jobs pull-many-file   # some jobs; \`--jobs pull\` are all that begin so
    npm run bench -- --help                  # the names of the jobs

It needs root, for a mount namespace; Nix of Debian's \`sid\` in a root of its own, Garage and rclone below \`~/.cache/carport/peers\`, and
says how to get what is missing. Results are written to \`bench/results\`.
`;
}

function storedText(bytes: number | undefined): string {
  return bytes ? ` carport stored ${(bytes / 1e6).toFixed(1)} MB.` : '';
}
