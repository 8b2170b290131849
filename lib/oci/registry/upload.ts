/**
 * Sends a blob in one request, and goes on where that has broken off. The registry says how much of it has arrived; where it has
 * forgotten the upload, it is begun again by whoever has asked for it.
 */

import { CarportError } from '../../errors.js';
import { statusError } from '../../http/failure.js';
import type { HttpRequest, RequestBody, Transport, TransportDecorator } from '../../http/transport.js';

/** A body that can be sent from anywhere on. */
type Resumable = Exclude<RequestBody, Uint8Array>;

/** The upload of a request, and how many tries it has had. */
interface Upload {
  readonly blob: Resumable;
  tries: number;
}

/** The upload is not there any more: after a registry was started anew, or when it has thrown it away. */
export class UploadGone extends Error {}

const uploads = new WeakMap<HttpRequest, Upload>();

/** A request that sends all of a blob to an upload. Sent again, by what tries again, it sends the rest. */
export function uploadRequest(url: URL, blob: Resumable): HttpRequest {
  const headers = { 'content-type': 'application/octet-stream' };
  const request: HttpRequest = { method: 'PATCH', url, headers, body: blob };
  uploads.set(request, { blob, tries: 0 });
  return request;
}

/** Below what tries again, and above what says who asks. */
export const resumeUploads: TransportDecorator = (send) => async (request) => {
  const upload = uploads.get(request);
  if (upload === undefined || upload.tries++ === 0) return send(request);
  const arrived = await arrivedOf(request, upload.blob.size, send);
  // All of it is there, and only the answer was lost.
  if (arrived.size === upload.blob.size) return arrived.response;
  const rest = { size: upload.blob.size - arrived.size, open: () => from(upload.blob, arrived.size) };
  const range = { 'content-range': `${arrived.size}-${upload.blob.size - 1}` };
  return send({ ...request, url: arrived.url, headers: { ...request.headers, ...range }, body: rest });
};

/** How much of an upload has arrived, and where the rest is sent. */
async function arrivedOf({ url }: HttpRequest, size: number, send: Transport) {
  const response = await send({ method: 'GET', url, headers: {} });
  // What may be gone soon is for what tries again.
  if (response.status === 429 || response.status >= 500) return Promise.reject(transient(response.status));
  response.discard();
  if (response.status !== 204 && response.status !== 202 && response.status !== 200) {
    throw new UploadGone(statusError(response).message);
  }
  const last = /^(?:bytes=)?0-([0-9]+)$/.exec(response.headers.range ?? '')?.[1];
  // `0-0` is what registries say of an upload that has nothing, and of one that has a byte.
  if (last === undefined || last === '0') throw new UploadGone('it is not said how much has arrived');
  const arrived = Number(last) + 1;
  if (arrived > size) throw new UploadGone('more has arrived than was sent');
  const next = locationOf(response.headers.location ?? url.href, url);
  return { size: arrived, url: next, response: { ...response, status: 202 } };
}

function transient(status: number): Error {
  return Object.assign(new Error(`status ${status}`), { code: 'ECONNRESET' });
}

async function* from({ open }: Resumable, start: number): AsyncGenerator<Uint8Array> {
  let skip = start;
  for await (const bytes of open()) {
    if (skip >= bytes.length) skip -= bytes.length;
    else {
      yield skip > 0 ? bytes.subarray(skip) : bytes;
      skip = 0;
    }
  }
}

/** Where an upload goes on. Throws `E_REMOTE` where that leads from TLS to none. */
export function locationOf(location: string | undefined, asked: URL): URL {
  const url = location !== undefined && URL.canParse(location, asked.href) ? new URL(location, asked) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && asked.protocol === 'http:')) return url;
  throw new CarportError(
    'E_REMOTE',
    `\`${asked.host}\` does not say where an upload goes, or leads elsewhere without TLS`,
    {
      hint: 'check that it is a registry, and that a proxy before it passes on how it was asked (X-Forwarded-Proto)',
    },
  );
}
