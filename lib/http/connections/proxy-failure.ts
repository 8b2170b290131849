/** What goes wrong with a proxy is said of it, and not of the server behind it. */

import { CarportError } from '../../errors.js';
import type { HttpProxy } from './proxy.js';

/** An error of a connection to a proxy; `failure.ts` says of it what it would say of a server. */
export interface ThroughProxy extends Error {
  readonly code?: string;
  readonly proxy: HttpProxy;
}

/** The error of a request that did not get through a proxy. */
export function throughProxy(proxy: HttpProxy, cause: Error): Error {
  if (cause instanceof CarportError || isThroughProxy(cause)) return cause;
  const code = 'code' in cause ? String(cause.code) : 'ECONNRESET';
  return Object.assign(new Error(`the proxy \`${proxy.label}\` (${proxy.variable}): ${cause.message}`, { cause }), {
    code,
    proxy,
  });
}

export function isThroughProxy(error: unknown): error is ThroughProxy {
  return error instanceof Error && 'proxy' in error;
}

/** What a proxy that lets nobody through has answered. */
export function proxyRefusal(proxy: HttpProxy, target: URL, status: number): Error {
  const name = `the proxy \`${proxy.label}\` (${proxy.variable})`;
  if (status === 407) {
    const has = proxy.url.username === '' ? 'wants a user name and password' : 'refuses the user name and password';
    return new CarportError('E_CREDENTIALS', `${name} ${has}`, {
      hint: `write them into ${proxy.variable}: \`http://USER:PASSWORD@HOST:PORT\``,
    });
  }
  const says = `${name} answers ${status} for \`${target.host}\``;
  // As gateways do of servers that they cannot reach just now.
  if (status >= 500) return Object.assign(new Error(says), { code: 'EHOSTUNREACH', proxy });
  return new CarportError('E_REMOTE', says, {
    hint: `have it let \`${target.host}\` through, or name that host in no_proxy`,
  });
}
