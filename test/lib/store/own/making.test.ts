import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Turn, tryTurn, waitForMaker } from '#lib/store/own/lock/making.js';
import { useDirectory } from '../../../support/files.js';
import { deadPid, nameBy } from '../../../support/leftovers.js';

const directory = useDirectory();
const layout = () => ({ activeDir: join(directory(), 'active') });
const markers = () => readdirSync(layout().activeDir);
const PATH = `/nix/store/${'1'.repeat(32)}-a`;

let made: boolean;
beforeEach(() => {
  mkdirSync(layout().activeDir);
  made = false;
});
const wanted = (path: string) => ({ path, isMade: async () => made });
const attempt = (path = PATH) => tryTurn(layout(), wanted(path));
const wait = (onWait = (_: number) => {}, { signal } = new AbortController()) =>
  waitForMaker(layout(), wanted(PATH), { onWait, signal });
/** As a pull does: whom it was told of. */
async function take(waited: number[] = []): Promise<Turn> {
  for (;;) {
    const turn = await attempt();
    if (turn) return turn;
    await wait((pid) => waited.push(pid));
  }
}

describe('turns to make a path', () => {
  it('are one after another, however many want it at the same time, and of other paths beside', async () => {
    let [now, most] = [0, 0];
    const work = async () => {
      const turn = await take();
      expect(turn.isMade).toBe(false);
      most = Math.max(most, ++now);
      await setTimeout(20);
      now--;
      await turn.end();
    };
    const other = await attempt(`${PATH}-other`);
    expect(other).toMatchObject({ isMade: false });
    await Promise.all(Array.from({ length: 6 }, work));
    expect(most).toBe(1);
    await other!.end();
    expect(markers()).toEqual([]);
  });

  it("are nobody's when it is made, as soon as that is, and nobody waits then", async () => {
    const first = await take();
    expect(await attempt()).toBeUndefined();
    const waiting = [wait(), wait()];
    made = true;
    await Promise.all(waiting);
    expect(await attempt()).toMatchObject({ isMade: true });
    expect(markers()).toHaveLength(1);
    await first.end();
    expect(await attempt()).toMatchObject({ isMade: true });
    expect(markers()).toEqual([]);
  });

  it('tell each who waits of whom, also where several began at once', async () => {
    for (let round = 0; round < 4; round++) {
      made = false;
      const told: number[][] = [[], [], [], []];
      const all = told.map(async (pids, index) => ({ index, turn: await take(pids) }));
      const first = await Promise.race(all);
      const others = () => told.filter((_, index) => index !== first.index);
      await expect.poll(() => others().every(([pid]) => pid === process.pid), { timeout: 60_000 }).toBe(true);
      made = true;
      await first.turn.end();
      for (const { turn } of await Promise.all(all)) expect(turn.isMade).toBe(turn !== first.turn);
      expect(markers()).toEqual([]);
    }
  });

  it("are the next one's when the first has failed", async () => {
    const first = await take();
    const waited: number[] = [];
    const second = take(waited);
    await expect.poll(() => waited.length, { timeout: 60_000 }).toBe(1);
    await first.end();
    const turn = await second;
    expect(turn).toMatchObject({ isMade: false });
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
    const turn = await attempt();
    expect(turn).toMatchObject({ isMade: false });
    await turn!.end();
    const nowhere = await tryTurn({ activeDir: join(directory(), 'none') }, wanted(PATH));
    expect(nowhere).toMatchObject({ isMade: false });
    await nowhere!.end();
  });

  it('leave nothing where it cannot be asked whether the path is made', async () => {
    const reason = new Error('cannot be read');
    const isMade = () => Promise.reject(reason);
    await expect(tryTurn(layout(), { path: PATH, isMade })).rejects.toBe(reason);
    expect(markers()).toEqual([]);
  });

  it('are waited for until somebody wants no more', async () => {
    const first = await take();
    const stopping = new AbortController();
    const reason = new Error('enough');
    const second = wait(() => stopping.abort(reason), stopping);
    await expect(second).rejects.toBe(reason);
    stopping.abort(reason);
    await expect(wait(undefined, stopping)).rejects.toBe(reason);
    expect(markers()).toHaveLength(1);
    await first.end();
  });

  it('are waited for no longer than is said', async () => {
    const first = await take();
    const waited: number[] = [];
    const onWait = (processId: number) => waited.push(processId);
    const { signal } = new AbortController();
    expect(await waitForMaker(layout(), wanted(PATH), { onWait, signal, patienceMs: 500 })).toBe(false);
    expect(waited).toEqual([process.pid]);
    await first.end();
    expect(await wait()).toBe(true);
  });
});
