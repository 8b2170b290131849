/** Reads a short answer of HTTP/1.1 from the bytes of a connection, strictly: what is unusual is somebody else's. */

import { ownMemory } from '../../buffers.js';
import type { ResponseHeaders } from '../transport.js';

/** The status and headers of an answer, and what of its body has come. */
export interface ShortAnswer {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** In memory of its own when it is whole, so that it can be moved to a thread. */
  readonly body: Uint8Array;
  readonly isWhole: boolean;
  /** Whether another request may be sent on the connection. */
  readonly isKept: boolean;
}

/**
 * `more` bytes are needed; the answer is `whole`; or it is none that is read here: because it is `long`, or `unsupported`, having no
 * length, being of another protocol, or not as RFC 9112 has it.
 */
export type Reading = 'more' | 'whole' | 'long' | 'unsupported';

export interface AnswerReader {
  /** Takes the next bytes, which are valid during the call only. */
  take(bytes: Uint8Array): Reading;
  /** What has come; `undefined` before the head is whole. */
  answer(): ShortAnswer | undefined;
}

/** Bytes of a head at most, as Node's client has it. */
const HEAD_LIMIT = 16 * 1024;
/** Bytes of a body at most: of a small NAR, and some more. */
const SHORT_BODY = 640 * 1024;
/** The same of a chunked one, with what is around its chunks. */
const CHUNKED_BODY = 64 * 1024;

const END_OF_HEAD = Buffer.from('\r\n\r\n');
/** A status line and field lines (RFC 9112, sections 4 and 5): no white space before a colon, no control characters in a value. */
const HEAD =
  /^HTTP\/1\.1 [2-5][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/;
const PROTOCOL = 'HTTP/1.1 ';
/** Headers of which Node keeps the first; others are lists. */
const SINGLE = new Set(['etag', 'last-modified', 'location', 'date', 'retry-after', 'server', 'content-type', 'age']);
/** Headers that say where the body ends, or which bytes it has: with two of them, two readers may read two answers. */
const ONLY_ONCE = new Set(['content-length', 'transfer-encoding', 'content-range']);

/** Reads the answer to one request of this method. It never throws, and holds no more than the limits of this module. */
export function createAnswerReader(method: string): AnswerReader {
  let begun: Buffer | undefined;
  let head: Head | undefined;
  let body: Body | undefined;

  const takeHead = (bytes: Uint8Array): Reading => {
    const all = begun ? Buffer.concat([begun, bytes]) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = all.indexOf(END_OF_HEAD);
    if (end < 0) {
      begun = begun ? all : Buffer.from(all);
      return all.length > HEAD_LIMIT || !mayBecomeHead(all.toString('latin1')) ? 'unsupported' : 'more';
    }
    if (end > HEAD_LIMIT) return 'unsupported';
    head = parseHead(all.toString('latin1', 0, end));
    const found = head ? bodyOf(head, method) : 'unsupported';
    if (typeof found === 'string') return found;
    body = found;
    return body.take(all.subarray(end + END_OF_HEAD.length));
  };
  return {
    take: (bytes) => (body ? body.take(bytes) : takeHead(bytes)),
    answer: () => {
      if (!head || !body) return undefined;
      const { status, headers } = head;
      return { status, headers, body: body.bytes(), isWhole: body.isWhole(), isKept: body.isWhole() && isKept(head) };
    },
  };
}

/** Whether a head may begin so. What is no HTTP at all may never send the end of one. */
function mayBecomeHead(text: string): boolean {
  const isBegun = text.length < PROTOCOL.length ? PROTOCOL.startsWith(text) : text.startsWith(PROTOCOL);
  return isBegun && !/[^\r]\n/.test(text);
}

interface Head {
  readonly status: number;
  readonly headers: Record<string, string>;
}

function parseHead(text: string): Head | undefined {
  if (!HEAD.test(text)) return undefined;
  const headers: Record<string, string> = Object.create(null);
  for (let at = text.indexOf('\r\n') + 2; at > 1; ) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r\n', colon);
    const name = text.slice(at, colon).toLowerCase();
    const value = (end < 0 ? text.slice(colon + 1) : text.slice(colon + 1, end)).trim();
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (ONLY_ONCE.has(name)) return undefined;
    else if (!SINGLE.has(name)) headers[name] = `${before}, ${value}`;
    at = end + 2;
  }
  return { status: Number(text.slice(PROTOCOL.length, PROTOCOL.length + 3)), headers };
}

function isKept({ headers }: Head): boolean {
  return headers.connection === undefined || /^keep-alive$/i.test(headers.connection);
}

/** A body that is being read. */
interface Body {
  take(bytes: Uint8Array): Reading;
  bytes(): Uint8Array;
  isWhole(): boolean;
}

function bodyOf({ status, headers }: Head, method: string): Body | 'long' | 'unsupported' {
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined && length !== undefined) return 'unsupported';
  if (method === 'HEAD' || status === 204 || status === 304) return sizedBody(0);
  if (coding !== undefined) return /^chunked$/i.test(coding) ? chunkedBody() : 'unsupported';
  if (length === undefined || !/^[0-9]{1,15}$/.test(length)) return 'unsupported';
  return Number(length) > SHORT_BODY ? 'long' : sizedBody(Number(length));
}

function sizedBody(size: number): Body {
  const pieces = createPieces();
  return {
    take(bytes) {
      // Who sends more than an answer is out of step, and what comes next on the connection is not to be believed.
      if (bytes.length > size - pieces.size()) return 'unsupported';
      pieces.add(bytes);
      return pieces.size() === size ? 'whole' : 'more';
    },
    bytes: pieces.joined,
    isWhole: () => pieces.size() === size,
  };
}

const CHUNK_SIZE = /^([0-9a-fA-F]{1,6})[\t ]*(?:;[\t\x20-\x7e]*)?$/;
const CHUNK_LINE = 1024;

/** A chunked body (RFC 9112, section 7.1). Trailers, which are rare, are not read. */
function chunkedBody(): Body {
  const pieces = createPieces();
  let raw = 0;
  /** What has come of the line that says how long a chunk is, or of what ends a chunk. */
  let line = '';
  /** Bytes of the chunk that are to come; -1 at such a line, 0 behind a chunk. */
  let left = -1;
  let isLast = false;
  let state: Reading = 'more';

  const takeLine = (): Reading => {
    const size = CHUNK_SIZE.exec(line)?.[1];
    if (left === 0 ? line !== '' : size === undefined) return 'unsupported';
    if (left === 0 && isLast) return 'whole';
    isLast = left < 0 && Number.parseInt(size!, 16) === 0;
    left = left === 0 ? -1 : Number.parseInt(size!, 16);
    line = '';
    return 'more';
  };
  const takeAll = (bytes: Uint8Array): Reading => {
    for (let at = 0; at < bytes.length; ) {
      if (left > 0) {
        const piece = bytes.subarray(at, at + left);
        pieces.add(piece);
        left -= piece.length;
        at += piece.length;
        continue;
      }
      line += String.fromCharCode(bytes[at++]!);
      if (line.length > CHUNK_LINE) return 'unsupported';
      if (!line.endsWith('\r\n')) continue;
      line = line.slice(0, -2);
      const reading = takeLine();
      if (reading === 'whole' && at < bytes.length) return 'unsupported';
      if (reading !== 'more') return reading;
    }
    return 'more';
  };
  return {
    take(bytes) {
      raw += bytes.length;
      state = raw > CHUNKED_BODY ? 'long' : takeAll(bytes);
      return state;
    },
    bytes: pieces.joined,
    isWhole: () => state === 'whole',
  };
}

/** Copies of pieces: memory is taken as they come, whatever length was told. */
function createPieces() {
  const pieces: Uint8Array[] = [];
  let size = 0;
  return {
    size: () => size,
    add(bytes: Uint8Array): void {
      if (bytes.length === 0) return;
      pieces.push(new Uint8Array(bytes));
      size += bytes.length;
    },
    /** All of them, in memory of its own. */
    joined: (): Uint8Array => (pieces.length === 1 ? pieces[0]! : ownMemory(Buffer.concat(pieces))),
  };
}
