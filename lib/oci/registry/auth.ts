/**
 * Says who asks, as the registry wants it: with a token for what is to be done, or a password. Sent to the registry itself, and
 * to the address that it names for tokens, and to nobody else.
 */

import * as v from 'valibot';
import { CarportError } from '../../errors.js';
import { basicAuthorization } from '../../http/basic.js';
import { isLoopbackName } from '../../http/ip-address.js';
import type { HttpRequest, HttpResponse, Transport, TransportDecorator } from '../../http/transport.js';
import { rememberSecret } from '../../known-secrets.js';
import { type Challenge, parseChallenge } from './challenge.js';
import type { Login } from './login.js';

export interface AuthOptions {
  readonly origin: URL;
  /** As people know it. */
  readonly registry: string;
  /** What is to be done, the first the most important: some registries read only that. */
  readonly scopes: readonly string[];
  login(): Promise<Login | undefined>;
}

const TOKEN_LIMIT = 64 * 1024;
const CLIENT = 'carport';

/** Tokens that one request gets at most: others may have used up one that is for few requests. */
const RENEWALS = 8;

const answer = v.object({ token: v.nullish(v.string()), access_token: v.nullish(v.string()) });

/** Adds what was last accepted; on a 401 gets what the registry asks for, and tries again. */
export function authorize({ origin, registry, scopes, login }: AuthOptions): TransportDecorator {
  let authorization: string | undefined;
  let getting: Promise<string | undefined> | undefined;
  return (send) => {
    const renew = (challenge: Challenge, used: string | undefined): Promise<string | undefined> => {
      // Another request has got one since.
      if (authorization !== used) return Promise.resolve(authorization);
      getting ??= authorizationFor(challenge, { origin, registry, scopes, login }, send)
        .then((text) => {
          authorization = text;
          return text;
        })
        .finally(() => {
          getting = undefined;
        });
      return getting;
    };
    return async (request) => {
      if (request.url.origin !== origin.origin) return send(request);
      for (let attempt = 1; ; attempt++) {
        const used = authorization;
        const response = await send(withAuthorization(request, used));
        if (response.status !== 401 || attempt > RENEWALS) return response;
        const challenge = parseChallenge(response.headers['www-authenticate']);
        const renewed = challenge && (await renew(challenge, used));
        if (renewed === undefined || renewed === used) return response;
        response.discard();
      }
    };
  };
}

function withAuthorization(request: HttpRequest, authorization: string | undefined): HttpRequest {
  return authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };
}

async function authorizationFor(
  challenge: Challenge,
  options: AuthOptions,
  send: Transport,
): Promise<string | undefined> {
  const login = await options.login();
  if (login?.kind === 'token') return `Bearer ${login.token}`;
  if (challenge.scheme === 'basic') return login?.kind === 'password' ? basic(login) : undefined;
  const realm = realmOf(challenge.realm, options);
  const scopes = [...new Set([...options.scopes, ...(challenge.scope ? [challenge.scope] : [])])];
  const token = await tokenFrom(realm, { scopes, service: challenge.service, login, registry: options.registry }, send);
  rememberSecret(token);
  return `Bearer ${token}`;
}

function basic({ user, password }: Extract<Login, { kind: 'password' }>): string {
  return basicAuthorization(user, password);
}

/**
 * Where tokens are given out. It gets the password: so over TLS, unless it is the registry's own machine, which was named as one
 * without; and not somewhere inside.
 */
function realmOf(text: string, { origin, registry }: AuthOptions): URL {
  const realm = URL.canParse(text, origin.href) ? new URL(text, origin) : undefined;
  const isSafe = realm?.protocol === 'https:' || (realm?.protocol === 'http:' && isPlainBeside(origin, realm));
  if (realm && isSafe && (realm.host === origin.host || !isInside(realm.hostname) || isInside(origin.hostname)))
    return realm;
  throw new CarportError(
    'E_REMOTE',
    `\`${registry}\` wants to be told the password at \`${text.slice(0, 200)}\`, and is not`,
    {
      hint: 'check the address of the registry; tokens come from a server with TLS, or from the machine of a registry without',
    },
  );
}

/** Whether a registry is without TLS, and another server on the same machine as it. */
function isPlainBeside(origin: URL, { hostname }: URL): boolean {
  const isSame = hostname === origin.hostname || (isLoopbackName(hostname) && isLoopbackName(origin.hostname));
  return origin.protocol === 'http:' && isSame;
}

/** This machine, its neighbours, and what tells machines of a cloud who they are. */
function isInside(hostname: string): boolean {
  return (
    /^(localhost|.*\.localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|169\.254\.|0\.)/.test(hostname) ||
    /^\[(::1?|f[cd][0-9a-f:]*|fe80[0-9a-f:]*)\]$/.test(hostname)
  );
}

interface TokenRequest {
  readonly scopes: readonly string[];
  readonly service: string | undefined;
  readonly login: Login | undefined;
  readonly registry: string;
}

async function tokenFrom(realm: URL, request: TokenRequest, send: Transport): Promise<string> {
  const { login } = request;
  if (login?.kind === 'identity') {
    const response = await send(refreshRequest(realm, request, login.token));
    if (response.status !== 404 && response.status !== 405) return readToken(response, request);
    response.discard();
  }
  const url = new URL(realm);
  if (request.service !== undefined) url.searchParams.set('service', request.service);
  for (const scope of request.scopes) url.searchParams.append('scope', scope);
  if (login?.kind === 'password') url.searchParams.set('account', login.user);
  const headers = login?.kind === 'password' ? { authorization: basic(login) } : {};
  return readToken(await send({ method: 'GET', url, headers }), request);
}

/** As OAuth 2 has it. */
function refreshRequest(url: URL, { scopes, service }: TokenRequest, token: string): HttpRequest {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token, client_id: CLIENT });
  if (service !== undefined) form.set('service', service);
  form.set('scope', scopes.join(' '));
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return { method: 'POST', url, headers, body: Buffer.from(form.toString()) };
}

async function readToken(response: HttpResponse, { registry, login }: TokenRequest): Promise<string> {
  const { status } = response;
  const refuse = (why: string) => {
    response.discard();
    const message = login
      ? `\`${registry}\` refuses the login that was found`
      : `\`${registry}\` lets nobody do this without a login`;
    return new CarportError('E_CREDENTIALS', message, { cause: new Error(why), hint: LOGIN_HINT });
  };
  if (status === 400 || status === 401 || status === 403) throw refuse(`status ${status} of its tokens`);
  if (status === 429 || status >= 500) {
    response.discard();
    // For what tries again.
    throw Object.assign(new Error(`status ${status} of its tokens`), { code: 'ECONNRESET' });
  }
  if (status !== 200)
    throw new CarportError('E_REMOTE', `\`${registry}\` gives no token: status ${status}`, { hint: 'try again later' });
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of response.body) {
    size += bytes.length;
    if (size > TOKEN_LIMIT) throw refuse('its token is too long');
    pieces.push(Buffer.from(bytes));
  }
  const parsed = v.safeParse(answer, jsonOf(Buffer.concat(pieces).toString('utf8')));
  const token = parsed.success ? parsed.output.token || parsed.output.access_token : undefined;
  // What a header cannot have would end this process's request.
  if (token && /^[\x21-\x7e]+$/.test(token)) return token;
  throw refuse('its answer has no token');
}

export const LOGIN_HINT =
  'log in with `docker login`, `podman login` or `skopeo login`, or set DOCKER_AUTH_CONFIG to what `~/.docker/config.json` would hold';

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
