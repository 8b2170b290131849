/** Reads a short answer of HTTP/1.1 from the bytes of a connection, strictly: what is unusual is somebody else's. */

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
 * `more` bytes are needed; the answer is `whole`; or it is `odd`: none that is read here, because it is long, has no length, is of
 * another protocol, or is not as RFC 9112 has it.
 */
export type Reading = 'more' | 'whole' | 'odd';

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
const STATUS = 'HTTP/1.1 '.length;
/** Headers of which Node keeps the first; others are lists. */
const SINGLE = new Set(['etag', 'last-modified', 'location', 'date', 'retry-after', 'server', 'content-type', 'age']);
/** Headers that say how the body is sent: two of them, or both, are how answers are smuggled. */
const FRAMING = new Set(['content-length', 'transfer-encoding', 'content-range']);

export function createAnswerReader(method: string): AnswerReader {
  let begun: Buffer | undefined;
  let head: Head | undefined;
  let body: Body | undefined;

  const takeHead = (bytes: Uint8Array): Reading => {
    const all = begun ? Buffer.concat([begun, bytes]) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = all.indexOf(END_OF_HEAD);
    if (end < 0) {
      begun = begun ? all : Buffer.from(all);
      return all.length > HEAD_LIMIT ? 'odd' : 'more';
    }
    if (end > HEAD_LIMIT) return 'odd';
    head = parseHead(all.toString('latin1', 0, end));
    body = head && bodyOf(head, method);
    if (!body) return 'odd';
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
    else if (FRAMING.has(name)) return undefined;
    else if (!SINGLE.has(name)) headers[name] = `${before}, ${value}`;
    at = end + 2;
  }
  return { status: Number(text.slice(STATUS, STATUS + 3)), headers };
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

function bodyOf({ status, headers }: Head, method: string): Body | undefined {
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined && length !== undefined) return undefined;
  if (method === 'HEAD' || status === 204 || status === 304) return sizedBody(0);
  if (coding !== undefined) return /^chunked$/i.test(coding) ? chunkedBody() : undefined;
  if (length === undefined || !/^[0-9]{1,9}$/.test(length) || Number(length) > SHORT_BODY) return undefined;
  return sizedBody(Number(length));
}

function sizedBody(size: number): Body {
  const memory = Buffer.allocUnsafeSlow(size);
  let used = 0;
  return {
    take(bytes) {
      // Who sends more than an answer is out of step, and what comes next on the connection is not to be believed.
      if (bytes.length > size - used) return 'odd';
      memory.set(bytes, used);
      used += bytes.length;
      return used === size ? 'whole' : 'more';
    },
    bytes: () => memory.subarray(0, used),
    isWhole: () => used === size,
  };
}

const CHUNK_SIZE = /^([0-9a-fA-F]{1,6})[\t ]*(?:;[\t\x20-\x7e]*)?$/;

/** A chunked body (RFC 9112, section 7.1), read when there is enough of it: what is sent so is a page of a few lines. */
function chunkedBody(): Body {
  let raw: Buffer = Buffer.alloc(0);
  let decoded: { readonly bytes: Uint8Array; readonly state: Reading } = { bytes: raw, state: 'more' };
  return {
    take(bytes) {
      raw = Buffer.concat([raw, bytes]);
      decoded = decodeChunks(raw);
      return raw.length > CHUNKED_BODY ? 'odd' : decoded.state;
    },
    bytes: () => decoded.bytes,
    isWhole: () => decoded.state === 'whole',
  };
}

function decodeChunks(raw: Buffer): { readonly bytes: Uint8Array; readonly state: Reading } {
  const chunks: Uint8Array[] = [];
  const result = (state: Reading) => ({ bytes: Uint8Array.from(Buffer.concat(chunks)), state });
  for (let at = 0; ; ) {
    const end = raw.indexOf('\r\n', at);
    if (end < 0) return result(raw.length - at > 1024 ? 'odd' : 'more');
    const digits = CHUNK_SIZE.exec(raw.toString('latin1', at, end))?.[1];
    if (digits === undefined) return result('odd');
    const size = Number.parseInt(digits, 16);
    at = end + 2;
    if (size === 0) {
      // Trailers, which are rare, would come here.
      if (raw.length - at < 2) return result('more');
      return result(raw.length - at === 2 && raw.toString('latin1', at) === '\r\n' ? 'whole' : 'odd');
    }
    chunks.push(raw.subarray(at, Math.min(raw.length, at + size)));
    if (raw.length < at + size + 2) return result('more');
    if (raw.toString('latin1', at + size, at + size + 2) !== '\r\n') return result('odd');
    at += size + 2;
  }
}
