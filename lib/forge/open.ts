/** Opens a repository of a forge. */

import type { HttpClient } from '../http/client.js';
import { rememberSecret } from '../known-secrets.js';
import { openConnection } from './connection.js';
import type { Forge } from './contract.js';
import { openGitea } from './gitea.js';
import { GITHUB_HEADERS, openGithub } from './github.js';
import type { ForgePlace } from './place.js';
import type { RateLimitOptions } from './rate-limit.js';

export interface ForgeOptions {
  readonly place: ForgePlace;
  readonly http: HttpClient;
  /** Nothing where only what everybody may see is asked for. */
  readonly token: string | undefined;
  readonly limits: RateLimitOptions;
}

/** A repository of a forge. `close` ends the requests of its client. */
export function openForge({ place, http, token, limits }: ForgeOptions): Forge {
  rememberSecret(token);
  const close = () => http.close();
  if (place.kind === 'github') {
    const connection = openConnection({ ...{ place, http, token, limits }, scheme: 'Bearer', headers: GITHUB_HEADERS });
    return openGithub(place, connection, close);
  }
  const headers = { accept: 'application/json', 'user-agent': 'carport' };
  return openGitea(place, openConnection({ ...{ place, http, token, limits, headers }, scheme: 'token' }), close);
}
