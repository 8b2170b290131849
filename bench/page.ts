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

How to read it:

* *time ÷* is carport's time divided by the peer's: below 1 carport is faster. It is the ratio of the medians, with the least and the largest
  of one round. *at most* is the aim. *CPU ÷* is the same for processor time, which is user and system time of the programs, without the server's.
* *memory* is the peak of the largest process, and *requests* are those that Garage answered: carport's, then the peer's.

![Times of carport by its peer's](performance.svg)

## The jobs

${results.map(({ job, carport }) => `* \`${job.name}\`: ${job.title}. The peer: ${job.peer}.${storedText(carport[0]?.bytes)}`).join('\n')}

Closures are built by that Nix of files of this machine. Caches that are pulled from were made by carport, and are in the page cache.
Each run has a new cache or store, and Nix knows nothing of the cache from before.

${LIMITS}

## To repeat it

    npm run bench                            # all jobs, five rounds: half an hour
    npm run bench -- --quick                 # one round
    npm run bench -- --jobs pull-many-file   # some jobs; \`--jobs pull\` are all that begin so
    npm run bench -- --help                  # the names of the jobs

It needs root, for a mount namespace; Nix of Debian's \`sid\` in a root of its own, Garage and rclone below \`~/.cache/carport/peers\`, and
says how to get what is missing. Results are written to \`bench/results\`.
`;
}

/** Of measurements by hand: they change with the program. */
const LIMITS = `## What the limits are

* A push with nothing new takes Node's own start (0.03 s of processor time), one program of Nix that is asked for the roots (0.025 s: two thirds
  are its libraries), and 0.065 s of ours, of which Node takes the larger part: its loader of modules 0.01 s, functions of its modules for
  files, streams, programs and keys, which V8 compiles when they are first called, 0.02 s. Where a directory may have all, such a push is a
  script of its own, an eighth of the program, which V8 has compiled when it was built; so are the 23 KB before it. All of Nix's push is
  0.03 s: below 3 of that would be below Node and the question to Nix together with no more than 0.035 s. Some ten small files are read and
  written, for the lease and the narinfos of the roots, while Nix answers. Of 2,001 paths it is the same: the closure is not computed.
* Many small paths from a directory: a thread does all of a path, some 0.3 ms of processor time. Of a whole pull are the kernel's 24 % (28 calls
  a path, of which opening and making files, one directory and two renames are two thirds; Nix makes 118), checks of signatures 14 % (0.062 ms
  each, of which the curve's arithmetic in OpenSSL is all but 0.003), zstd and sha256 7 %, V8's compiler and garbage 11 %, starting Node and two
  threads 10 %, and the rest JavaScript: its own code 4 %, V8's functions that it calls 25 %. What nobody has to sign, since its name is
  its content, Nix does not check: carport does (0002). 0.60 of Nix's time would be a sixth less of the processor time, which is that of the
  signatures. Threads have nothing to do for 5 % of the time, before the first batch and behind the last one.
  Files that were removed minutes ago make both sides slower, up to several times: ext4 looks at each freed inode for each file that is made.
* Many small paths of a server: one request each, and one for each batch of narinfos, on the main thread, some 0.28 ms of it each; the server runs
  on the same two processors.
* A large path: sha256 of the file and of the NAR (0.65 s/GB each) are one thread's; decompression (1.3 s/GB) and writing are done by who has
  time. Two threads are both busy to the end; from three on the hashes are the limit. Over HTTP the main thread takes 1.2 s/GB of compressed
  bytes, since they go from the connection into memory that the threads share; through Node's client it would be 4 s/GB, and 1 s/GB for the
  garbage. \`perf record -a\` shows both processors busy from the first
  byte to the last: the main thread has a tenth, Garage a sixth (1.0 s for 428 MB alone, 1.3 s beside us; a third of it is its own BLAKE2 of
  its blocks, and the rest mostly the kernel's copies). No thread waits for another, and one connection alone gives 370 MB/s: more connections
  for a file, windows of 2 to 32 MiB, pieces of 1 MiB, two to six slots for each thread change no more than two runs of the same differ.
* What makes two runs differ is memory. A virtual machine gives back to its host what was not used for some seconds, and gets it again page by
  page: a plain program writes 1.26 GB into the page cache in 0.4 s of system time where as much was just freed, and in 1.5 to 3 s where not. Of a
  pull over HTTP the tree is then 3.2 s in place of 0.6 s. Nix writes the same tree; 100 MB for threads are ours. Each run finds as much freed
  memory as the one before has left, so that the side that needs more pays for the difference. A pull that kept the compressed file beside the
  tree, to go on from it, needed a third more: beside one that goes on [from its tree](delta.md#a-pull-that-was-stopped), in turns of ten, it took 1.39 of the
  time and 1.32 of the processor time, and 1.08 and 1.11 with 2.5 GB written and removed before each run. Of Nix's time it was 0.86 before and 0.79 after, and
  0.95 and 0.88 of its processor time, in turns of eight on a machine that others used, too.
* A NAR in the format of xz is decompressed by the program \`xz\`, whose output comes in pieces of some KiB: it takes 2.8 of Nix's processor
  time. Without the program a library in WebAssembly does it, in three times the time.
* A push of many small paths to a directory is bound by the processors: two threads are busy to 95 % from the first batch to the last. All of it is
  0.5 ms a path, where Nix takes 0.43 ms. Of that are zstd 12 %, the kernel 23 % (22 calls: a tree is read, two files are made and renamed), the
  signature 5 % (0.024 ms, OpenSSL's own time but for 0.001), hashes 4 %, garbage 6 %, starting Node, the program and two threads 16 %,
  Nix's answer 8 %, the main thread's part of the work 8 %, and the rest JavaScript of many small functions, of which none has more
  than 3 %: the narinfo, its content address, looking at a path, the tables of chunks. 0.80 of Nix's time would be without most of that.
  Tried, and no gain: flags of V8 that were there when its cache was made, too (\`--always-sparkplug\`, \`--no-lazy-feedback-allocation\`,
  \`--no-parallel-scavenge\`, \`--semi-space-growth-factor\`, other budgets), a cache of V8 made of this very push, smaller tables of zstd (level 2
  saves 0.008 ms a path, and stores 1 % more), names of files as text in place of bytes, threads that start before the program is read.
  A main thread that packs, too, would save the start of one thread, 5 %; but a slow disk would keep it from hearing an interrupt.
* A push of many small paths to a bucket: some 0.3 ms of the main thread for each of 4,000 requests, one after another, the kernel's and a tenth for
  signatures of requests among it. Threads pack and sign the narinfos, and are idle half of the time.
* A push to a bucket with nothing new is some ten small requests, four of them for the lease that keeps garbage collections away.
* A push of a large path compresses on all processors, and no thread waits for another after the first 0.3 s (\`schedstat\` of the threads
  tells it). Of 9.5 s of processor time zstd is two thirds, hashes are 2 s (the NAR, the file, and each chunk), reading and copying 0.6 s, and
  the search for the places where chunks end 0.4 s, in WebAssembly, and for hash parts of references another 0.4 s. To take less for zstd
  would store more than 1.05 of what Nix does: it is 1.046 now, and a table of half the size, which takes an eighth less of zstd's time, makes
  it 1.051. Of the hashes that Node has none is faster than sha256 (1.5 GB/s; SHA-1 1.6, MD5 and BLAKE2 0.6).
* A push of a large path to a bucket sends the file when it is whole, since the hash of it is its name. Then the threads have nothing to do but
  MD5s of parts, and the main thread sends for 1.5 s.`;

function storedText(bytes: number | undefined): string {
  return bytes ? ` carport stored ${(bytes / 1e6).toFixed(1)} MB.` : '';
}
