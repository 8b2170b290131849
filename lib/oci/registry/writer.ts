/** Sends blobs and manifests to a repository. Source: OCI's distribution-spec 1.1, "Push". */

import { CarportError } from '../../errors.js';
import type { HttpRequest, HttpResponse, RequestBody } from '../../http/transport.js';
import type { Descriptor, RawManifest } from '../documents.js';
import type { ImageStore } from '../store.js';
import type { Connection } from './connection.js';
import { locationOf, UploadGone, uploadRequest } from './upload.js';

/** Uploads of one blob that are begun. */
const UPLOADS = 5;

export function createWriter(
  connection: Connection,
  hasBlob: ImageStore['hasBlob'],
): Pick<ImageStore, 'putBlob' | 'putManifest'> & { readonly putReferrer: PutReferrer } {
  return {
    async putBlob(blob, body, from) {
      const whole = body instanceof Uint8Array ? { size: body.length, open: () => onePiece(body) } : body;
      for (let attempt = 1; ; attempt++) {
        if (attempt > 1 && (await hasBlob(blob))) return 'sent';
        const at = await begin(connection, blob, attempt === 1 ? from : undefined);
        if (at === undefined) return 'mounted';
        try {
          await sendOnce(connection, blob, whole, at);
          return 'sent';
        } catch (error) {
          if (!(error instanceof UploadGone) || attempt === UPLOADS) throw error;
        }
      }
    },
    async putManifest(manifest, tag) {
      await putManifest(connection, manifest, tag);
    },
    putReferrer: (manifest) => putManifest(connection, manifest, undefined),
  };
}

/** Sends a manifest that is about another. Tells whether the registry lists it by itself as one. */
export type PutReferrer = (manifest: RawManifest) => Promise<boolean>;

/** An upload, or nothing where the blob was taken from another repository. */
async function begin(connection: Connection, blob: Descriptor, from: string | undefined): Promise<URL | undefined> {
  const { urlOf, send, fail } = connection;
  const url = urlOf('blobs/uploads/');
  if (from !== undefined) url.search = String(new URLSearchParams({ mount: blob.digest, from }));
  const request: HttpRequest = { method: 'POST', url, headers: {}, body: new Uint8Array() };
  const response = await send(request);
  if (response.status === 201) {
    response.discard();
    return undefined;
  }
  // Who may not read there may write here all the same.
  if (from !== undefined && response.status >= 400) {
    response.discard();
    return begin(connection, blob, undefined);
  }
  if (response.status !== 202) throw fail(request, response);
  response.discard();
  return locationOf(response.headers.location, url);
}

type Resumable = Exclude<RequestBody, Uint8Array>;

async function sendOnce(connection: Connection, blob: Descriptor, body: Resumable, at: URL): Promise<void> {
  const { send, fail } = connection;
  const request = uploadRequest(at, body);
  const response = await send(request);
  if (isRefusal(response) && hasTriedAgain(response)) throw gone(response);
  if (response.status >= 300) throw fail(request, response);
  response.discard();
  const next = locationOf(response.headers.location ?? at.href, at);
  await finish(connection, blob, { at: next, wasResumed: hasTriedAgain(response) });
}

async function finish(
  { send, fail, registry }: Connection,
  blob: Descriptor,
  { at, wasResumed }: { readonly at: URL; readonly wasResumed: boolean },
): Promise<void> {
  const url = new URL(at);
  // What the registry has put into the query stays as it is.
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(blob.digest)}`;
  const request: HttpRequest = { method: 'PUT', url, headers: {}, body: new Uint8Array() };
  const response = await send(request);
  // It may have been done by a try whose answer was lost, or what was put together is not what was sent.
  if (isRefusal(response) && (wasResumed || hasTriedAgain(response))) throw gone(response);
  if (response.status >= 300) throw fail(request, response);
  response.discard();
  checkDigest(response, blob, registry);
}

async function putManifest(
  { urlOf, send, fail, registry }: Connection,
  { descriptor, bytes }: RawManifest,
  tag: string | undefined,
): Promise<boolean> {
  const headers = { 'content-type': descriptor.mediaType };
  const url = urlOf(`manifests/${tag ?? descriptor.digest}`);
  const request: HttpRequest = { method: 'PUT', url, headers, body: bytes };
  const response = await send(request);
  if (response.status >= 300) throw fail(request, response);
  response.discard();
  // A page of a proxy or of a login is 200 whatever is asked.
  if (response.status === 200 && response.headers['docker-content-digest'] === undefined) {
    throw new CarportError('E_REMOTE', `\`${registry}\` does not say that it has taken the image`, {
      hint: 'a page of a proxy or of a login answers so: check the address of the registry',
    });
  }
  checkDigest(response, descriptor, registry);
  return response.headers['oci-subject'] !== undefined;
}

/** A registry may say what it has stored. */
function checkDigest({ headers }: HttpResponse, { digest }: Descriptor, registry: string): void {
  const given = headers['docker-content-digest'];
  if (given === undefined || given === digest) return;
  throw new CarportError('E_INTEGRITY', `\`${registry}\` has stored something else than was sent`, {
    hint: 'push it again',
  });
}

/** Of what was asked, and not of who asks. */
function isRefusal({ status }: HttpResponse): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 403;
}

function hasTriedAgain({ attempts = 1 }: HttpResponse): boolean {
  return attempts > 1;
}

function gone(response: HttpResponse): UploadGone {
  response.discard();
  return new UploadGone(`status ${response.status}`);
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
