/** The job that decompresses and checks a cache's NAR into a file, for Nix to take in. */

import { closeSync, openSync } from 'node:fs';
import { writeWhole } from '../../filesystem/unpack.js';
import { createSharedFileWriter, openWrites } from '../files/shared-writes.js';
import type { JobContext, SaveJob, UnpackResult } from '../jobs.js';
import { readCompressedNar } from './compressed-nar.js';

/** Writes the NAR itself, for Nix. It is decoded all the same: Nix should not be given what is none. */
export async function savePath(job: SaveJob, context: JobContext): Promise<UnpackResult> {
  const file = openSync(job.destination, 'wx', 0o600);
  const writes = openWrites(job.line);
  const writer = writes && createSharedFileWriter(writes);
  let written = 0;
  try {
    const fileSize = await readCompressedNar({ ...job, writes }, context, (bytes, events) => {
      for (const _ of events);
      if (writer) writer.write(file, bytes, written);
      else writeWhole(file, bytes);
      written += bytes.length;
    });
    writer?.finish();
    return { fileSize };
  } finally {
    writer?.abandon();
    closeSync(file);
  }
}
