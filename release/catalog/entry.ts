/** Which objects are files of releases. */

import { aboutKey, type Notice } from '../../lib/notice.js';
import { isReleaseTime } from '../documents/kinds.js';
import { FILES, isSidecar, parseFileKey } from '../layout.js';
import type { ListedFile } from '../sources/listed.js';
import type { ReleaseFile } from './model.js';

/** Who reads `0.0.1v` is to find just that in a URL. */
const TURNS_TEXT = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** A file, and the release that it is of. */
export interface Entry {
  readonly version: string;
  readonly target: string;
  readonly file: ReleaseFile;
}

/**
 * What an object below `_releases/` is, or why it is no file of a release. `keepOnce` gives one string for all that are the
 * same: there are few targets and names of files, and many files.
 */
export function entryOf({ key, size, time }: ListedFile, keepOnce: (text: string) => string): Entry | Notice {
  const leftOut = (why: string) => aboutKey(key, `\`${key}\` ${why}, and is left out`);
  const parts = parseFileKey(key);
  if (!parts) return leftOut(`is not \`${FILES}VERSION/TARGET/FILE\``);
  const { version, target, name } = parts;
  // Browsers take such parts out of an address, and lead elsewhere.
  if ([version, target, name].some((part) => part === '.' || part === '..')) return leftOut('has a part `.` or `..`');
  if (key.includes('\ufffd')) return leftOut('is not UTF-8');
  if (TURNS_TEXT.test(key)) return leftOut('has characters that turn text round');
  if (!isReleaseTime(time)) return leftOut(`has no date: \`${time}\``);
  if (isSidecar(name)) return leftOut('is about another file');
  if (size === 0) return leftOut('is empty');
  return { version, target: keepOnce(target), file: { name: keepOnce(name), key, size, time } };
}
