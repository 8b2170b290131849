/**
 * Writes what V8 has made of the bundle beside it, once the program has pushed something, and a thread has packed and unpacked: that has
 * the functions of a usual run, which no later run compiles again. The bundle works without; a part of `npm run build`.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { loadBundle, tuneEngine } from '../bin/bundle.js';
import { formatHash } from '../lib/nix/hash.js';
import { parseNarInfo } from '../lib/nix/narinfo.js';
import { hashPartOf } from '../lib/nix/store-path.js';
import { askedOfNix } from '../lib/store/nix/ahead.js';
import { runThreadJobs } from './thread-jobs.js';

const [bundle, early] = [loadBundle('main'), loadBundle('early')];
if (!bundle || !early) throw new Error('there is no bundle');
const directory = await mkdtemp(join(tmpdir(), 'carport-build-'));
try {
  const run = runIn(directory);
  const to = ['--to', `file://${directory}/cache`, '--secret-key', join(directory, 'key')];
  await run('key', 'generate', 'build-1', '--out', 'key');
  await writeFile(join(directory, 'file'), 'content');
  const path = await run('store', 'add', 'file');
  for (let times = 0; times < 2; times++) await run('push', path, ...to);
  await pushEarly(path, to);
} finally {
  await rm(directory, { recursive: true, force: true });
}
// Where a command fails, its functions are compiled when they are run.
process.exitCode = 0;
await writeFile(early.codeCache, early.script.createCachedData());
// What is written of a script is for the flags of that moment.
await writeStart();
tuneEngine();
await writeFile(bundle.codeCache, bundle.script.createCachedData());
await warmThread();

/** Runs command lines as if they were given in a directory, which is a home, too; gives what they print. */
function runIn(directory: string): (...args: readonly string[]) => Promise<string> {
  const env = { HOME: directory, PATH: process.env.PATH };
  return async (...args) => {
    const printed: string[] = [];
    const stdout = new Writable({
      write(piece, _, done) {
        printed.push(String(piece));
        done();
      },
    });
    const stderr = new Writable({ write: (_piece, _, done) => done() });
    const at = process.cwd();
    process.chdir(directory);
    const context = { env, stdin: Readable.from([]), stdout, stderr, cwd: () => directory };
    await bundle!.exports.main(args, context).finally(() => process.chdir(at));
    return printed.join('').trim();
  };
}

/** A push that has nothing to do, of which Nix says what it says of such a path. Throws where there is something to do. */
async function pushEarly(path: string, to: readonly string[]): Promise<void> {
  const text = await readFile(join(directory, `cache/${hashPartOf(path)}.narinfo`), 'latin1');
  const { narHash, narSize } = parseNarInfo(text);
  const info = { narHash: formatHash(narHash, 'sri'), narSize, references: [], signatures: [] };
  const stdout = JSON.stringify({ info: { [basename(path)]: info }, storeDir: dirname(path), version: 2 });
  const answers = [{ arguments: askedOfNix('paths', [path]), result: Promise.resolve({ stdout, stderr: '' }) }];
  const context = { env: { HOME: directory, CI: '1' }, cwd: () => directory, answers };
  const said = await early!.exports.pushEarly(['push', path, ...to, '--store', 'nix'], context);
  if (said === undefined) throw new Error('a push that should have nothing to do found something');
}

/** Compiles all of what comes before the program, which is little: here it has not run. */
async function writeStart(): Promise<void> {
  setFlagsFromString('--no-lazy');
  const { script, codeCache } = loadBundle('start')!;
  setFlagsFromString('--lazy');
  await writeFile(codeCache, script.createCachedData());
}

/** Has a thread do what threads do as a rule, and write what V8 has made of that. */
async function warmThread(): Promise<void> {
  const thread = new Worker(new URL('./code-cache-thread.js', import.meta.url), { env: SHARE_ENV });
  const jobs = await mkdtemp(join(tmpdir(), 'carport-build-'));
  try {
    await runThreadJobs(thread, jobs);
  } finally {
    await thread.terminate();
    await rm(jobs, { recursive: true, force: true });
  }
}
