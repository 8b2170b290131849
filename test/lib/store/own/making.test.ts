import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { type MakingWatch, takeTurn } from '#lib/store/own/lock/making.js';
import { useDirectory } from '../../../support/files.js';
import { deadPid, nameBy } from '../../../support/leftovers.js';

const directory = useDirectory();
const layout = () => ({ activeDir: join(directory(), 'active') });
const markers = () => readdirSync(layout().activeDir);
const PATH = `/nix/store/${'1'.repeat(32)}-a`;

let waited: number[];
let made: boolean;
beforeEach(() => {
  mkdirSync(layout().activeDir);
  [waited, made] = [[], false];
});
const take = (path = PATH, watch: Partial<MakingWatch> = {}) =>
  takeTurn(layout(), path, {
    ...{ isThere: async () => made, onWait: (pid) => waited.push(pid), signal: new AbortController().signal },
    ...watch,
  });

describe('turns to make a path', () => {
  it('are one after another, however many want it at the same time, and of other paths beside', async () => {
    let [now, most] = [0, 0];
    const work = async () => {
      const turn = await take();
      expect(turn.isThere).toBe(false);
      most = Math.max(most, ++now);
      await setTimeout(20);
      now--;
      await turn.end();
    };
    const other = await take(`${PATH}-other`);
    expect(other).toMatchObject({ isThere: false, hasWaited: false });
    await Promise.all(Array.from({ length: 6 }, work));
    expect(most).toBe(1);
    expect(waited.every((pid) => pid === process.pid)).toBe(true);
    await other.end();
    expect(markers()).toEqual([]);
  });

  it("are nobody's when it is there, as soon as that is", async () => {
    const first = await take();
    const others = [take(), take()];
    await setTimeout(200);
    made = true;
    expect(await Promise.all(others)).toEqual([
      expect.objectContaining({ isThere: true, hasWaited: true }),
      expect.objectContaining({ isThere: true, hasWaited: true }),
    ]);
    expect(waited).toEqual([process.pid, process.pid]);
    await first.end();
    expect(markers()).toEqual([]);
  });

  it('tell who waits of whom, also where several began at once', async () => {
    for (let round = 0; round < 10; round++) {
      [waited, made] = [[], false];
      const all = Array.from({ length: 4 }, () => take());
      const first = await Promise.race(all);
      await expect.poll(() => waited.length).toBe(3);
      made = true;
      await first.end();
      for (const turn of await Promise.all(all)) await turn.end();
    }
  });

  it("are the next one's when the first has failed", async () => {
    const first = await take();
    const second = take();
    await setTimeout(200);
    await first.end();
    const turn = await second;
    expect(turn).toMatchObject({ isThere: false, hasWaited: true });
    await turn.end();
  });

  it('do not wait for who was killed, or cannot be asked, nor where no marker can be made', async () => {
    const mine = await take();
    const [marker] = markers();
    const ending = marker!.slice(marker!.lastIndexOf('.'));
    await mine.end();
    for (const maker of [{ pid: deadPid() }, { machine: 'ffffffff', boot: 'ffffffff' }, { namespace: 'ffffffff' }]) {
      writeFileSync(join(layout().activeDir, `${await nameBy(maker)}${ending}`), '');
    }
    const turn = await take();
    expect(turn).toMatchObject({ isThere: false, hasWaited: false });
    await turn.end();
    const nowhere = await takeTurn({ activeDir: join(directory(), 'none') }, PATH, {
      ...{ isThere: async () => false, onWait: () => {}, signal: new AbortController().signal },
    });
    expect(nowhere).toMatchObject({ isThere: false, hasWaited: false });
    await nowhere.end();
  });

  it('are waited for until somebody wants no more, who leaves nothing', async () => {
    const first = await take();
    const stopping = new AbortController();
    const second = take(PATH, { signal: stopping.signal });
    await setTimeout(50);
    const reason = new Error('enough');
    stopping.abort(reason);
    await expect(second).rejects.toBe(reason);
    expect(markers()).toHaveLength(1);
    await first.end();
  });
});
