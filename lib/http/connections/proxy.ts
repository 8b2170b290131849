/** Which proxy a request goes through, as curl reads it from the environment. */

import { BlockList, isIP, isIPv4 } from 'node:net';
import { CarportError } from '../../errors.js';
import { rememberSecret } from '../../known-secrets.js';
import { isIpAddress } from '../ip-address.js';

/** A proxy, and the variable that named it. */
export interface HttpProxy {
  /** May hold a user name and a password. */
  readonly url: URL;
  readonly variable: string;
  /** For messages: without a password. */
  readonly label: string;
}

/** Those of curl, and what they need to be asked for. */
const SCHEMES = ['http:', 'https:', 'socks:', 'socks4:', 'socks4a:', 'socks5:', 'socks5h:'];

/** The port of a proxy whose URL names none (curl's `--proxy`), but for TLS. */
const DEFAULT_PORT = '1080';

/**
 * The proxy for a request to `target`: `https_proxy`, `http_proxy` or `all_proxy` in either case, unless `no_proxy` names
 * the host. A variable that is empty counts as not set. Throws `E_USAGE` where a variable is no URL of a proxy.
 */
export function proxyFor(target: URL, env: NodeJS.ProcessEnv): HttpProxy | undefined {
  const scheme = target.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const names = [scheme, ...upperCase(scheme, env), 'all_proxy', 'ALL_PROXY'];
  const variable = names.find((name) => env[name]);
  if (variable === undefined || isExempt(target, env.no_proxy || env.NO_PROXY || '')) return undefined;
  return parseProxy(env[variable]!, variable);
}

/** A CGI program's `HTTP_PROXY` is the header `Proxy` of whoever asks it (CVE-2016-5388). */
function upperCase(scheme: string, env: NodeJS.ProcessEnv): readonly string[] {
  return scheme === 'http_proxy' && env.REQUEST_METHOD ? [] : [scheme.toUpperCase()];
}

function parseProxy(text: string, variable: string): HttpProxy {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || !SCHEMES.includes(url.protocol) || url.hostname === '') {
    throw new CarportError('E_USAGE', `${variable} is not the URL of a proxy`, {
      hint: 'write `http://HOST:PORT` (or `https://`, `socks5h://`), or unset it',
    });
  }
  if (url.password !== '') rememberSecret(decodeURIComponent(url.password));
  // A URL does not tell `http://host:80` from `http://host`.
  const namesPort = /:[0-9]+(\/|$)/.test(whole.slice(whole.indexOf('://') + 3).replace(/^.*@/, ''));
  if (!namesPort && url.protocol !== 'https:') url.port = DEFAULT_PORT;
  return { url, variable, label: `${url.protocol}//${url.host}` };
}

/** Whether `no_proxy` names the host: `*`, names with all below them, addresses, and ranges of addresses. */
function isExempt(target: URL, noProxy: string): boolean {
  const entries = noProxy.split(/[\s,]+/).filter((entry) => entry !== '');
  const host = target.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return entries.some((entry) => {
    if (entry === '*') return true;
    const [, name = '', entryPort] = /^\[?(.*?)\]?(?::([0-9]+))?$/.exec(isIP(entry) ? `[${entry}]` : entry)!;
    if (entryPort !== undefined && entryPort !== port) return false;
    return isIpAddress(host) ? coversAddress(name, host) : coversName(name, host);
  });
}

function coversName(entry: string, host: string): boolean {
  const name = entry
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/\.$/, '');
  return name !== '' && (host === name || host.endsWith(`.${name}`));
}

function coversAddress(entry: string, host: string): boolean {
  const [address = '', bits] = entry.split('/');
  if (!isIP(address)) return false;
  const family = (text: string) => (isIPv4(text) ? 'ipv4' : 'ipv6');
  const most = isIPv4(address) ? 32 : 128;
  const length = bits === undefined ? most : Number(bits);
  if (!Number.isInteger(length) || length < 0 || length > most) return false;
  const covered = new BlockList();
  covered.addSubnet(address, length, family(address));
  return covered.check(host, family(host));
}
