/** Names of images: `ghcr.io/owner/app:v1`, `garage@sha256:…`. Source: distribution's reference grammar, and docker's defaults. */

import { CarportError } from '../errors.js';
import { isDigest } from './documents.js';

/** A name of an image, without where it is. */
export interface ImageName {
  /** As it is written: with the registry, where one is named. */
  readonly name: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
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

function wrong(text: string, why: string): CarportError {
  return new CarportError('E_USAGE', `\`${text}\` is no name of an image: ${why}`, {
    hint: 'write it as `ghcr.io/owner/name:tag`, `localhost:5000/name:tag`, or `owner/name:tag` for docker.io',
  });
}
