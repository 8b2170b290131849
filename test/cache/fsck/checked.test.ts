import { readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openCheckedNars } from '#cache/fsck/look/checked.js';
import { useSandbox } from '../../support/sandbox.js';

describe('the NARs that a check has read', () => {
  const box = useSandbox();
  const open = () => openCheckedNars(box().path('state'), 'file:///cache');
  const [one, two] = [Buffer.alloc(20, 1), Buffer.alloc(20, 2)];

  it('are known to the next one, unless this one came to its end', async () => {
    const first = await open();
    await first.add(one);
    expect([first.known, first.has(one), first.has(two)]).toEqual([0, true, false]);
    await first.close();
    const second = await open();
    expect([second.known, second.has(one), second.has(two)]).toEqual([1, true, false]);
    await second.add(two);
    await second.close();
    const third = await open();
    expect([third.known, third.has(one), third.has(two)]).toEqual([2, true, true]);
    await third.forget();
    await third.close();
    expect((await open()).known).toBe(0);
  });

  it('are known as far as they were written whole', async () => {
    const first = await open();
    await first.add(one);
    await first.add(two);
    await first.close();
    const [name] = await readdir(box().path('state'));
    const file = `${box().path('state')}/${name}`;
    await writeFile(file, (await readFile(file)).subarray(0, -7));
    const second = await open();
    expect([second.known, second.has(one), second.has(two)]).toEqual([1, true, false]);
    await second.add(two);
    await second.close();
    expect((await open()).known).toBe(2);
    await writeFile(file, 'something else');
    expect((await open()).known).toBe(0);
  });
});
