/** Whether a web server sends several ranges in one answer: a small object tells that is wanted in any case, and asked for in two. */

import { CarportError } from '../errors.js';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.js';
import { type Download, downloadOf, isPartial, parseContentRange } from './download.js';
import { type AskedRange, boundaryOf, bytesOfParts } from './many-ranges.js';
import { collectSmall } from './object-store.js';

/** All of an object, in two. A server that sends one range only mostly answers with all of it (200), too. */
const IN_TWO: readonly AskedRange[] = [{ offset: 0, length: 1 }, { offset: 1 }];
const HEADER = { range: 'bytes=0-0,1-' } as const;

/** Asks for an object with more headers, follows redirects, and throws what is wrong with the answer. */
type Ask = (
  headers: Readonly<Record<string, string>>,
) => Promise<{ readonly asked: HttpRequest; readonly response: HttpResponse; readonly isThere: boolean }>;

export interface SmallObject {
  readonly limit: number;
  readonly key: string;
  readonly send: Transport;
  ask: Ask;
  /** Asks for all of it, as ever. */
  plain(): Promise<Download | undefined>;
}

/** What is found out of one server. */
export interface RangesQuestion {
  /** Lets the next object tell. */
  put(): void;
  /** Whether the next object is to tell. */
  isOpen(): boolean;
  /** Whether it is known to send several ranges in an answer. */
  sendsMany(): boolean;
  /** A small object that tells; `undefined` where there is none, `again` where what came is not all of it. */
  open(object: SmallObject): Promise<Download | undefined | 'again'>;
}

/** Nothing is known, and nothing is to be found out yet. */
export function createRangesQuestion(): RangesQuestion {
  let isOpen = false;
  let sendsMany = false;
  // Whether what is not there in two ranges is not there at all.
  let isMissingSure = false;
  return {
    put() {
      isOpen = true;
    },
    isOpen: () => isOpen,
    sendsMany: () => sendsMany,
    async open(object) {
      isOpen = false;
      try {
        const { asked, response, isThere } = await object.ask(HEADER);
        if (!isThere) {
          // What stands before a server may say so of each request that it does not like.
          const download = isMissingSure ? undefined : await object.plain();
          isMissingSure = download === undefined;
          isOpen = isMissingSure;
          return download;
        }
        const told = await toldBy(asked, response, object);
        sendsMany = told.sendsMany;
        return told.download ?? 'again';
      } catch (error) {
        // Servers and what stands before them may refuse such a request in any way.
        if (error instanceof CarportError && error.code !== 'E_INTERRUPTED') return 'again';
        throw error;
      }
    },
  };
}

interface Told {
  readonly sendsMany: boolean;
  /** The object, where all of it has come. */
  readonly download?: Download;
}

async function toldBy(asked: HttpRequest, response: HttpResponse, { send, limit, key }: SmallObject): Promise<Told> {
  const { range: _, ...headers } = asked.headers;
  const request = { ...asked, headers, isTrial: false };
  const boundary = boundaryOf(response);
  if (boundary !== undefined) {
    const bytes = await collectSmall(bytesOfParts(response.body, boundary, IN_TWO, asked.url), limit, key);
    return { sendsMany: true, download: downloadOfBytes(bytes, response.headers.etag) };
  }
  if (response.status === 200 && !isPartial(response)) {
    return { sendsMany: false, download: downloadOf({ response, request, send }) };
  }
  const part = response.status === 206 ? parseContentRange(response) : undefined;
  // Who has made one of two neighbours, as Apache does, has read both.
  if (part?.first === 0 && part.total !== undefined && part.last === part.total - 1 && part.total > 1) {
    const range = { offset: 0, length: part.total };
    return { sendsMany: true, download: downloadOf({ response, request, send, range }) };
  }
  response.discard();
  return { sendsMany: false };
}

/** What has come already. */
function downloadOfBytes(bytes: Buffer, etag: string | undefined): Download {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  return { size: bytes.length, etag, encodings: [], sent: pieces, bytes: pieces, whole: bytes, discard: () => {} };
}
