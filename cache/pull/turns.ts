/** Large paths that other processes make just now: they are waited for, and not fetched twice. */

import { registeredInfo } from '../../lib/nix/registered.js';
import type { Turn } from '../../lib/store/own/lock/making.js';
import type { FoundPath } from '../find-path.js';
import { type Fetched, type FetchOptions, fetchPath } from './fetch.js';
import { isWorthKeeping } from './kept.js';

/**
 * Whose turn it is to make the paths of a pull. Nobody waits in a circle: a turn is had from when a path is begun until it is registered,
 * and who has begun one waits only for paths that it refers to.
 */
export function createTurns({ receiver, emit }: Pick<FetchOptions, 'receiver' | 'emit'>, signal: AbortSignal) {
  const { makers } = receiver;
  const turns = new Map<string, Turn>();
  const told = new Set<string>();
  const stopping = new AbortController();
  const watch = AbortSignal.any([signal, stopping.signal]);
  const end = async (path: string): Promise<void> => {
    await turns.get(path)?.end();
    turns.delete(path);
  };
  return {
    /** Whether a path is made by one process at a time. */
    has: ({ info }: FoundPath): boolean => makers !== undefined && isWorthKeeping(info),
    /** Whether it is our turn to make it. */
    async take({ info }: FoundPath): Promise<boolean> {
      watch.throwIfAborted();
      const turn = await makers!.tryTurn(info);
      if (turn) turns.set(info.path, turn);
      return turn !== undefined;
    },
    /** Waits while another process makes it; false where it is better made here as well. */
    async wait({ info }: FoundPath): Promise<boolean> {
      const { path } = info;
      const onWait = (processId: number): void => {
        if (told.has(path)) return;
        told.add(path);
        const message = `waiting: process ${processId} pulls \`${path}\`, too`;
        emit({ type: 'warning', about: { path }, message });
      };
      const hasEnded = await makers!.wait(info, { onWait, signal: watch });
      // Whoever has ended without it has left what it had.
      if (hasEnded) receiver.leftTrees?.lookAgain();
      else emit({ type: 'warning', about: { path }, message: `waits no longer, and pulls \`${path}\` itself` });
      return hasEnded;
    },
    /** Fetches a path whose turn it is, unless another process has registered it meanwhile. */
    async fetch(found: FoundPath, options: FetchOptions): Promise<Fetched> {
      const { info } = found;
      const { path, narSize } = info;
      if (!turns.get(path)?.isMade) {
        return await fetchPath(found, options).catch(async (error: unknown) => {
          await end(path);
          throw error;
        });
      }
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

export type Turns = ReturnType<typeof createTurns>;
