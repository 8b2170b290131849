/** Large paths that other processes make just now: they are waited for, and not fetched twice. */

import { registeredInfo } from '../../lib/nix/registered.js';
import type { Turn } from '../../lib/store/own/lock/making.js';
import type { FoundPath } from '../find-path.js';
import { type Fetched, type FetchOptions, fetchPath } from './fetch.js';
import { isWorthKeeping } from './kept.js';

/** Whose turn it is to make the paths of a pull. Nobody who waits is in the way of others: whatever one of them needs is made by who has begun it. */
export function createTurns({ receiver, emit }: Pick<FetchOptions, 'receiver' | 'emit'>, signal: AbortSignal) {
  const turns = new Map<string, Turn>();
  const stopping = new AbortController();
  const watch = AbortSignal.any([signal, stopping.signal]);
  const end = async (path: string): Promise<void> => {
    await turns.get(path)?.end();
    turns.delete(path);
  };
  return {
    /** Waits until nobody else makes it. */
    async take({ info }: FoundPath): Promise<void> {
      if (!receiver.takeTurn || !isWorthKeeping(info)) return;
      const { path } = info;
      const onWait = (processId: number): void => {
        const message = `waiting: process ${processId} pulls \`${path}\`, too`;
        emit({ type: 'warning', about: { path }, message });
      };
      const turn = await receiver.takeTurn(info, { onWait, signal: watch });
      turns.set(path, turn);
      // Whoever has ended without it has left what it had.
      if (turn.hasWaited) receiver.leftTrees?.lookAgain();
    },
    /** Fetches a path whose turn it is, unless another process has registered it meanwhile. */
    async fetch(found: FoundPath, options: FetchOptions): Promise<Fetched> {
      const { info } = found;
      const { path, narSize } = info;
      if (!turns.get(path)?.isThere) return fetchPath(found, options);
      await receiver.leftTrees?.remove(info);
      emit({ type: 'path-started', path, narSize });
      emit({ type: 'progress', bytes: narSize });
      return { info: registeredInfo(info), placed: true, fileSize: 0 };
    },
    /** It is registered, or will not be. */
    end,
    /** Waits no longer. */
    stop: (reason: unknown) => stopping.abort(reason),
    async endAll(): Promise<void> {
      for (const path of [...turns.keys()]) await end(path);
    },
  };
}
