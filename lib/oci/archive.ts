/** Layouts as one tar archive. */

import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Pack, pack } from 'tar-stream';
import { CarportError, formatError } from '../errors.js';
import { writeAtomically, writeStream } from '../filesystem/atomic-write.js';
import { MANIFEST_LIMIT } from './documents.js';
import { MARK_LIMIT } from './layout.js';

/** What is in a layout, and nothing else. */
const ENTRY = /^(\.\/)?(oci-layout|index\.json|blobs\/sha256\/[0-9a-f]{64})$/;

const MTIME = new Date(1000);

/** Writes a layout as an archive, which follows from what is in it, and which is there whole or not at all. */
export async function writeArchive(directory: string, file: string): Promise<void> {
  const blobs = (await readdir(join(directory, 'blobs', 'sha256')))
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .sort();
  const names = ['oci-layout', 'index.json', ...blobs.map((name) => `blobs/sha256/${name}`)];
  await writeAtomically(file, async (temporary) => {
    const archive = pack();
    const written = pipeline(
      Readable.from(archive as AsyncIterable<Uint8Array>),
      createWriteStream(temporary, { flags: 'wx' }),
    );
    const filled = fill(archive, directory, names).catch((error) => archive.destroy(error));
    await Promise.all([written, filled]);
  });
}

async function fill(archive: Pack, directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(directory, name);
    const { size } = await stat(path);
    await new Promise<void>((resolve, reject) => {
      const entry = archive.entry({ name, size, mode: 0o644, mtime: MTIME, type: 'file' }, (error) =>
        error ? reject(error) : resolve(),
      );
      pipeline(createReadStream(path), entry as unknown as NodeJS.WritableStream).catch(reject);
    });
  }
  archive.finalize();
}

/**
 * Unpacks an archive as a layout in an empty directory. Only what a layout has is taken, by names that lead nowhere else;
 * contents are checked by whoever reads them.
 */
export async function unpackArchive(file: string, directory: string): Promise<void> {
  await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true });
  const archive = extract();
  const source = createReadStream(file);
  source.on('error', (error) => archive.destroy(error));
  source.pipe(archive as unknown as NodeJS.WritableStream);
  let isLayout = false;
  try {
    for await (const entry of archive) {
      const { name, type, size } = entry.header;
      const known = ENTRY.exec(name)?.[2];
      if (known === undefined || type !== 'file') {
        for await (const _ of entry);
        continue;
      }
      if (known === 'index.json' && size > MANIFEST_LIMIT)
        throw formatError(`\`${file}\``, 'has an index that is too large');
      if (known === 'oci-layout' && size > MARK_LIMIT)
        throw formatError(`\`${file}\``, 'has an `oci-layout` that is too large');
      isLayout ||= known === 'oci-layout';
      await writeStream(join(directory, known), entry as AsyncIterable<Uint8Array>);
    }
  } catch (cause) {
    if (cause instanceof CarportError) throw cause;
    throw formatError(`\`${file}\``, 'is no archive of an image', { cause });
  } finally {
    source.destroy();
  }
  if (isLayout) return;
  throw formatError(`\`${file}\``, 'is no archive of an image: it has no `oci-layout`', {
    hint: '`docker save` of an old docker makes another format; `skopeo copy docker-archive:… oci-archive:…` makes this one',
  });
}
