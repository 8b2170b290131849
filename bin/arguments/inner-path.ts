/** Paths within store paths of a cache, which may begin with a pin. */

import type { PinValue } from '../../cache/pins/pin.js';
import { type PinReference, parsePinReference } from '../../cache/pins/reference.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { DEFAULT_STORE_DIR, hashPartOf, isHashPart, isStoreBaseName } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';

/** A path, relative to the store path that a hash part is of; empty for that itself. */
interface InnerPath {
  readonly hashPart: string;
  readonly inner: string;
}

/** What `/nix/store/HASH-NAME/bin/hello`, `HASH-NAME/bin/hello`, `HASH/bin/hello` or `PIN/bin/hello` means. */
export async function findInnerPath(
  text: string,
  { url }: ObjectStore,
  read: (pin: PinReference) => Promise<PinValue>,
): Promise<InnerPath> {
  const [name = '', ...rest] = text.split('/');
  const pin = isHashPart(name) || isStoreBaseName(name) ? undefined : parsePinReference(name);
  if (pin === undefined) return parseInnerPath(text);
  const { storePaths } = await read(pin).catch((error) => {
    throw hasCode(error, 'E_NOT_FOUND') ? neither(text, url) : error;
  });
  const [path, other] = storePaths;
  if (path !== undefined && other === undefined) return { hashPart: hashPartOf(path), inner: joined(rest) };
  throw new CarportError('E_USAGE', `the pin \`${pin.text}\` in \`${url}\` is for ${storePaths.length} paths`, {
    hint: `name one of them: ${storePaths.map((each) => `\`${each}\``).join(', ')}`,
  });
}

function neither(text: string, url: string): CarportError {
  return new CarportError('E_USAGE', `\`${text}\` is neither a store path or a path in one, nor a pin of \`${url}\``, {
    hint: `write \`${DEFAULT_STORE_DIR}/HASH-NAME/FILE\` or \`PIN/FILE\`; \`carport pin ls --cache URL\` prints the pins`,
  });
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('/');
}

function parseInnerPath(text: string): InnerPath {
  const relative = text.startsWith(`${DEFAULT_STORE_DIR}/`) ? text.slice(DEFAULT_STORE_DIR.length + 1) : text;
  const [name = '', ...inner] = relative.split('/');
  if (isHashPart(name)) return { hashPart: name, inner: joined(inner) };
  if (isStoreBaseName(name)) return { hashPart: hashPartOf(name), inner: joined(inner) };
  const elsewhere = text.startsWith('/') && text.split('/').slice(1).findIndex(isStoreBaseName);
  if (typeof elsewhere === 'number' && elsewhere > 0) {
    const storeDir = text.split('/', elsewhere + 1).join('/');
    throw new CarportError('E_USAGE', `\`${text}\` is a path of the store \`${storeDir}\``, {
      hint: `paths of \`${DEFAULT_STORE_DIR}\` can be looked at; of another store's cache name the path without its store, from its hash part on`,
    });
  }
  throw new CarportError('E_USAGE', `\`${text}\` is not a store path or a path in one`, {
    hint: `write \`${DEFAULT_STORE_DIR}/HASH-NAME/FILE\`, or what follows \`${DEFAULT_STORE_DIR}/\``,
  });
}
