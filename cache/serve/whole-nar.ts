/** The plain NAR of a path from whatever cache gives it whole: where one fails in the middle, the next goes on. */

import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { CarportError } from '../../lib/errors.js';
import { type Hash, hashesEqual } from '../../lib/nix/hash.js';
import type { NarPiece, NarProgress } from '../../lib/workers/jobs.js';
import type { FoundPath } from '../find-path.js';
import { isRefusedForGood, refusedNar } from '../refused-nar.js';
import type { NarShortcut } from './by-delta.js';
import type { PlainNarReader } from './plain-nar.js';

export interface WholeNarOptions {
  /** What is promised of it. */
  readonly narHash: Hash;
  readonly narSize: number;
  /** Caches that promise it. */
  readonly candidates: AsyncIterable<FoundPath>;
  readonly read: PlainNarReader;
  /** Tried once before. */
  readonly shortcut?: NarShortcut | undefined;
  /** Told of a cache that could not give it. */
  onFailure(from: FoundPath, error: CarportError): void;
  /** Told of the one that has given its end. */
  onWhole(from: FoundPath): void;
  readonly signal: AbortSignal;
}

export const AT_BEGINNING: NarProgress = { size: 0, digest: new Uint8Array() };

/**
 * Pieces from where `progress` ends. The last one comes when all bytes have the hash and size that were promised, whoever gave
 * them; a cache whose first bytes are others than those that were given already cannot go on with them. Throws the last failure.
 */
export async function* readWholeNar(options: WholeNarOptions, progress = AT_BEGINNING): AsyncGenerator<NarPiece> {
  const { candidates, onFailure, onWhole, signal } = options;
  let after = progress;
  let failure: CarportError | undefined;
  for await (const found of candidates) {
    const refusals: NarRefusal[] = [];
    for (const { read, isShortcut } of await waysTo(found, options)) {
      try {
        for await (const piece of continued(read(found, signal, after.size > 0 ? after : undefined), after, options)) {
          after = piece.after;
          const isWhole = after.size === options.narSize;
          // Whoever has the last byte may be gone before this goes on.
          if (isWhole) onWhole(found);
          yield piece;
          if (isWhole) return;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
        // A server that does not answer would not give the whole of it either.
        if (isShortcut && error.code !== 'E_UNAVAILABLE') continue;
        if (error instanceof NarRefusal) refusals.push(error);
        failure = refusals.length > 0 ? refusedNar(found.info, found.objects, refusals) : error;
        const mayDiffer =
          error instanceof NarRefusal ? !isRefusedForGood(found.objects, refusals) : error.code === 'E_INTEGRITY';
        if (!mayDiffer) break;
      }
    }
    if (failure) onFailure(found, failure);
  }
  throw failure ?? new CarportError('E_NOT_FOUND', 'no cache has the NAR');
}

interface Way {
  readonly read: PlainNarReader;
  readonly isShortcut: boolean;
}

/** How the NAR is had from one cache: as a whole as often as the store may give other bytes the next time. */
async function waysTo(
  found: FoundPath,
  { read, shortcut }: Pick<WholeNarOptions, 'read' | 'shortcut'>,
): Promise<readonly Way[]> {
  const short = await shortcut?.(found);
  const whole = Array<Way>(found.objects.traits.maxReads).fill({ read, isShortcut: false });
  return short ? [{ read: short, isShortcut: true }, ...whole] : whole;
}

/** What one cache gives behind the bytes that are there. Whoever has read it has hashed it. */
async function* continued(
  nar: AsyncIterable<NarPiece>,
  progress: NarProgress,
  { narSize, narHash }: Pick<WholeNarOptions, 'narSize' | 'narHash'>,
): AsyncGenerator<NarPiece> {
  let { size } = progress;
  for await (const piece of nar) {
    size += piece.bytes.length;
    if (size > narSize) throw new CarportError('E_INTEGRITY', 'the NAR is larger than was promised');
    if (size === narSize && !hashesEqual({ algorithm: 'sha256', digest: piece.after.digest }, narHash))
      throw new CarportError('E_INTEGRITY', 'the NAR is another than was promised');
    yield piece;
  }
  if (size !== narSize) throw new CarportError('E_INTEGRITY', 'the NAR is smaller than was promised');
}
