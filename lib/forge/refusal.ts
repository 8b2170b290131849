/** What a forge refuses, in words. */

import { CarportError } from '../errors.js';
import { explainLimit, explainMissingTls } from '../http/failure.js';
import type { HttpRequest, HttpResponse } from '../http/transport.js';
import type { ForgePlace } from './place.js';

const TOKENS: Readonly<Record<ForgePlace['kind'], string>> = {
  github:
    'set CARPORT_FORGE_TOKEN or GITHUB_TOKEN, or give `--token-file`; it needs “Contents: write” of the repository',
  gitea: 'set CARPORT_FORGE_TOKEN or GITEA_TOKEN, or give `--token-file`; it needs the scope `write:repository`',
  forgejo: 'set CARPORT_FORGE_TOKEN or FORGEJO_TOKEN, or give `--token-file`; it needs the scope `write:repository`',
};

/** The error of a refusal. `hasToken`: the forge was told who asks. */
export function refused(
  { method, url }: HttpRequest,
  response: HttpResponse,
  { kind, address }: Pick<ForgePlace, 'kind' | 'address'>,
  hasToken: boolean,
): CarportError {
  const { status, refusal = '' } = response;
  const told = toldIn(refusal);
  const cause = new Error(`${method} ${url.pathname}: status ${status}${told === undefined ? '' : `: ${told}`}`);
  const missingTls = explainMissingTls(url, refusal);
  if (missingTls) return missingTls;
  const limit = explainLimit(status);
  if (limit) return new CarportError('E_REMOTE', `\`${url.host}\`${limit.message}`, { cause, hint: limit.hint });
  if (status === 401 || status === 403) {
    const message = hasToken
      ? `\`${url.host}\` refuses the token, or does not let it ${method === 'GET' ? 'read' : 'change'} \`${address}\``
      : `\`${url.host}\` wants a token`;
    return new CarportError('E_CREDENTIALS', message, { cause, hint: TOKENS[kind] });
  }
  if (status === 404) {
    return new CarportError('E_NOT_FOUND', `\`${address}\` does not have what was asked for, or not for this token`, {
      cause,
      hint: hasToken ? 'check the address, and what the token may see' : TOKENS[kind],
    });
  }
  if (status >= 300 && status < 400) {
    return new CarportError('E_REMOTE', `\`${address}\` has moved`, { cause, hint: 'give its new address' });
  }
  const why = told === undefined ? '' : `: ${told}`;
  return new CarportError('E_REMOTE', `\`${url.host}\` refused${why}`, { cause, hint: 'check what it says' });
}

const TOLD = 300;

/** GitHub: `message` and `errors`; Gitea: `message`. */
function toldIn(refusal: string): string | undefined {
  try {
    const json = JSON.parse(refusal) as { readonly message?: unknown; readonly errors?: unknown };
    const errors = Array.isArray(json.errors) ? json.errors.slice(0, 3).map(errorOf) : [];
    const parts = [json.message, ...errors].filter((part) => typeof part === 'string' && part !== '');
    if (parts.length === 0) return undefined;
    return parts
      .join('; ')
      .replace(/[\x00-\x1f\x7f]+/g, ' ')
      .slice(0, TOLD);
  } catch {
    return undefined;
  }
}

function errorOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return typeof error === 'string' ? error : undefined;
  const { field, code, message } = error as Readonly<Record<string, unknown>>;
  if (typeof message === 'string') return message;
  return [field, code].filter((part) => typeof part === 'string').join(' ');
}
