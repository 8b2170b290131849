/** Ids of uploads that are not finished. */

import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { makeDirectory } from '../../../filesystem/make-directory.js';
import { createTemporaryNames, isNameOfLivingProcess } from '../../../filesystem/temporary.js';

/** An upload in parts that this machine began. */
export interface UploadRecord {
  /** Endpoint and bucket. */
  readonly store: string;
  /** The whole key in the bucket. */
  readonly key: string;
  readonly uploadId: string;
  readonly size: number;
  readonly partSize: number;
  /** Milliseconds since 1970. */
  readonly begun: number;
}

/** A record and the file that has it; the file's name tells the process that goes on with the upload. */
export interface KeptRecord {
  readonly record: UploadRecord;
  readonly file: string;
}

/**
 * Uploads that are not finished, so that a later run goes on with what a killed one had sent. A directory that cannot be
 * written to costs that and nothing else.
 */
export interface UploadRecords {
  keep(record: UploadRecord): Promise<KeptRecord>;
  forget(kept: KeptRecord): Promise<void>;
  /** Takes over the records of processes that are gone, of those for which `wanted` is true. */
  takeOver(wanted: (record: UploadRecord) => boolean): Promise<readonly KeptRecord[]>;
}

const RECORD = v.object({
  version: v.literal(1),
  store: v.string(),
  key: v.string(),
  uploadId: v.string(),
  size: v.pipe(v.number(), v.integer(), v.minValue(0)),
  partSize: v.pipe(v.number(), v.integer(), v.minValue(1)),
  begun: v.number(),
});

export function openUploadRecords(directory: string): UploadRecords {
  const names = createTemporaryNames(directory);
  const nextName = async () => `${(await names)()}.json`;
  return {
    async keep(record) {
      const file = await nextName();
      try {
        await makeDirectory(directory, 0o700);
        await writeFile(file, JSON.stringify({ version: 1, ...record }), { mode: 0o600, flag: 'wx' });
      } catch {
        // The upload itself does not need it.
      }
      return { record, file };
    },
    async forget({ file }) {
      await rm(file, { force: true }).catch(() => undefined);
    },
    async takeOver(wanted) {
      const taken: KeptRecord[] = [];
      for (const name of await readdir(directory).catch(() => [])) {
        const old = join(directory, name);
        if (await isNameOfLivingProcess(name)) continue;
        const record = await readRecord(old);
        // What a kill left half written is of no use.
        if (record === undefined) await rm(old, { force: true }).catch(() => undefined);
        if (record === undefined || !wanted(record)) continue;
        const file = await nextName();
        // Of several processes that want it one can rename it.
        const mine = await rename(old, file).then(
          () => true,
          () => false,
        );
        if (mine) taken.push({ record, file });
      }
      return taken;
    },
  };
}

async function readRecord(file: string): Promise<UploadRecord | undefined> {
  try {
    return v.parse(RECORD, JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}
