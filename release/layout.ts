/** Where releases are in a bucket. Addresses of files are an interface: people have them in scripts. */

import { isVersion } from './version.js';

/** Files that are published: `_releases/<version>/<target>/<file>`. */
export const FILES = '_releases/';

/** Fragments, one for each version and target. */
export const FRAGMENTS = 'carport/releases/';

/** Versions that should not be used any more. */
export const YANKS = 'carport/yanks/';

/** Versions that are being made of another. */
export const PROMOTIONS = 'carport/promotions/';

/** Versions that will be removed. */
export const PRUNINGS = 'carport/prunings/';

/** What the publisher of the index knew of all this. */
export const LEDGER_KEY = 'carport/ledger.json';

export function fileKey(version: string, target: string, name: string): string {
  return `${FILES}${version}/${target}/${name}`;
}

export function fragmentKey(version: string, target: string): string {
  return `${FRAGMENTS}${version}/${target}.json`;
}

/** Of a document about a version; `directory` is `YANKS`, `PROMOTIONS` or `PRUNINGS`. */
export function versionKey(directory: string, version: string): string {
  return `${directory}${version}.json`;
}

/** What a key of a file is made of; `undefined` for a key that is none. Text of it may be anything but `/`. */
export function parseFileKey(
  key: string,
): { readonly version: string; readonly target: string; readonly name: string } | undefined {
  if (!key.startsWith(FILES)) return undefined;
  const [version, target, name, ...more] = key.slice(FILES.length).split('/');
  if (!version || !target || !name || more.length > 0) return undefined;
  return { version, target, name };
}

/** True for the name of a file about a file, such as a checksum. They are no builds, and belong elsewhere. */
export function isSidecar(name: string): boolean {
  return /\.(asc|md5|minisig|sha1|sha256|sha256sum|sha512|sha512sum|sig)$/.test(name);
}

/** True for the triple of a platform, and for what is as safe as that in a key, a URL and a shell. */
export function isTarget(text: string): boolean {
  return isVersion(text);
}

/** True for the name of a file that can be published. */
export function isFileName(text: string): boolean {
  return isVersion(text);
}
