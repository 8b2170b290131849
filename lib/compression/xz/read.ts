/** Reads xz: large files with the program `xz`, where there is one, else with a library, and the same of both. */

import { CarportError } from '../../errors.js';
import { filterThrough, ProgramFailure } from '../../process/run.js';
import { peek } from '../peek.js';
import { decompressXzByLibrary } from './by-library.js';
import { createXzWalk, type XzWalk } from './walk.js';

type Pieces = AsyncIterator<Uint8Array>;

/** Bytes of a file from which a process is worth its start. */
const LARGE = 256 * 1024;

/** What the program surely makes of the first bytes, so that it has begun before it sees more. */
const SURELY_MADE = 128 * 1024;

/** A program that has not begun by then gets more all the same, in milliseconds: it may gather more than we know. */
const BEGIN_MS = 5000;

/** It takes 65 MiB for the largest dictionary that the library reads, and never more than this. */
const ARGUMENTS = ['--decompress', '--stdout', '--format=xz', '--threads=1', '--memlimit-decompress=128MiB'];

/** Options that a user's environment would add, and the language of what is said. */
const FILTER = { program: 'xz', arguments: ARGUMENTS, env: { XZ_OPT: undefined, XZ_DEFAULTS: undefined, LC_ALL: 'C' } };

/** Takes any number of streams, with zeros between them. Dictionaries of more than 64 MiB are refused. */
export async function* decompressXz(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { head, whole } = await peek(source, LARGE);
  const walk = createXzWalk();
  const isSmall = head.length < LARGE;
  if (!isSmall) walk.take(head);
  if (isSmall || walk.state() !== 'walking' || walk.made() < SURELY_MADE) return yield* decompressXzByLibrary(whole);
  const pieces = whole[Symbol.asyncIterator]();
  try {
    await pieces.next();
    yield* decompressLarge(head, pieces, walk);
  } finally {
    // Not awaited: the source may never answer.
    pieces.return?.().catch(() => undefined);
  }
}

/** Where the program has made nothing of the head, it is none, or the head is damaged: the library does it, or says why not. */
async function* decompressLarge(head: Uint8Array, rest: Pieces, walk: XzWalk): AsyncGenerator<Uint8Array> {
  const input = giveWhenBegun(head, rest, walk);
  let failure: ProgramFailure | undefined;
  try {
    for await (const bytes of filterThrough(FILTER, input.pieces())) {
      input.begin();
      yield bytes;
    }
  } catch (error) {
    if (!(error instanceof ProgramFailure)) throw error;
    failure = error;
  } finally {
    input.end();
  }
  if (!input.hasBegun()) return yield* decompressXzByLibrary(continued(head, rest));
  const state = walk.state();
  const isDamaged = failure !== undefined && /corrupt|not recognized/.test(failure.stderr);
  if (state !== 'walking' && state !== 'lost' && !isDamaged)
    throw new Error(`stopped with ${state}`, { cause: failure });
  if (failure === undefined) return;
  // One that somebody ended says nothing of the file.
  const isOfFile = isDamaged || /end of input|Unsupported options|usage limit|allocate/.test(failure.stderr);
  throw failure.reason === 'ended' && isOfFile
    ? failure
    : new CarportError('E_PROGRAM', '`xz` failed', { cause: failure });
}

/** The head, and the rest as soon as the program has made something of it. */
function giveWhenBegun(head: Uint8Array, rest: Pieces, walk: XzWalk) {
  let hasBegun = false;
  let decide = () => {};
  const decided = new Promise<void>((resolve) => {
    decide = resolve;
  });
  const begin = (): void => {
    hasBegun = true;
    decide();
  };
  return {
    async *pieces(): AsyncGenerator<Uint8Array> {
      yield head;
      const timer = setTimeout(begin, BEGIN_MS);
      await decided;
      clearTimeout(timer);
      if (!hasBegun) return;
      for (let { value, done } = await rest.next(); !done; { value, done } = await rest.next()) {
        const seen = walk.take(value);
        yield value.subarray(0, seen);
        if (seen < value.length) return;
      }
    },
    begin,
    /** Nobody waits for the program any more. */
    end: () => decide(),
    /** Whether more than the head was taken. */
    hasBegun: () => hasBegun,
  };
}

async function* continued(head: Uint8Array, rest: Pieces): AsyncGenerator<Uint8Array> {
  yield head;
  for (let { value, done } = await rest.next(); !done; { value, done } = await rest.next()) yield value;
}
