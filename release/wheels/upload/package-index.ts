/** An index of Python packages that takes uploads: what it has, and sending it more (PyPI, pypiserver, devpi, Gitea and others). */

import { CarportError, hasCode } from '../../../lib/errors.js';
import { explainLimit } from '../../../lib/http/failure.js';
import { type FinalAnswer, followRedirects, isRedirect, redirectedRequest } from '../../../lib/http/redirect.js';
import type { HttpRequest, HttpResponse, Transport } from '../../../lib/http/transport.js';
import { collectSmall } from '../../../lib/object-store/object-store.js';
import { normalizeProject } from '../../../lib/python/file-name.js';
import { digestOf } from '../../put/local-file.js';
import type { Form } from './form.js';
import { type IndexLink, parseIndexPage, withoutEntities } from './index-links.js';

/** Where an index is, and who one is there. */
export interface PackageIndexOptions {
  /** Takes uploads. */
  readonly to: URL;
  /** Its simple index, where that does not follow from `to`. */
  readonly simple?: URL | undefined;
  /** The header `Authorization`; nothing for an index that takes files of anybody. */
  readonly authorization?: string | undefined;
  readonly send: Transport;
}

/** What became of an upload. */
export type UploadAnswer =
  | { readonly state: 'taken' }
  /** Refused; perhaps since the file is there already. */
  | { readonly state: 'refused'; readonly error: CarportError };

export interface PackageIndex {
  /** Files of a project; empty where it has none; `undefined` where the index does not tell. */
  files(project: string): Promise<readonly IndexLink[] | undefined>;
  /** The SHA-256 of a file that it has; read, where the index does not tell it, and no further than what is compared with it. */
  hashOf(link: IndexLink, size: number): Promise<string | undefined>;
  upload(form: Form): Promise<UploadAnswer>;
}

const ACCEPT = 'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1';

/** Bytes of a page. */
const MAX_PAGE = 64 * 1024 * 1024;

export function openPackageIndex({ to, simple, authorization, send }: PackageIndexOptions): PackageIndex {
  // Whoever else is asked gets no password.
  const headersFor = (url: URL) => (authorization !== undefined && url.origin === to.origin ? { authorization } : {});
  const get = (url: URL, headers: Readonly<Record<string, string>> = {}) =>
    ({ method: 'GET', url, headers: { ...headers, ...headersFor(url) } }) as const;
  return {
    async files(project) {
      let isMissing = false;
      for (const base of simple ? [directory(simple)] : simpleAddresses(to)) {
        const url = new URL(`${normalizeProject(project)}/`, base);
        const { asked, response } = await askWithin(get(url, { accept: ACCEPT }), send);
        if (response.status === 200) return readPage(response, asked.url);
        response.discard();
        isMissing ||= response.status === 404 || isRedirect(response);
      }
      return isMissing ? [] : undefined;
    },
    async hashOf({ url, sha256 }, size) {
      if (sha256 !== undefined) return sha256;
      const { response } = await followRedirects(get(url), send);
      if (response.status === 200) {
        const digest = await digestOf(upTo(response.body, size + 1));
        return digest.size > size ? LONGER : digest.sha256;
      }
      response.discard();
      return undefined;
    },
    async upload({ contentType, body }) {
      const headers = { 'content-type': contentType, accept: '*/*', ...headersFor(to) };
      const response = await send({ method: 'POST', url: to, headers, body });
      response.discard();
      if (response.status < 300) return { state: 'taken' };
      const error = refusal(to, response, authorization !== undefined);
      // Servers have no status in common for what they have already.
      if ([400, 403, 409].includes(response.status)) return { state: 'refused', error };
      throw error;
    },
  };
}

/** In place of the hash of a file that has more bytes than what it is compared with. */
export const LONGER = 'more bytes';

/** The first bytes of a body; the rest is not read. */
async function* upTo(body: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  for await (const piece of body) {
    yield piece.subarray(0, left);
    left -= piece.length;
    if (left <= 0) return;
  }
}

/** Follows redirects within the host only: pypiserver sends whoever asks for what it has not to PyPI, which is another index. */
function askWithin(request: HttpRequest, send: Transport): Promise<FinalAnswer> {
  return followRedirects(request, async (asked) => {
    const response = await send(asked);
    const next = redirectedRequest(asked, response);
    // Without an address it is not followed.
    return next && next.url.origin !== asked.url.origin ? { ...response, headers: {} } : response;
  });
}

async function readPage(response: HttpResponse, url: URL): Promise<readonly IndexLink[] | undefined> {
  const bytes = await collectSmall(response.body, MAX_PAGE, url.href);
  try {
    return parseIndexPage(bytes.toString(), response.headers['content-type'] ?? '', url);
  } catch (error) {
    if (hasCode(error, 'E_FORMAT')) return undefined;
    throw error;
  }
}

const PYPI: Readonly<Record<string, string>> = {
  'upload.pypi.org': 'https://pypi.org/simple/',
  'test.pypi.org': 'https://test.pypi.org/simple/',
};

/** Where the index of an address for uploads may be: as PyPI has it, then as pypiserver, Gitea, Nexus and GitLab do, then as devpi does. */
function simpleAddresses(to: URL): readonly URL[] {
  const known = PYPI[to.hostname];
  if (known !== undefined) return [new URL(known)];
  const base = directory(to);
  const beside = base.pathname.endsWith('/legacy/') ? [new URL('../simple/', base)] : [];
  return [...beside, new URL('simple/', base), new URL('+simple/', base)];
}

function directory(url: URL): URL {
  const base = new URL(url);
  base.search = '';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

function refusal(to: URL, response: HttpResponse, hasPassword: boolean): CarportError {
  const { status } = response;
  const server = `\`${to.protocol}//${to.host}\``;
  const cause = new Error(`status ${status}${wordsOf(response)}`);
  if (isRedirect(response)) {
    return new CarportError('E_REMOTE', `${server} sends uploads elsewhere`, {
      cause: new Error(`status ${status}, to \`${(response.headers.location ?? '').slice(0, 200)}\``),
      hint: 'passwords are not taken there: if it is right, give that address with `--to`',
    });
  }
  if (status === 401 || (status === 403 && !hasPassword)) {
    const hint =
      'give a token with `--token-file FILE` or CARPORT_UPLOAD_TOKEN, and the name of the user with `--user` where it is no token';
    return new CarportError(
      'E_CREDENTIALS',
      `${server} does not take ${hasPassword ? 'this password' : 'files of anybody'}`,
      { cause, hint },
    );
  }
  if (status === 403) {
    return new CarportError('E_CREDENTIALS', `${server} does not allow it`, {
      cause,
      hint: 'check what the token may do there; some say so of a wrong password',
    });
  }
  const limit = explainLimit(status);
  if (limit) return new CarportError('E_REMOTE', `${server}${limit.message}`, { cause, hint: limit.hint });
  return new CarportError('E_REMOTE', `${server} refused the file`, { cause, hint: hintFor(status) });
}

function hintFor(status: number): string {
  return status === 404 || status === 405
    ? 'check the address for uploads: PyPI has `https://upload.pypi.org/legacy/`, others their root or the path of an index'
    : 'what it says tells why';
}

/** What a server says, without markup. */
function wordsOf({ refusal: text = '' }: HttpResponse): string {
  const plain = text
    .slice(0, 4000)
    .replace(/<(style|script|title|head)[^>]*>[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ');
  const words = withoutEntities(plain).replace(/\s+/g, ' ').trim();
  return words === '' ? '' : `: ${words.slice(0, 300)}`;
}
