import { spawnSync } from 'node:child_process';
import { chmod, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openUploadRecords, type UploadRecord } from '#lib/object-store/s3/parts/upload-records.js';
import { asOrdinaryUser, useDirectory } from '../../../../support/files.js';

const RECORD: UploadRecord = {
  ...{ store: 'http://h/ nix', key: 'nar/x', uploadId: 'id', size: 10, partSize: 5, begun: 1_000 },
};
const all = () => true;

describe('records of uploads', () => {
  const directory = useDirectory();
  const place = () => join(directory(), 'state/uploads');

  /** Makes a record one of a process that is gone. */
  const abandon = async (file: string) => {
    const { pid } = spawnSync('true');
    const left = file.replace(`-${process.pid}-`, `-${pid}-`);
    await rename(file, left);
    return left;
  };

  it('are files that only their user reads, as long as the upload goes on', async () => {
    const records = openUploadRecords(place());
    const kept = await records.keep(RECORD);
    expect((await stat(kept.file)).mode & 0o777).toBe(0o600);
    expect((await stat(place())).mode & 0o777).toBe(0o700);
    expect(JSON.parse(await readFile(kept.file, 'utf8'))).toEqual({ version: 1, ...RECORD });
    await records.forget(kept);
    await records.forget(kept);
    expect(await readdir(place())).toEqual([]);
  });

  it('are not taken from a process that lives', async () => {
    await openUploadRecords(place()).keep(RECORD);
    expect(await openUploadRecords(place()).takeOver(all)).toEqual([]);
  });

  it('are taken over from one that is gone, of those that are wanted', async () => {
    const records = openUploadRecords(place());
    await abandon((await records.keep(RECORD)).file);
    const other = await abandon((await records.keep({ ...RECORD, key: 'nar/y' })).file);
    const [taken, ...more] = await records.takeOver(({ key }) => key === 'nar/x');
    expect(more).toEqual([]);
    expect(taken!.record).toMatchObject(RECORD);
    expect((await readdir(place())).sort()).toEqual([basename(taken!.file), basename(other)].sort());
    expect(await records.takeOver(({ key }) => key === 'nar/x'), 'mine now').toEqual([]);
  });

  it('go to one of several that want them', async () => {
    const records = openUploadRecords(place());
    for (let index = 0; index < 20; index++) {
      await abandon((await records.keep({ ...RECORD, uploadId: String(index) })).file);
    }
    const takers = Array.from({ length: 5 }, () => openUploadRecords(place()));
    const taken = (await Promise.all(takers.map((each) => each.takeOver(all)))).flat();
    expect(taken.map(({ record }) => Number(record.uploadId)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
  });

  it('of which the file is torn, or of another version, are passed over', async () => {
    const records = openUploadRecords(place());
    const text = JSON.stringify({ version: 1, ...RECORD });
    const wrong = [
      ...['', 'x', text.slice(0, -5), '[]', 'null', JSON.stringify({ ...RECORD, version: 2 })],
      ...[{ partSize: 0 }, { size: -1 }, { size: '10' }, { key: undefined }].map((change) =>
        JSON.stringify({ version: 1, ...RECORD, ...change }),
      ),
    ];
    for (const content of wrong) await writeFile(await abandon((await records.keep(RECORD)).file), content);
    await writeFile(join(place(), 'notes.txt'), 'x');
    await abandon((await records.keep(RECORD)).file);
    expect((await records.takeOver(all)).map(({ record }) => record)).toMatchObject([RECORD]);
  });

  it('cost nothing but themselves where they cannot be written', async () => {
    await asOrdinaryUser(directory(), async () => {
      await chmod(directory(), 0o500);
      const records = openUploadRecords(place());
      const kept = await records.keep(RECORD);
      expect(kept.record).toEqual(RECORD);
      await records.forget(kept);
      expect(await records.takeOver(all)).toEqual([]);
      await chmod(directory(), 0o700);
    });
    await writeFile(join(directory(), 'file'), '');
    const records = openUploadRecords(join(directory(), 'file/uploads'));
    await records.forget(await records.keep(RECORD));
    await rm(join(directory(), 'file'));
  });
});
