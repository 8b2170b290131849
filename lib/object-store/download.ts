/** A body that breaks off is gone on with by Range; small objects are checked. */

import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CarportError } from '../errors.js';
import { explainNetworkError, isTransientError } from '../http/failure.js';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.js';
import { collectSmall, type StoredObject } from './object-store.js';

/** Times that a body may break off without a byte more than before. */
const BARREN_TRIES = 6;
const PAUSE_MS = 200;

/** A download, and the ETag that came with it. */
export interface Download extends StoredObject {
  readonly etag: string | undefined;
}

/** The object that a good answer to a GET brings. A body that breaks off is gone on with by Range. */
export function downloadOf(response: HttpResponse, request: HttpRequest, send: Transport): Download {
  const size = Number(response.headers['content-length'] ?? Number.NaN);
  return { size, etag: response.headers.etag, bytes: () => resumed(response, request, send) };
}

/** Reads of an object whose bytes are not what its ETag says. */
const READS = 3;

/**
 * A small object whole. What was damaged on the way is read again: an ETag that looks like an MD5 mostly is the
 * content's. Where it is not (encrypted objects, some web servers), two equal reads in a row are taken for the content.
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
    const bytes = await collectSmall(object.bytes(), limit, key);
    if (!contradicts(bytes, object.etag) || last?.equals(bytes) || reads === READS) return bytes;
    last = bytes;
  }
}

function contradicts(bytes: Uint8Array, etag = ''): boolean {
  const md5 = /^"([0-9a-f]{32})"$/.exec(etag)?.[1];
  return md5 !== undefined && hash('md5', bytes, 'hex') !== md5;
}

async function* resumed(first: HttpResponse, request: HttpRequest, send: Transport): AsyncGenerator<Uint8Array> {
  const { etag } = first.headers;
  const total = first.headers['content-length'];
  let [response, offset, barren] = [first, 0, 0];
  for (let skip = 0; ; ) {
    try {
      for await (const piece of response.body) {
        const rest = piece.subarray(Math.min(skip, piece.length));
        skip -= piece.length - rest.length;
        if (rest.length === 0) continue;
        offset += rest.length;
        barren = 0;
        yield rest;
      }
      if (total === undefined || String(offset) === total) return;
      // A server may send less of a range than it was asked for.
      throw Object.assign(new Error('the answer ends early'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    } catch (error) {
      if (!isTransientError(error) || ++barren > BARREN_TRIES) throw explainNetworkError(error, request.url);
    }
    if (String(offset) === total) return;
    await sleep(Math.random() * PAUSE_MS * barren);
    // A server that cannot do ranges sends all of it again.
    response = await send({ ...request, headers: { ...request.headers, range: `bytes=${offset}-` } });
    const range = /^bytes ([0-9]+)-[0-9]+\/([0-9]+)$/.exec(response.headers['content-range'] ?? '');
    const partial =
      response.status === 206 && Number(range?.[1]) === offset && (total === undefined || range?.[2] === total);
    const whole = response.status === 200 && response.headers['content-length'] === total;
    if (response.headers.etag !== etag || !(partial || whole)) {
      response.discard();
      throw new CarportError('E_INTEGRITY', `\`${request.url.pathname}\` changed while it was read`, {
        hint: 'run it again',
      });
    }
    skip = partial ? 0 : offset;
  }
}
