import { setTimeout as sleep } from 'node:timers/promises';
import { CarportError } from '../../../lib/errors.js';
import type { StoredObject } from '../object-store.js';
import { explainNetworkError, isTransientError } from './failure.js';
import type { HttpRequest, HttpResponse, Transport } from './transport.js';

/** Times that a body may break off without a byte more than before. */
const BARREN_TRIES = 6;
const PAUSE_MS = 200;

/** The object that a good answer to a GET brings. A body that breaks off is gone on with by Range. */
export function downloadOf(response: HttpResponse, request: HttpRequest, send: Transport): StoredObject {
  const size = Number(response.headers['content-length'] ?? Number.NaN);
  return { size, bytes: () => resumed(response, request, send) };
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
      return;
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
