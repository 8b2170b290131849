/** Where a repository of a forge is, and its API. Source: GitHub's REST documentation, Gitea's and Forgejo's API. */

import { CarportError } from '../errors.js';
import { requireTls } from '../http/require-tls.js';
import { FORGES, type ForgeKind } from './contract.js';

/** A repository of a forge. */
export interface ForgePlace {
  readonly kind: ForgeKind;
  /** Of the repository, for people: `https://github.com/owner/name`. */
  readonly address: string;
  /** The forge itself, with a `/` at its end. */
  readonly base: URL;
  /** What the API's paths are put behind, with a `/` at its end: `https://api.github.com/`. */
  readonly api: URL;
  /** Origins that get the token: of the API, and of uploads. */
  readonly trusted: readonly string[];
  readonly owner: string;
  readonly name: string;
}

export interface PlaceOptions {
  /** Also without TLS on another machine. */
  readonly plainHttp?: boolean;
  /** Where the API is, where that does not follow from the address. */
  readonly api?: string | undefined;
}

const HINT = 'write it as `gitea https://git.example.org/owner/name`, or `https://github.com/owner/name`';

/** Forges that are known by their hosts. */
const HOSTS: Readonly<Record<string, ForgeKind>> = { 'github.com': 'github', 'codeberg.org': 'forgejo' };

/** What a text such as `gitea`, `gitea:https://…` or `https://github.com/…` says of a forge. */
export function splitForge(text: string): { readonly kind?: ForgeKind; readonly address?: string } {
  const [, word = '', rest = ''] = /^([a-z]+)(?::(.*))?$/s.exec(text) ?? [];
  const kind = FORGES.find((each) => each === word);
  if (kind === undefined) return { address: text };
  return rest === '' ? { kind } : { kind, address: rest };
}

/** The repository at an address. Throws `E_USAGE` for what is none, and for one without TLS on another machine. */
export function parsePlace(address: string, given: ForgeKind | undefined, options: PlaceOptions = {}): ForgePlace {
  const url = urlOf(address);
  requireTls(url, options.plainHttp);
  const kind = given ?? kindOf(url);
  refuseOther(kind, url);
  if (kind === undefined) {
    throw new CarportError('E_USAGE', `it is not known what kind of forge \`${url.host}\` is`, {
      hint: 'say it: `--to gitea`, `--to forgejo` or `--to github`, and then the address',
    });
  }
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const [owner, name] = [parts.at(-2), parts.at(-1)?.replace(/\.git$/, '')];
  if (owner === undefined || !name || [owner, name].some((part) => !/^[\w.-]+$/.test(part) || /^\.+$/.test(part))) {
    throw wrong(address, 'does not end with the owner and the name of a repository');
  }
  const base = new URL(
    `/${parts
      .slice(0, -2)
      .map((part) => `${part}/`)
      .join('')}`,
    url,
  );
  const api = apiOf(kind, base, options);
  const trusted = [...new Set([api.origin, ...(kind === 'github' ? uploadOrigins(api, base) : [base.origin])])];
  return { kind, address: new URL(`${owner}/${name}`, base).href, base, api, trusted, owner, name };
}

/** As git has it, too: `git@host:owner/name.git`. */
function urlOf(address: string): URL {
  const [, host, path] = /^(?:ssh:\/\/)?[\w.-]+@([\w.-]+)[:/]([\w./-]+)$/.exec(address) ?? [];
  const text = host === undefined ? address : `https://${host}/${path}`;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw wrong(address, 'is no web address');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw new CarportError('E_USAGE', `the address of \`${url.host}\` has a user or a password in it`, {
      hint: 'give the token in a variable, such as CARPORT_FORGE_TOKEN, or with `--token-file`',
    });
  }
  if (url.search !== '' || url.hash !== '') throw wrong(address, 'has more than a path');
  return url;
}

function knownKind(hostname: string): ForgeKind | undefined {
  return hostname.endsWith('.ghe.com') ? 'github' : HOSTS[hostname];
}

function kindOf({ hostname }: URL): ForgeKind | undefined {
  return knownKind(hostname) ?? FORGES.find((kind) => hostname.split('.').includes(kind));
}

/** The token of one kind is not told to a forge that is known to be of the other. */
function refuseOther(kind: ForgeKind | undefined, { hostname, host }: URL): void {
  const known = knownKind(hostname);
  if (kind === undefined || known === undefined || (known === 'github') === (kind === 'github')) return;
  throw new CarportError('E_USAGE', `\`${host}\` is of the kind ${known}, and not ${kind}`, {
    hint: `say \`--to ${known}\`, or the address of the ${kind} that is meant: ${HINT}`,
  });
}

function apiOf(kind: ForgeKind, base: URL, options: PlaceOptions): URL {
  if (options.api !== undefined) {
    if (!URL.canParse(options.api)) throw wrong(options.api, 'is no web address');
    const api = new URL(options.api.replace(/\/*$/, '/'));
    requireTls(api, options.plainHttp);
    return api;
  }
  if (kind !== 'github') return new URL('api/v1/', base);
  const { hostname } = base;
  // Those that are GitHub's own machines have a host for the API.
  if (hostname === 'github.com' || hostname.endsWith('.ghe.com')) return new URL(`https://api.${hostname}/`);
  return new URL('api/v3/', base);
}

/** Where GitHub takes files: a host beside that of the API, or that of the forge itself. */
function uploadOrigins(api: URL, base: URL): readonly string[] {
  const hosts = [api.host.replace(/^api\./, 'uploads.'), `uploads.${base.host}`];
  const isOwn = api.hostname.startsWith('api.');
  return hosts.slice(0, isOwn ? 1 : 2).map((host) => `${api.protocol}//${host}`);
}

function wrong(address: string, why: string): CarportError {
  return new CarportError('E_USAGE', `\`${address}\` is no repository of a forge: it ${why}`, { hint: HINT });
}
