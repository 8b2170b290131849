/** Names of images: `ghcr.io/owner/app:v1`, `garage@sha256:…`. Source: distribution's reference grammar, and docker's defaults. */

import { CarportError } from '../errors.js';
import { isLoopbackName } from '../http/ip-address.js';
import { isDigest } from './documents.js';

/** A name of an image, without where it is. */
export interface ImageName {
  /** As it is written: with the registry, where one is named. */
  readonly name: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** An image in a registry. */
export interface RegistryReference {
  /** As it is written and as passwords have it: `docker.io`, `ghcr.io`, `localhost:5000`. */
  readonly registry: string;
  /** Where its server is. */
  readonly origin: URL;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const HOST = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$/;

/** What can only be meant for a server, where it stands alone: docker.io has no such names. */
const SERVER = /^localhost$|\./;

const DOCKER = 'docker.io';
const DOCKER_SERVER = 'registry-1.docker.io';

/** Splits the tag and the digest off a name. Throws `E_USAGE` for what cannot be the name of an image. */
export function parseImageName(text: string): ImageName {
  const [named, digest, ...more] = text.split('@') as [string, ...string[]];
  const slash = named.lastIndexOf('/');
  const colon = named.indexOf(':', slash + 1);
  const [name, tag] = colon === -1 ? [named, undefined] : [named.slice(0, colon), named.slice(colon + 1)];
  if (more.length > 0 || (digest !== undefined && !isDigest(digest))) {
    throw wrong(text, 'what follows `@` is no sha256 digest');
  }
  if (tag !== undefined && !TAG.test(tag)) throw wrong(text, `\`${tag}\` cannot be a tag`);
  const path = name
    .replace(/^[a-z]+:\/\//, '')
    .replace(/^[^/]*[.:\]][^/]*\//, '')
    .replace(/^localhost\//, '');
  if (!REPOSITORY.test(path) || path.length > 255) {
    throw wrong(
      text,
      path !== path.toLowerCase()
        ? 'names of images have no capital letters'
        : `\`${path}\` cannot be the name of an image`,
    );
  }
  return { name, tag, digest };
}

/**
 * The image of a registry that a text names, as docker reads it: `docker.io` where no registry is named. Plain HTTP is for this
 * machine; with `plainHttp` also for a registry that is written with `http://`, and for no other. Throws `E_USAGE`.
 */
export function parseReference(
  text: string,
  { plainHttp = false }: { readonly plainHttp?: boolean } = {},
): RegistryReference {
  const { name, tag, digest } = parseImageName(text.replace(/^docker:\/\//, ''));
  const [, scheme, rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/.exec(name)!;
  const [first = '', ...others] = rest.split('/');
  const isNamed = others.length > 0 && (/[.:\]]/.test(first) || first === 'localhost' || scheme !== undefined);
  const host = isNamed ? first : DOCKER;
  if (others.length === 0 && SERVER.test(first))
    throw wrong(text, `\`${first}\` is a registry, and no repository of one`);
  if (!HOST.test(host) || (scheme !== undefined && scheme !== 'http' && scheme !== 'https'))
    throw wrong(text, `\`${host}\` is no server`);
  const path = isNamed ? others.join('/') : rest;
  const registry = /^(index\.|registry-1\.)?docker\.io$/.test(host) ? DOCKER : host;
  const repository = registry === DOCKER && !path.includes('/') ? `library/${path}` : path;
  const isHere = isLoopbackName(hostnameOf(host));
  if (scheme === 'http' && !isHere && (!plainHttp || registry === DOCKER)) {
    throw new CarportError('E_USAGE', `\`${host}\` would be spoken to without TLS`, {
      hint: registry === DOCKER ? 'write it without `http://`' : 'write `https://`, or allow it with `--plain-http`',
    });
  }
  const isPlain = scheme === 'http' || (scheme === undefined && isHere);
  const origin = new URL(`${isPlain ? 'http' : 'https'}://${registry === DOCKER ? DOCKER_SERVER : host}`);
  return { registry, origin, repository, tag, digest };
}

export function renderReference({ registry, repository, tag, digest }: RegistryReference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function hostnameOf(host: string): string {
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host;
}

function wrong(text: string, why: string): CarportError {
  return new CarportError('E_USAGE', `\`${text}\` is no name of an image: ${why}`, {
    hint: 'write it as `ghcr.io/owner/name:tag`, `localhost:5000/name:tag`, or `owner/name:tag` for docker.io',
  });
}
