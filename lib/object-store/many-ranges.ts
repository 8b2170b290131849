/** Several ranges of an object in one answer: `multipart/byteranges` (RFC 9110, 14.6), which some web servers send. */

import { formatError } from '../errors.js';
import { explainNetworkError } from '../http/failure.js';
import type { HttpResponse } from '../http/transport.js';
import { encodingsOf } from './content-encoding.js';
import { type ByteRange, checkRange } from './object-store.js';

/** A range that is asked for; without a length all from there on. */
export type AskedRange = Pick<ByteRange, 'offset'> & Partial<ByteRange>;

/** Bytes before a part: a line that begins it, and its headers. */
const MOST_HEAD = 4096;

/** The header that asks for ranges, which follow each other. */
export function manyRangesHeader(ranges: readonly ByteRange[]): { readonly range: string } {
  const parts = ranges.map(checkRange).map(({ offset, length }) => `${offset}-${offset + length - 1}`);
  return { range: `bytes=${parts.join(',')}` };
}

/** What begins each part of such an answer; `undefined` of one that is none: most servers send all of the object, or one range. */
export function boundaryOf({ status, headers }: HttpResponse): string | undefined {
  if (status !== 206 || encodingsOf(headers).length > 0) return undefined;
  const type = /^multipart\/byteranges;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))\s*$/i;
  const found = type.exec(headers['content-type'] ?? '');
  return found ? (found[1] ?? found[2]) : undefined;
}

/**
 * The bytes of these ranges, one after another, of an untrusted answer. What has other ranges, another order, or an early end is an `E_FORMAT`
 * when all that was right is given.
 */
export async function* bytesOfParts(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  ranges: readonly AskedRange[],
  url: URL,
): AsyncGenerator<Uint8Array> {
  try {
    yield* partsIn(body, boundary, ranges);
  } catch (error) {
    throw explainNetworkError(error, url);
  }
}

async function* partsIn(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  ranges: readonly AskedRange[],
): AsyncGenerator<Uint8Array> {
  const heads = createHeads(boundary);
  let next = 0;
  let missing = 0;
  let behind = 0;
  const isWhole = () => missing === 0 && next === ranges.length;
  for await (const piece of body) {
    let at = 0;
    while (at < piece.length && !isWhole()) {
      if (missing === 0) {
        const end = heads.read(piece.subarray(at), ranges[next]!);
        at += end.used;
        if (end.length !== undefined) {
          missing = end.length;
          next++;
        }
        continue;
      }
      const bytes = piece.subarray(at, at + missing);
      at += bytes.length;
      missing -= bytes.length;
      yield bytes;
    }
    // What follows the last part says that it was, and no more: who sends on is not read on.
    behind += piece.length - at;
    if (behind > MOST_HEAD) return;
  }
  if (!isWhole()) throw wrong('it ends early');
}

/** What stands before parts, in whatever pieces it comes. */
function createHeads(boundary: string) {
  let head = '';
  return {
    /** Reads on in the head of this range: how many bytes are of it, and, when that is all of it, how long the part is. */
    read(bytes: Uint8Array, range: AskedRange): { readonly used: number; readonly length?: number } {
      const before = head.length;
      head += Buffer.from(bytes.subarray(0, MOST_HEAD)).toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) {
        if (head.length > MOST_HEAD) throw wrong('a part has too much before it');
        return { used: head.length - before };
      }
      const length = lengthOfPart(head.slice(0, end), boundary, range);
      head = '';
      return { used: end + 4 - before, length };
    },
  };
}

function lengthOfPart(head: string, boundary: string, { offset, length }: AskedRange): number {
  const [first, ...headers] = head.replace(/^\r\n/, '').split('\r\n');
  if (first !== `--${boundary}`) throw wrong('a part does not begin where it should');
  const told = headers.flatMap((line) => /^content-range:\s*bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)/i.exec(line) ?? []);
  const [, from, last, total] = told.map(Number);
  const end = length === undefined ? total : offset + length;
  const isAsked = told.length === 4 && from === offset && last! + 1 === end && end > offset;
  if (!isAsked) throw wrong('a part is not the range that was asked for');
  return end - offset;
}

function wrong(why: string) {
  return formatError('an answer of several ranges', why);
}
