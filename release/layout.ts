/**
 * Where releases and their index are in a bucket: every key, and what it is made of. These addresses are an interface, which
 * people and programs have in scripts.
 */

import { splitComponent } from './component.js';
import { CHANNELS, type Channel, isVersion } from './version.js';

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

/** Everything of an index but its pages is below it. */
export const INDEX = 'releases/';

const LATEST_NAME = 'latest';

/** What leads to the latest release of each channel. */
const LATEST = `${INDEX}${LATEST_NAME}/`;

/** The pages of an index begin so. */
export const PAGES = '_releases.';

/** The file of the checksums of a version. */
export const SUMS = 'SHA256SUMS';

/** What follows the name of a file in that of its signature. */
const SIGNATURE = '.minisig';

/** The indexes that Python's installers read, of each channel. */
const SIMPLE: Readonly<Record<Channel, string>> = {
  stable: 'simple/',
  extra: 'simple-extra/',
  development: 'simple-development/',
};

/** What the keys of all of them begin with; others' keys may, too. */
export const SIMPLE_PREFIX = 'simple';

const SUMS_FILES: readonly string[] = [SUMS, `${SUMS}${SIGNATURE}`];

/** The key of a file of a release. */
export function fileKey(version: string, target: string, name: string): string {
  return `${FILES}${version}/${target}/${name}`;
}

/** The key of the fragment of one target of a version. */
export function fragmentKey(version: string, target: string): string {
  return `${FRAGMENTS}${version}/${target}.json`;
}

/** The key of a document about a version; `directory` is `YANKS`, `PROMOTIONS` or `PRUNINGS`. */
export function versionKey(directory: string, version: string): string {
  return `${directory}${version}.json`;
}

/** Whether a key is that of a file of a version, of one of its fragments, or of another document about it. */
export function isKeyOfVersion(key: string, version: string): boolean {
  if ([FILES, FRAGMENTS].some((directory) => key.startsWith(`${directory}${version}/`))) return true;
  return [YANKS, PROMOTIONS, PRUNINGS].some((directory) => key === versionKey(directory, version));
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

/** The version that an object is of; nothing in it for one of the index; `undefined` for an object that is of no release. */
export function releaseOfKey(key: string): string | undefined {
  const file = parseFileKey(key);
  if (file) return file.version;
  if (key.startsWith(FRAGMENTS)) return key.slice(FRAGMENTS.length).split('/')[0];
  const directory = [YANKS, PROMOTIONS, PRUNINGS].find((each) => key.startsWith(each));
  if (directory !== undefined) return key.slice(directory.length).replace(/\.json$/, '');
  return key === LEDGER_KEY || key.startsWith(PAGES) || isIndexKey(key) || isSimpleKey(key) ? '' : undefined;
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

/** The page of all releases, beside the files. */
export const PAGE = `${PAGES}html`;

/** The same page at the root, where servers look for the page of a directory. */
export const ROOT_PAGE = 'index.html';

/** All releases, as Garage's own generator has them. */
export const GARAGE_JSON = `${PAGES}json`;

export const INDEX_JSON = `${INDEX}index.json`;
export const STABLE_FEED = `${INDEX}feed.atom`;
export const FEED = `${INDEX}all.atom`;

/** The key of the signature of the file at a key. */
export function signatureKey(key: string): string {
  return `${key}${SIGNATURE}`;
}

/** True for the key of a signature of another file. */
export function isSignatureKey(key: string): boolean {
  return key.endsWith(SIGNATURE);
}

/**
 * The key of the checksums of a version; `undefined` for a version that is no safe part of a key, or would be in the place of
 * another file of the index.
 */
export function sumsKey(version: string): string | undefined {
  const directory = INDEX + version;
  return isVersion(version) && !isOfIndex(directory) ? `${directory}/${SUMS}` : undefined;
}

/**
 * The key of the checksums of one target of a version, by the bare names of its files; `undefined` for a target that is no safe
 * part of a key, or would be in the place of another file of the index.
 */
export function targetSumsKey(version: string, target: string): string | undefined {
  // The latest releases have their directory there.
  if (sumsKey(version) === undefined || version === LATEST_NAME) return undefined;
  return isTarget(target) && !SUMS_FILES.includes(target) ? `${INDEX}${version}/${target}/${SUMS}` : undefined;
}

/** Which releases have a latest one: those of a channel, of the project itself or of a component. */
export interface LatestOf {
  readonly channel: Channel;
  readonly component?: string | undefined;
}

/** The key of the JSON file about the latest release; `undefined` for a component that is no safe part of a key. */
export function latestKey(of: LatestOf): string | undefined {
  const name = latestName(of);
  return name === undefined ? undefined : `${LATEST}${name}.json`;
}

/** The key of the copy of a file of the latest release; `undefined` for a name that is no safe part of a key. */
export function latestFileKey(of: LatestOf, target: string, name: string): string | undefined {
  const directory = latestName(of);
  if (directory === undefined || !isTarget(target) || !isFileName(name)) return undefined;
  return `${LATEST}${directory}/${target}/${name}`;
}

/** `stable`, and `cli@stable` of a component. */
function latestName({ channel, component }: LatestOf): string | undefined {
  if (component === undefined) return channel;
  return isVersion(component) ? `${component}@${channel}` : undefined;
}

/** What a name such as `cli@stable` says. */
function parseLatestName(name: string): LatestOf | undefined {
  const { component, proper } = splitComponent(name);
  const channel = CHANNELS.find((each) => each === proper);
  return channel === undefined ? undefined : { channel, component };
}

/**
 * The version of a key of checksums, of all or of one target, or of their signature; `undefined` for any other key. A version may
 * be called as another part of the index.
 */
export function parseSumsKey(key: string): { readonly version: string; readonly isSignature: boolean } | undefined {
  if (!key.startsWith(INDEX)) return undefined;
  const isSignature = isSignatureKey(key);
  const file = isSignature ? key.slice(0, -SIGNATURE.length) : key;
  const [version, second, third, ...more] = file.slice(INDEX.length).split('/');
  if (!version || second === undefined || more.length > 0) return undefined;
  const isSums = third === undefined ? second === SUMS : file === targetSumsKey(version, second);
  return isSums ? { version, isSignature } : undefined;
}

/** True for what an index of any releases may have below `releases/`, and for nothing else. */
export function isIndexKey(key: string): boolean {
  if (!key.startsWith(INDEX)) return false;
  if (isOfIndex(key) || isLatestKey(key)) return true;
  const [first = '', second, third, fourth, ...more] = key.slice(INDEX.length).split('/');
  if (third === undefined) {
    const sums = sumsKey(first);
    return sums !== undefined && (key === sums || key === signatureKey(sums));
  }
  if (fourth === undefined) return SUMS_FILES.includes(third) && targetSumsKey(first, second ?? '') !== undefined;
  if (more.length > 0) return false;
  const of = parseLatestName(second ?? '');
  return of !== undefined && key === latestFileKey(of, third, fourth);
}

/** The keys of a simple index of a channel: of all projects, or of one, by its normal name. */
export function simpleKey(channel: Channel, kind: 'html' | 'json', project?: string): string {
  return `${SIMPLE[channel]}${project === undefined ? '' : `${project}/`}index.${kind}`;
}

/** True for what simple indexes may have, and for nothing else; others may have had the same idea. */
export function isSimpleKey(key: string): boolean {
  const root = Object.values(SIMPLE).find((each) => key.startsWith(each));
  return root !== undefined && /^([a-z0-9]+(-[a-z0-9]+)*\/)?index\.(html|json)$/.test(key.slice(root.length));
}

/** True for the page of one project of a simple index. */
export function isSimpleProjectKey(key: string): boolean {
  return isSimpleKey(key) && key.split('/').length === 3;
}

/** The directories of simple indexes, with a `/` at their end. */
export const SIMPLE_DIRECTORIES: readonly string[] = Object.values(SIMPLE);

function isLatestKey(key: string): boolean {
  const of = key.startsWith(LATEST) && parseLatestName(key.slice(LATEST.length).replace(/\.json$/, ''));
  return of ? key === latestKey(of) : false;
}

function isOfIndex(key: string): boolean {
  return [INDEX_JSON, signatureKey(INDEX_JSON), STABLE_FEED, FEED].includes(key);
}
