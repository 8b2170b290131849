/** Where the files of the index are in the bucket. People and programs have these addresses. */

import { CHANNELS, type Channel } from './catalog/model.js';
import { isFileName, isTarget } from './layout.js';
import { isVersion } from './version.js';

export const PAGE = '_releases.html';
export const GARAGE_JSON = '_releases.json';
export const INDEX_JSON = 'releases/index.json';
export const STABLE_FEED = 'releases/feed.atom';
export const FEED = 'releases/all.atom';

const DIRECTORY = 'releases/';
const SUMS = 'SHA256SUMS';

/** Of the signature of a file. */
export function signatureKey(key: string): string {
  return `${key}.minisig`;
}

/** Nothing for a version that is no safe part of a key, or would be in the place of another file of the index. */
export function sumsKey(version: string): string | undefined {
  const directory = DIRECTORY + version;
  return isVersion(version) && !isOfIndex(directory) ? `${directory}/${SUMS}` : undefined;
}

export function latestKey(channel: Channel): string {
  return `${DIRECTORY}latest/${channel}.json`;
}

/** Of the copy of a file of the latest release. Nothing for a name that is no safe part of a key. */
export function latestFileKey(channel: Channel, target: string, name: string): string | undefined {
  return isTarget(target) && isFileName(name) ? `${DIRECTORY}latest/${channel}/${target}/${name}` : undefined;
}

/** True for what an index of any releases may have below `releases/`, and for nothing else. */
export function isIndexKey(key: string): boolean {
  if (!key.startsWith(DIRECTORY)) return false;
  if (isOfIndex(key) || CHANNELS.some((channel) => key === latestKey(channel))) return true;
  const [first = '', second, third, fourth, ...more] = key.slice(DIRECTORY.length).split('/');
  if (third === undefined) {
    const sums = sumsKey(first);
    return sums !== undefined && (key === sums || key === signatureKey(sums));
  }
  if (fourth === undefined || more.length > 0) return false;
  return CHANNELS.some((channel) => second === channel && key === latestFileKey(channel, third, fourth));
}

function isOfIndex(key: string): boolean {
  return [INDEX_JSON, signatureKey(INDEX_JSON), STABLE_FEED, FEED].includes(key);
}
