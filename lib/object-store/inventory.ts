/**
 * Reads an S3 inventory, which a server writes each day in place of a listing: a manifest, and beside it files of comma-separated
 * values (https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html).
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import * as v from 'valibot';
import { formatError, isErrno } from '../errors.js';
import { parseStrictJson } from '../strict-json.js';
import { isKey, type ListedObject } from './object-store.js';

/** What a bucket held. */
export interface Inventory {
  readonly bucket: string;
  /** When it was begun, by the server's clock. What was put or removed shortly before may be missing, or be there. */
  readonly time: Date;
  /** In the order of their keys' bytes. */
  readonly objects: readonly ListedObject[];
}

const Manifest = v.object({
  sourceBucket: v.string(),
  creationTimestamp: v.pipe(v.string(), v.regex(/^[0-9]{10,14}$/)),
  fileFormat: v.string(),
  fileSchema: v.string(),
  files: v.array(v.object({ key: v.string(), MD5checksum: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/i)) })),
});

/** Columns that are needed, and that an inventory has where it was asked for them. */
const COLUMNS = ['Key', 'Size', 'LastModifiedDate'] as const;

/**
 * Reads an inventory by its `manifest.json`, whose files are beside it or in `data` beside it, below `prefix` of the bucket: keys
 * are given without that. `E_FORMAT` where it is none, or not as CSV; `E_INTEGRITY` is a file that is not the manifest's.
 */
export async function readInventory(manifest: string, prefix: string): Promise<Inventory> {
  const text = await readFile(manifest, 'utf8');
  const { sourceBucket, creationTimestamp, fileFormat, fileSchema, files } = parseStrictJson(manifest, text, Manifest);
  if (fileFormat !== 'CSV') {
    throw formatError(manifest, `its files are ${fileFormat}`, { hint: 'have the inventory written as CSV' });
  }
  const columns = fileSchema.split(',').map((name) => name.trim());
  const lacking = COLUMNS.find((name) => !columns.includes(name));
  if (lacking !== undefined) {
    throw formatError(manifest, `it lacks \`${lacking}\``, {
      hint: 'add the size, the date and the ETag to the inventory',
    });
  }
  const objects: ListedObject[] = [];
  for (const { key, MD5checksum } of files) {
    const file = await findFile(dirname(manifest), basename(key));
    await requireMd5(file, MD5checksum.toLowerCase());
    for await (const object of readRows(file, columns)) {
      if (object.key.startsWith(prefix)) objects.push({ ...object, key: object.key.slice(prefix.length) });
    }
  }
  objects.sort((a, b) => (a.key < b.key ? -1 : 1));
  const once = objects.filter(({ key }, at) => key !== objects[at - 1]?.key);
  return { bucket: sourceBucket, time: new Date(Number(creationTimestamp)), objects: once };
}

async function findFile(directory: string, name: string): Promise<string> {
  for (const file of [join(directory, name), join(directory, 'data', name)]) {
    if (await stat(file).catch(() => undefined)) return file;
  }
  throw formatError(directory, `\`${name}\`, which the manifest names, is not there`, {
    hint: 'copy the files of the inventory beside its manifest, or into `data` there',
  });
}

async function requireMd5(file: string, md5: string): Promise<void> {
  const hash = createHash('md5');
  await pipeline(createReadStream(file), hash);
  if (hash.digest('hex') === md5) return;
  throw formatError(file, 'its MD5 is not that of the manifest', {
    hint: 'copy it from the bucket of the inventory again',
  });
}

async function* readRows(file: string, columns: readonly string[]): AsyncGenerator<ListedObject> {
  const bytes = createReadStream(file);
  const input = file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes;
  const failed = new Promise<never>((_, reject) => {
    for (const stream of [bytes, input]) stream.on('error', reject);
  });
  failed.catch(() => undefined);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const object = line === '' ? undefined : objectOf(line, columns, file);
      if (object) yield object;
    }
    await Promise.race([failed, Promise.resolve()]);
  } catch (cause) {
    if (isErrno(cause, 'Z_DATA_ERROR', 'Z_BUF_ERROR')) throw formatError(file, 'is not gzip', { cause });
    throw cause;
  } finally {
    bytes.destroy();
  }
}

/** An object of one row; `undefined` for an older version, a mark of deletion, or a key that is none of ours. */
function objectOf(line: string, columns: readonly string[], file: string): ListedObject | undefined {
  const fields = fieldsOf(line);
  const field = (name: string) => fields[columns.indexOf(name)];
  if (field('IsLatest') === 'false' || field('IsDeleteMarker') === 'true') return undefined;
  const [size, modified] = [Number(field('Size')), new Date(field('LastModifiedDate') ?? '')];
  const key = decode(field('Key') ?? '');
  if (key === undefined || !Number.isSafeInteger(size) || Number.isNaN(modified.getTime())) {
    throw formatError(file, `this row is none of an inventory: ${JSON.stringify(line.slice(0, 200))}`);
  }
  if (!isKey(key)) return undefined;
  const etag = /^"?([0-9a-f]{32})"?$/.exec(field('ETag') ?? '')?.[1];
  return { key, size, modified, ...(etag !== undefined && { md5: etag }) };
}

/** Keys are encoded as in URLs, with `+` for a space. */
function decode(text: string): string | undefined {
  try {
    return text === '' ? undefined : decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** Fields of a line, quoted or not; a quote in one is doubled (RFC 4180). */
function fieldsOf(line: string): readonly string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
}
