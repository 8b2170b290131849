/** What a thread of the bundle does before its code cache is written: it packs, takes and unpacks a small path in each way. */

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { formatHash } from '../lib/nix/hash.js';
import { parseNarInfo } from '../lib/nix/narinfo.js';
import type { Job, JobResults, NarDigest, PackSmallJob, SmallPath, TakeJob } from '../lib/workers/jobs.js';
import type { FromWorker } from '../lib/workers/protocol.js';

const STORE_DIR = '/nix/store';
const BASE_NAME = `${'0'.repeat(32)}-build`;

/** Has a thread do jobs on a tree below a directory, and then write its code cache. Throws when one fails. */
export async function runThreadJobs(thread: Worker, directory: string): Promise<void> {
  const ask = askerOf(thread);
  const at = (name: string) => join(directory, name);
  for (const name of ['tree/bin', 'nar', 'store', 'info', 'claims']) await mkdir(at(name), { recursive: true });
  await writeFile(at('tree/bin/file'), 'content'.repeat(1000));
  const digest = await ask({ type: 'hash', path: at('tree') });
  for (let times = 0; times < 2; times++) await ask(packSmall(directory, digest));
  await ask(take(directory));
  const text = await readFile(at(`${BASE_NAME.slice(0, 32)}.narinfo`), 'latin1');
  const { url, fileSize, fileHash, compression } = parseNarInfo(text);
  const hashes = { narHash: formatHash(digest.narHash, 'base16'), fileHash: formatHash(fileHash!, 'base16') };
  const promise = { compression: compression as 'zstd', ...hashes, narSize: digest.narSize, fileSize: fileSize! };
  const bytes = await readFile(at(url));
  await ask({ type: 'unpack-small', nars: JSON.stringify([{ promise, destination: at('small') }]), bytes });
  const spoolPath = at('spool');
  await ask({ type: 'pack', path: at('tree'), compression: 'zstd', level: 3, listing: true, hashParts: [], spoolPath });
  thread.postMessage('write');
  await once(thread, 'message');
}

function askerOf(thread: Worker) {
  let id = 0;
  return async <J extends Job>(job: J): Promise<JobResults[J['type']]> => {
    thread.postMessage({ type: 'jobs', jobs: [{ id: ++id, job }] });
    for (;;) {
      const [message] = (await once(thread, 'message')) as [FromWorker];
      if (message.type !== 'ended') continue;
      const [outcome] = message.jobs;
      if ('error' in outcome!) throw new Error(`the thread failed: ${outcome.error.message}`);
      return outcome!.result as JobResults[J['type']];
    }
  };
}

function packSmall(directory: string, { narHash, narSize }: NarDigest): PackSmallJob {
  const { privateKey } = generateKeyPairSync('ed25519');
  const path: SmallPath = {
    ...{ storePath: `${STORE_DIR}/${BASE_NAME}`, realPath: join(directory, 'tree'), references: [], signatures: [] },
    ...{ narHash: formatHash(narHash, 'base16'), narSize },
    narInfo: join(directory, `${BASE_NAME.slice(0, 32)}.narinfo`),
  };
  return {
    ...{ type: 'pack-small', paths: JSON.stringify([path]), compression: 'zstd', level: 3, ending: '.zst' },
    ...{ narKey: 'nar/', place: { directory: join(directory, 'nar'), temporary: join(directory, 'temporary') } },
    keys: [{ name: 'build-1', privateKey }],
  };
}

function take(directory: string): TakeJob {
  const [realStoreDir, infoDir, claimsDir] = ['store', 'info', 'claims'].map((name) => join(directory, name));
  return {
    ...{ type: 'take', tickets: JSON.stringify([{ baseName: BASE_NAME, temporary: '.temporary' }]), cache: directory },
    storeDirs: { storeDir: STORE_DIR, realStoreDir: realStoreDir!, infoDir: infoDir!, claimsDir: claimsDir! },
    ...{ keys: [], allowUnsigned: true },
  };
}
