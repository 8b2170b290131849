/** What may be tried again, and errors of the network in words. */

import { CarportError, isErrno } from '../errors.js';
import { isThroughProxy } from './connections/proxy-failure.js';
import type { HttpResponse } from './transport.js';

/** Failures that may be gone at the next try. */
const TRANSIENT_ERRORS = [
  ...['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN'],
  ...['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EHOSTDOWN', 'EADDRNOTAVAIL', 'ERR_STREAM_PREMATURE_CLOSE'],
];

const TRANSIENT_STATUSES = [
  ...[408, 425, 429, 500, 502, 503, 504, 507, 509],
  // Of proxies, when the server behind them does not answer (Cloudflare and others).
  ...[520, 521, 522, 523, 524, 527, 529, 530, 598, 599],
];

/** S3's codes beside other statuses: what was sent did not arrive as it was. */
const TRANSIENT_CODES =
  /<Code>(BadDigest|InvalidDigest|IncompleteBody|RequestTimeout|XAmzContentSHA256Mismatch)<\/Code>/;

export function isTransientError(error: unknown): error is NodeJS.ErrnoException {
  return isErrno(error, ...TRANSIENT_ERRORS);
}

/** Bytes that are none of HTTP or TLS: of a server that has answered well before, damage on the way. */
export function isGarbled(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && /^HPE_|BAD_RECORD_MAC|DECRYPTION_FAILED/.test(String(error.code));
}

export function isTransientResponse({ status, refusal }: HttpResponse): boolean {
  return TRANSIENT_STATUSES.includes(status) || (status === 400 && TRANSIENT_CODES.test(refusal ?? ''));
}

/** That nobody answers, in words. `url` is where it was tried. */
export function explainNetworkError(error: unknown, url: URL): unknown {
  if (error instanceof CarportError || !(error instanceof Error) || !('code' in error)) return error;
  const server = `${url.protocol}//${url.host}`;
  const code = String(error.code);
  if (isTransientError(error)) return unavailable(url, error);
  if (isThroughProxy(error)) {
    return new CarportError('E_REMOTE', `the proxy \`${error.proxy.label}\` cannot be used`, {
      cause: error,
      hint: `check ${error.proxy.variable}, or name \`${url.hostname}\` in no_proxy`,
    });
  }
  if (code === 'ENOTFOUND') {
    return new CarportError('E_NOT_FOUND', `there is no host \`${url.hostname}\``, {
      cause: error,
      hint: 'check the URL and the network',
    });
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return explainTlsError(error, server);
  if (code.startsWith('HPE_')) {
    return new CarportError('E_USAGE', `\`${server}\` does not answer as a web server`, {
      cause: error,
      hint: 'check the port; if the server wants TLS, write `https://`',
    });
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return new CarportError('E_REMOTE', `the certificate of \`${url.host}\` is not valid at this time`, {
      cause: error,
      hint: `check this machine's clock, which says ${new Date().toISOString()}; if it is right, the server needs a new certificate`,
    });
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new CarportError('E_REMOTE', `the certificate of \`${url.host}\` is for another host`, {
      cause: error,
      hint: 'use the name that the certificate has',
    });
  }
  if (UNTRUSTED.test(code)) {
    return new CarportError('E_REMOTE', `the certificate of \`${url.host}\` is not trusted`, {
      cause: error,
      hint: `for a certificate authority of your own set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS to its file${unusableOf(error)}`,
    });
  }
  return error;
}

/** Node's and OpenSSL's codes of certificates that nobody vouches for. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_/;

/** An error of the network that knows which authorities of the environment could not be used, where that may matter. */
export function distrusted(error: unknown, unusableAuthorities: readonly string[]): unknown {
  const isUntrusted = error instanceof Error && 'code' in error && UNTRUSTED.test(String(error.code));
  return isUntrusted ? Object.assign(error, { unusableAuthorities }) : error;
}

function unusableOf(error: Error): string {
  const lines = 'unusableAuthorities' in error ? (error.unusableAuthorities as readonly string[]) : [];
  return lines.length === 0 ? '' : `; ${lines.join(', ')}`;
}

/** OpenSSL's reason, without its places in the source. */
function explainTlsError(error: Error, server: string): CarportError {
  const reason = /SSL routines:[^:]*:([^:\n]+)/.exec(error.message)?.[1] ?? error.message.split('\n')[0]!;
  const cause = new Error(reason);
  if (/wrong version number|packet length too long|http request/.test(reason)) {
    return new CarportError('E_USAGE', `\`${server}\` does not speak TLS`, {
      cause,
      hint: 'if it is a plain HTTP server, write `http://` (for `s3://` caches: `endpoint=http://…`, or `scheme=http`)',
    });
  }
  return new CarportError('E_REMOTE', `\`${server}\` and carport do not agree on TLS`, {
    cause,
    hint: 'check the port, and which versions of TLS the server takes',
  });
}

/** Web servers say so when a request without TLS comes to a port with TLS. */
const WANTS_TLS = /plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server/i;

/** `undefined` unless that is what `refusal`, the text of an answer, says. */
export function explainMissingTls({ protocol, host }: URL, refusal: string): CarportError | undefined {
  if (!WANTS_TLS.test(refusal)) return undefined;
  return new CarportError('E_USAGE', `\`${protocol}//${host}\` wants TLS`, {
    hint: 'write `https://` (for `s3://` caches: `endpoint=https://…`)',
  });
}

/** Statuses by which servers, and proxies before them, refuse what is too large for them (RFC 9110, RFC 6585). */
const LIMITS: Readonly<Record<number, readonly [what: string, hint: string]>> = {
  413: ['uploads of this size', 'raise its limit (nginx: `client_max_body_size 0`)'],
  414: ['addresses of this length', 'raise its limit (nginx: `large_client_header_buffers`), or use shorter names'],
  431: ['headers of this size', 'raise its limit (nginx: `large_client_header_buffers`)'],
  // nginx's own, which it mostly tells as 400.
  494: ['headers of this size', 'raise its limit (nginx: `large_client_header_buffers`)'],
};

/** What a refusal says of a limit, to be put behind the name of the server; `undefined` for other statuses. */
export function explainLimit(status: number): { readonly message: string; readonly hint: string } | undefined {
  const limit = LIMITS[status];
  return limit && { message: `, or a proxy before it, does not take ${limit[0]}: status ${status}`, hint: limit[1] };
}

/** What an error with such a code means. */
const UNAVAILABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'closes connections without an answer',
  EPIPE: 'closes connections without an answer',
  ETIMEDOUT: 'does not answer',
  EAI_AGAIN: 'cannot be looked up',
  ENETUNREACH: 'cannot be reached',
  EHOSTUNREACH: 'cannot be reached',
};

/** The error that is worth trying again later. */
export function unavailable(url: URL, cause: unknown): CarportError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (isThroughProxy(cause)) {
    const { label, variable } = cause.proxy;
    return new CarportError('E_UNAVAILABLE', `\`${url.host}\` cannot be reached through the proxy \`${label}\``, {
      cause,
      hint: `check ${variable} and that the proxy runs, or name the host in no_proxy; then run it again: what was finished is kept`,
    });
  }
  // As servers do that have TLS on that port.
  const mayWantTls = url.protocol === 'http:' && code === 'ECONNRESET';
  return new CarportError(
    'E_UNAVAILABLE',
    `\`${url.protocol}//${url.host}\` ${UNAVAILABLE[code] ?? 'does not answer as it should'}`,
    {
      cause,
      hint: `check that the server runs and the URL is right${mayWantTls ? ' (`https://` if it wants TLS)' : ''}, then run it again: what was finished is kept`,
    },
  );
}

/** A status, with what the server says to it. */
export function statusError({ status, refusal = '' }: HttpResponse): Error {
  const code = /<Code>([^<]*)<\/Code>/.exec(refusal)?.[1];
  const message = /<Message>([^<]*)<\/Message>/.exec(refusal)?.[1];
  return new Error(['status', status, code, message && `(${message})`].filter((part) => part !== undefined).join(' '));
}
