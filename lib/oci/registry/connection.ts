/** How the repository of a registry is spoken to. */

import type { CarportError } from '../../errors.js';
import type { HttpRequest, HttpResponse } from '../../http/transport.js';

/** A repository, and how its registry is spoken to. */
export interface Connection {
  readonly origin: URL;
  readonly registry: string;
  readonly repository: string;
  urlOf(path: string): URL;
  send(request: HttpRequest): Promise<HttpResponse>;
  fail(request: HttpRequest, response: HttpResponse): CarportError;
}
