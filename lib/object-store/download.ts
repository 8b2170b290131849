/** Downloads: a body that breaks off is gone on with by Range, a range is cut out, encodings are taken off, and small objects are checked. */

import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Pieces, piecesIn, type Room } from '../buffers.js';
import { CarportError } from '../errors.js';
import { explainNetworkError, isTransientError } from '../http/failure.js';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.js';
import { decoded, encodingsOf } from './content-encoding.js';
import { type ByteRange, checkRange, collectSmall, type StoredObject } from './object-store.js';

/** Times that a body may break off without a byte more than before. */
const BARREN_TRIES = 6;
const PAUSE_MS = 200;

/** A download: what is stored, and, as it is sent, with the ETag of that. */
export interface Download extends StoredObject {
  readonly etag: string | undefined;
  /** How `sent` is encoded, in the order in which it was done. */
  readonly encodings: readonly string[];
  /** In place of `bytes`. */
  sent(): Pieces;
  /** In place of both: all that is sent, where it is here already. */
  readonly whole: Uint8Array | undefined;
}

/** A good answer to a GET, and what is needed to ask for the rest of it. */
export interface Answered {
  readonly response: HttpResponse;
  readonly request: HttpRequest;
  readonly send: Transport;
  /** What was asked for; all of the object without it. */
  readonly range?: ByteRange | undefined;
}

/** Bytes of a range that is read at once. */
const SHORT_RANGE = 512 * 1024;

/** Whether the answer to a request for a range is short. */
export function isShortRange(range: ByteRange | undefined): boolean {
  return range !== undefined && range.length <= SHORT_RANGE;
}

/** The header that asks for a range, or nothing. */
export function rangeHeader(range: ByteRange | undefined): { readonly range?: string } {
  if (range === undefined) return {};
  const { offset, length } = checkRange(range);
  return { range: `bytes=${offset}-${offset + length - 1}` };
}

/**
 * The object, or the range of it, that a good answer brings; status 416 is that of a range which begins where the object has
 * ended. A server that does no ranges sends all: what lies before is skipped, and nothing is read of what lies behind.
 */
export function downloadOf(answered: Answered): Download {
  const { response, request, range } = answered;
  const encodings = encodingsOf(response.headers);
  const extent = extentOf(answered);
  const name = request.url.pathname;
  if (encodings.length > 0 && range !== undefined) {
    response.discard();
    throw new CarportError('E_UNSUPPORTED', `a part of \`${name}\`, which is encoded, cannot be read`, {
      cause: new Error(`its Content-Encoding is \`${encodings.join(', ')}\``),
    });
  }
  const reading: Reading = { response, isLeft: false };
  const sent = () =>
    Object.assign(resumed(answered, extent, reading), {
      into: (room: Room) => resumed(answered, extent, reading, room),
    });
  return {
    size: extent.isExact && encodings.length === 0 ? extent.end - extent.start : Number.NaN,
    ...{ etag: response.headers.etag, encodings, sent, whole: wholeOf(answered, extent) },
    isWhole: range !== undefined && response.status === 200 && !isPartial(response),
    bytes: () => (encodings.length === 0 ? sent() : decoded(sent(), encodings, name)),
    discard() {
      reading.isLeft = true;
      reading.response.discard();
    },
  };
}

/** All of a short object; a part of one is cut out as it is read. */
function wholeOf({ response, range }: Answered, { isExact }: Extent): Uint8Array | undefined {
  return isExact && range === undefined && response.status === 200 && !isPartial(response) ? response.whole : undefined;
}

/** What is read just now, and whether nobody wants it any more. */
interface Reading {
  response: HttpResponse;
  isLeft: boolean;
}

/** Which bytes of an object are wanted. */
interface Extent {
  readonly start: number;
  /** Behind the last one; if it is not exact, the object may end before. */
  readonly end: number;
  readonly isExact: boolean;
  /** The size of the object; `undefined` where the server does not tell. */
  readonly total: number | undefined;
}

function extentOf({ response, request, range }: Answered): Extent {
  const { offset: start, length } = range ?? { offset: 0, length: Number.POSITIVE_INFINITY };
  if (response.status === 416) return { start, end: start, isExact: true, total: undefined };
  const isPart = range !== undefined && isPartial(response);
  const part = isPart ? parseContentRange(response) : undefined;
  if (isPart && part?.first !== start) {
    response.discard();
    throw new CarportError('E_REMOTE', `\`${request.url.host}\` answers with another range than it was asked for`, {
      cause: new Error(`GET ${request.url.pathname}: ${response.headers['content-range'] ?? 'no Content-Range'}`),
    });
  }
  const told = response.headers['content-length'];
  const total = part ? part.total : told === undefined ? undefined : Number(told);
  const last = part && total === undefined ? part.last + 1 : total;
  const end = Math.min(start + length, last ?? Number.POSITIVE_INFINITY);
  return { start, end: Math.max(start, end), isExact: last !== undefined, total };
}

interface ContentRange {
  readonly first: number;
  readonly last: number;
  readonly total: number | undefined;
}

/** Whether it brings a part of the object. rclone says so in the header only: its status is 200. */
export function isPartial(response: HttpResponse): boolean {
  return response.status === 206 || (response.status === 200 && parseContentRange(response) !== undefined);
}

/** What a `Content-Range` tells. */
export function parseContentRange({ headers }: HttpResponse): ContentRange | undefined {
  const found = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/.exec(headers['content-range'] ?? '');
  if (!found) return undefined;
  const [, first, last, total] = found;
  return { first: Number(first), last: Number(last), total: total === '*' ? undefined : Number(total) };
}

/** Reads of an object whose bytes are not what its ETag says. */
const READS = 3;

/**
 * A small object whole. What was damaged on the way is read again: an ETag that looks like an MD5 mostly is the
 * content's, as it is sent. Where it is not (encrypted objects, some web servers), two equal reads in a row are taken for the
 * content.
 */
export async function readWhole(
  open: () => Promise<Download | undefined>,
  limit: number,
  key: string,
): Promise<Buffer | undefined> {
  let last: Buffer | undefined;
  for (let reads = 1; ; reads++) {
    const object = await open();
    if (object === undefined) return undefined;
    const bytes = await bytesOf(object, limit, key);
    if (!contradicts(bytes, object.etag) || last?.equals(bytes) || reads === READS) {
      const { encodings } = object;
      return encodings.length === 0 ? bytes : collectSmall(decoded(onePiece(bytes), encodings, key), limit, key);
    }
    last = bytes;
  }
}

function bytesOf({ whole, sent }: Download, limit: number, key: string): Buffer | Promise<Buffer> {
  if (whole === undefined || whole.length > limit) return collectSmall(sent(), limit, key);
  return Buffer.from(whole.buffer, whole.byteOffset, whole.length);
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function contradicts(bytes: Uint8Array, etag = ''): boolean {
  const md5 = /^"([0-9a-f]{32})"$/.exec(etag)?.[1];
  return md5 !== undefined && hash('md5', bytes, 'hex') !== md5;
}

async function* resumed(
  answered: Answered,
  { start, end, isExact, total }: Extent,
  reading: Reading,
  room?: Room,
): AsyncGenerator<Uint8Array> {
  const { request, send, range } = answered;
  let { response } = answered;
  if (isExact && start === end && range !== undefined) return response.discard();
  const { etag } = response.headers;
  let skip = isPartial(response) ? 0 : start;
  let offset = start;
  for (let barren = 0; ; ) {
    try {
      for await (const piece of piecesIn(response.body, room)) {
        // A server that cannot do ranges goes on behind the end.
        if (offset === end && range !== undefined) return;
        const from = Math.min(skip, piece.length);
        skip -= from;
        const wanted = piece.subarray(from, Math.min(piece.length, from + end - offset));
        if (wanted.length === 0) continue;
        offset += wanted.length;
        barren = 0;
        yield wanted;
      }
      if (!isExact || offset === end) return;
      // A server may send less of a range than it was asked for.
      throw Object.assign(new Error('the answer ends early'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    } catch (error) {
      if (reading.isLeft) throw new CarportError('E_INTERRUPTED', `\`${request.url.pathname}\` is not wanted any more`);
      if (!isTransientError(error) || ++barren > BARREN_TRIES) throw explainNetworkError(error, request.url);
    }
    if (offset === end) return;
    await sleep(Math.random() * PAUSE_MS * barren);
    const rest = range ? `bytes=${offset}-${end - 1}` : `bytes=${offset}-`;
    response = await send({ ...request, headers: { ...request.headers, range: rest } });
    reading.response = response;
    if (reading.isLeft) response.discard();
    if (response.status === 416 && total !== undefined && (response.headers.etag ?? etag) === etag) {
      response.discard();
      throw shorterThanSaid(request.url, { total, size: offset });
    }
    const isPart = isPartFrom(response, offset, total);
    if (response.headers.etag !== etag || !(isPart || isWhole(response, total))) {
      response.discard();
      throw new CarportError('E_INTEGRITY', `\`${request.url.pathname}\` changed while it was read`, {
        hint: 'run it again',
      });
    }
    skip = isPart ? 0 : offset;
  }
}

/** The length that a server, or a proxy's cache, says is not that of what it has. */
function shorterThanSaid(
  { host, pathname }: URL,
  { total, size }: { readonly total: number; readonly size: number },
): CarportError {
  return new CarportError('E_INTEGRITY', `\`${host}\` sends less of \`${pathname}\` than it says`, {
    cause: new Error(`it says that the file has ${total} bytes, and that nothing comes behind the first ${size}`),
    hint: 'the file was replaced while it was read, or is damaged on the server or in a proxy before it: run it again, and if this stays, look there',
  });
}

function isPartFrom(response: HttpResponse, offset: number, total: number | undefined): boolean {
  const part = isPartial(response) ? parseContentRange(response) : undefined;
  return part?.first === offset && (total === undefined || part.total === total);
}

/** The answer of a server that cannot do ranges: all of it again. */
function isWhole(response: HttpResponse, total: number | undefined): boolean {
  const told = response.headers['content-length'];
  return response.status === 200 && !isPartial(response) && (told === undefined ? undefined : Number(told)) === total;
}
