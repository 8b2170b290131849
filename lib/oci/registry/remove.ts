/** Removes manifests and tags of a repository, where its registry lets that be done. Source: OCI's distribution-spec 1.1, "Content Management". */

import { CarportError } from '../../errors.js';
import type { HttpRequest } from '../../http/transport.js';
import { isDigest } from '../documents.js';
import type { Connection } from './connection.js';

/** `kept`: the registry knows no way to remove a tag alone. */
export type Removal = 'removed' | 'gone' | 'kept';

/** Removes a tag, or the manifest of a digest. Throws `E_UNSUPPORTED` where manifests cannot be removed. */
export async function removeManifest({ urlOf, send, fail, registry }: Connection, reference: string): Promise<Removal> {
  const request: HttpRequest = { method: 'DELETE', url: urlOf(`manifests/${reference}`), headers: {} };
  const response = await send(request);
  const { status } = response;
  if (status >= 200 && status < 300) {
    response.discard();
    return 'removed';
  }
  // Docker's registry does not take tags for names of manifests here, and says so as 400, or as 405 in which it takes none at all.
  if (!isDigest(reference) && (status === 400 || status === 405)) {
    response.discard();
    return 'kept';
  }
  if (status === 404) {
    response.discard();
    return 'gone';
  }
  if (status !== 405 && status !== 501) throw fail(request, response);
  response.discard();
  throw new CarportError('E_UNSUPPORTED', `\`${registry}\` does not let images be removed`, {
    hint: 'docker’s registry does with `storage.delete.enabled: true` (REGISTRY_STORAGE_DELETE_ENABLED=true); GHCR and docker.io have ways of their own for it',
  });
}
