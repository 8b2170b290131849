import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readInventory } from '#lib/object-store/inventory.js';
import { useDirectory } from '../../support/files.js';

const SCHEMA = 'Bucket, Key, Size, LastModifiedDate, ETag';
const ROWS = [
  '"nix","nix-cache-info","21","2026-11-01T00:00:00.000Z","0123456789abcdef0123456789abcdef"',
  '"nix","below/a+b%22c.txt","5","2026-11-02T00:00:00.000Z","0123456789abcdef0123456789abcdef-3"',
  '"nix","below/a%2Bb","6","2026-11-02T00:00:00.000Z",""',
  '"nix","../outside","7","2026-11-02T00:00:00.000Z",""',
  '"nix","nix-cache-info","21","2026-11-01T00:00:00.000Z","0123456789abcdef0123456789abcdef"',
];

describe('an S3 inventory', () => {
  const directory = useDirectory();
  const write = async (rows: readonly string[], changes: object = {}, bytes = gzipSync(rows.join('\n'))) => {
    const manifest = `${directory()}/manifest.json`;
    await mkdir(`${directory()}/data`, { recursive: true });
    await writeFile(`${directory()}/data/x.csv.gz`, bytes);
    const MD5checksum = createHash('md5').update(bytes).digest('hex');
    const common = { sourceBucket: 'nix', destinationBucket: 'arn:aws:s3:::other', version: '2016-11-30' };
    const told = { creationTimestamp: '1795824000000', fileFormat: 'CSV', fileSchema: SCHEMA };
    const files = [{ key: 'nix/daily/data/x.csv.gz', size: bytes.length, MD5checksum }];
    await writeFile(manifest, JSON.stringify({ ...common, ...told, files, ...changes }));
    return manifest;
  };

  it('is read as a listing: keys decoded, in order, each once, none that leads outside', async () => {
    const { bucket, time, objects } = await readInventory(await write(ROWS), '');
    expect([bucket, time.toISOString()]).toEqual(['nix', '2026-11-28T00:00:00.000Z']);
    expect(objects).toEqual([
      { key: 'below/a b"c.txt', size: 5, modified: new Date('2026-11-02T00:00:00Z') },
      { key: 'below/a+b', size: 6, modified: new Date('2026-11-02T00:00:00Z') },
      {
        ...{ key: 'nix-cache-info', size: 21, modified: new Date('2026-11-01T00:00:00Z') },
        md5: '0123456789abcdef0123456789abcdef',
      },
    ]);
    const below = await readInventory(await write(ROWS), 'below/');
    expect(below.objects.map(({ key }) => key)).toEqual(['a b"c.txt', 'a+b']);
  });

  it.each([
    ['a file that is another', { files: [{ key: 'x.csv.gz', MD5checksum: '0'.repeat(32) }] }, /its MD5 is not that/],
    ['a file that is not there', { files: [{ key: 'y.csv.gz', MD5checksum: '0'.repeat(32) }] }, /`y.csv.gz`/],
    ['another format', { fileFormat: 'Parquet' }, /its files are Parquet/],
    ['columns that are not there', { fileSchema: 'Bucket, Key' }, /it lacks `Size`/],
    ['no manifest', { files: 1 }, /`files`/],
  ])('is refused for %s', async (_, changes, message) => {
    await expect(readInventory(await write(ROWS, changes), '')).rejects.toThrow(message);
  });

  it('is refused where a row or the compression is damaged', async () => {
    await expect(readInventory(await write(['"nix","a","many","never",""']), '')).rejects.toThrow(/this row is none/);
    const cut = gzipSync(ROWS.join('\n')).subarray(0, 60);
    await expect(readInventory(await write(ROWS, {}, cut), '')).rejects.toMatchObject({ code: 'E_FORMAT' });
    await expect(readInventory(await write(ROWS, {}, Buffer.from('x')), '')).rejects.toMatchObject({
      code: 'E_FORMAT',
    });
  });
});
