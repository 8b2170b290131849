/** What a registry refuses, in words. */

import { CarportError } from '../../errors.js';
import { explainLimit, explainMissingTls, statusError } from '../../http/failure.js';
import type { HttpRequest, HttpResponse } from '../../http/transport.js';
import { LOGIN_HINT } from './auth.js';

/** The error of an answer that is none that was hoped for. `hasLogin`: it was told who asks. */
export function refused(
  { method, url }: HttpRequest,
  response: HttpResponse,
  { registry, hasLogin }: { readonly registry: string; readonly hasLogin: boolean },
): CarportError {
  const { status, refusal = '' } = response;
  const told = codeOf(refusal);
  const cause = new Error(
    `${method} ${url.pathname}: ${statusError(response).message}${told === undefined ? '' : ` ${told}`}`,
  );
  if (status === 401 || status === 403) {
    const done = method === 'GET' || method === 'HEAD' ? 'read' : 'written';
    const denied = `do that: \`${nameOf(url)}\` cannot be ${done}`;
    // A wrong password is 401, and to some registries so is a right one that may not.
    const why =
      status === 401
        ? `refuses the login that was found, or does not let it ${denied}`
        : `does not let this login ${denied}`;
    const message = `\`${registry}\` ${hasLogin ? why : 'wants a login'}`;
    return new CarportError('E_CREDENTIALS', message, { cause, hint: LOGIN_HINT });
  }
  const missingTls = explainMissingTls(url, refusal);
  if (missingTls) return missingTls;
  const limit = explainLimit(status);
  if (limit) return new CarportError('E_REMOTE', `\`${registry}\`${limit.message}`, { cause, hint: limit.hint });
  if (status === 404 && told === undefined) {
    return new CarportError('E_REMOTE', `\`${registry}\` is no registry, or has no such repository`, {
      cause,
      hint: 'check the name of the image',
    });
  }
  return new CarportError('E_REMOTE', `\`${registry}\` refused${told === undefined ? '' : `: ${told}`}`, {
    cause,
    hint: 'check the name of the image',
  });
}

/** The codes of the specification, and what a registry adds. */
function codeOf(refusal: string): string | undefined {
  try {
    const { errors } = JSON.parse(refusal) as {
      readonly errors?: readonly { readonly code?: unknown; readonly message?: unknown }[];
    };
    const [first] = errors ?? [];
    if (typeof first?.code !== 'string') return undefined;
    const message = typeof first.message === 'string' ? ` (${first.message})` : '';
    return `${first.code}${message}`.replace(/[\x00-\x1f]/g, '?').slice(0, 300);
  } catch {
    return undefined;
  }
}

function nameOf(url: URL): string {
  return url.pathname.replace(/^\/v2\//, '').replace(/\/(blobs|manifests|tags|referrers)\/.*$/, '');
}
