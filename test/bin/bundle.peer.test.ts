import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, it } from 'vitest';
import { openBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { installBundle } from '../support/installed.js';
import { useSandbox } from '../support/sandbox.js';

describeWithGarage('a program that was put together', () => {
  const garage = useGarage();
  const box = useSandbox('all');
  beforeAll(async () => {
    await installBundle(box().path('installed'));
    await writeFile(box().path('work/file'), 'content');
  });

  const carport = async (...args: readonly string[]) => {
    const env = { ...box().env, ...garage().env };
    const program = join(box().path('installed'), 'dist/bin/carport.js');
    const options = { cwd: box().path('work'), env, extendEnv: false };
    const { stdout, stderr } = await execa(process.execPath, [program, ...args], options);
    return { stdout, stderr };
  };

  it('loads what buckets need, and leaves no lease', async () => {
    const name = await garage().freshBucket();
    const url = garage().url(name);
    const bucket = openBucket(garage(), name);
    const { stdout: path } = await carport('store', 'add', 'file');
    for (let times = 0; times < 2; times++) await carport('push', path, '--to', url);
    expect([...(await bucket.objects()).keys()].filter((key) => key.startsWith('carport/leases/'))).toEqual([]);
    await carport('cache', 'fsck', url, '--repair', '--allow-unsigned');
    await carport('cache', 'gc', url, '--keep-newer-than', '1d', '--allow-unsigned', '--apply');
    await carport('cache', 'erase', url, '--yes');
    expect([...(await bucket.objects()).keys()]).toEqual([]);
  });
});
