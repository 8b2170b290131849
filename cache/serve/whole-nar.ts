/** The plain NAR of a path from whatever cache gives it whole: where one fails in the middle, the next goes on. */

import { createHash, type Hash as Hasher } from 'node:crypto';
import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { CarportError } from '../../lib/errors.js';
import { type Hash, hashesEqual } from '../../lib/nix/hash.js';
import type { FoundPath } from '../find-path.js';
import { refusedNar } from '../refused-nar.js';
import type { NarShortcut } from './by-delta.js';
import type { PlainNarReader } from './plain-nar.js';

/** How far a NAR has come: its first bytes, and what they were. */
export interface NarProgress {
  readonly size: number;
  /** Of these bytes; it is copied before it is used. */
  readonly hasher: Hasher;
}

/** A piece, and how far the NAR has come with it. */
export interface NarPiece {
  readonly bytes: Uint8Array;
  readonly after: NarProgress;
}

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

export const AT_BEGINNING: NarProgress = { size: 0, hasher: createHash('sha256') };

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
        for await (const piece of continued(read(found, signal), after, options)) {
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
        const mayDiffer = error instanceof NarRefusal ? error.found !== 'as told' : error.code === 'E_INTEGRITY';
        if (!mayDiffer || error.code === 'E_UNSUPPORTED') break;
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

/** What one cache gives behind the bytes that are there. */
async function* continued(
  nar: AsyncIterable<Uint8Array>,
  progress: NarProgress,
  { narSize, narHash }: Pick<WholeNarOptions, 'narSize' | 'narHash'>,
): AsyncGenerator<NarPiece> {
  let { size, hasher } = progress;
  const skipped = createSkip(progress);
  for await (const piece of nar) {
    const bytes = skipped(piece);
    if (bytes.length === 0) continue;
    hasher = hasher.copy().update(bytes);
    size += bytes.length;
    if (size > narSize) throw new CarportError('E_INTEGRITY', 'the NAR is larger than was promised');
    const isWhole = size === narSize;
    if (isWhole && !hashesEqual({ algorithm: 'sha256', digest: hasher.copy().digest() }, narHash))
      throw new CarportError('E_INTEGRITY', 'the NAR is another than was promised');
    yield { bytes, after: { size, hasher } };
  }
  if (size !== narSize) throw new CarportError('E_INTEGRITY', 'the NAR is smaller than was promised');
}

/** Takes off the first bytes of a NAR, which must be those that were given before. */
function createSkip({ size, hasher }: NarProgress): (piece: Uint8Array) => Uint8Array {
  const again = createHash('sha256');
  let left = size;
  return (piece) => {
    if (left === 0) return piece;
    const known = piece.subarray(0, left);
    again.update(known);
    left -= known.length;
    if (left === 0 && !again.digest().equals(hasher.copy().digest()))
      throw new CarportError('E_INTEGRITY', 'the NAR begins with other bytes than another cache has given');
    return piece.subarray(known.length);
  };
}
