/** What a place of a cache has that no listing shows: files that are none, what was not finished, what nobody may read. */

import { basename } from 'node:path';
import { isTemporaryName } from '../../lib/filesystem/temporary.js';
import type { UnfinishedUpload } from '../../lib/object-store/s3/parts/uploads.js';
import {
  findStrangeFiles,
  finishedName,
  letRead,
  removeStrangeFile,
  type StrangeFile,
} from '../../lib/object-store/strange-files.js';
import { isKeyOfCache } from '../layout.js';
import type { BucketAdmin } from '../open.js';
import type { Finding, Repair } from './finding.js';

/** Finds what a listing does not show, and does away with it. */
export interface Oddities {
  find(): Promise<readonly Finding[]>;
  /** Mends one of these; `undefined` for what it is not for. */
  repair(finding: Finding): Promise<Repair | undefined>;
}

/** A file that others are just writing is not that old, in milliseconds. */
const HOUR = 60 * 60 * 1000;

/** Of a store that has none. */
export const NO_ODDITIES: Oddities = { find: async () => [], repair: async () => undefined };

/** Those of a directory of this machine. */
export function oddFiles(root: string): Oddities {
  const found = new Map<string, StrangeFile>();
  return {
    async find() {
      found.clear();
      const findings: Finding[] = [];
      for await (const file of findStrangeFiles(root)) {
        // What others keep beside the cache is theirs.
        if (!isOfCache(file.path)) continue;
        found.set(file.path, file);
        findings.push(findingOf(file));
      }
      return findings;
    },
    async repair({ key }) {
      const file = found.get(key);
      if (file === undefined || file.what === 'link') return undefined;
      if (file.what === 'unreadable') {
        if (await letRead(root, key)) return { did: 'mended', key, message: 'can be read like what is around it' };
        return { did: 'refused', key, message: 'this user may not change who reads it' };
      }
      const age = Date.now() - (file.modified ?? 0);
      if (file.what === 'temporary' && age < HOUR) {
        return { did: 'refused', key, message: 'it is younger than an hour: somebody may be writing it' };
      }
      if (await removeStrangeFile(root, key)) return { did: 'removed', key, message: WORDS[file.what] };
      return { did: 'refused', key, message: 'there is something in this directory: look at it, and remove it' };
    },
  };
}

/** Whether a file is, or would be when it is finished, a part of the cache, or holds its parts. */
function isOfCache(path: string): boolean {
  return (
    path === '.' || isKeyOfCache(finishedName(path)) || isKeyOfCache(`${path}/x`) || isTemporaryName(basename(path))
  );
}

const WORDS: Readonly<Record<StrangeFile['what'], string>> = {
  temporary: 'a file that nobody has finished',
  'directory-for-file': 'a directory where a file should be',
  special: 'it is neither a file nor a directory',
  'dangling-link': 'a link that leads nowhere',
  link: 'a link to another file, which is read in its place',
  unreadable: 'it cannot be read',
};

function findingOf({ path: key, what, detail }: StrangeFile): Finding {
  const message = detail === '' ? WORDS[what] : `${WORDS[what]}: ${detail}`;
  switch (what) {
    case 'temporary':
      return { kind: 'temporary', key, message };
    case 'link':
      return { kind: 'link', key, message };
    case 'unreadable':
      return { kind: 'unreadable', key, message, hint: 'the cache is not damaged for that: let its readers read it' };
    default:
      return { kind: 'not-a-file', key, message };
  }
}

/** Uploads in parts to a bucket that nobody has finished. `isBusy`: whether a push is under way. */
export function oddUploads(bucket: BucketAdmin, isBusy: () => Promise<boolean>): Oddities {
  const found = new Map<string, UnfinishedUpload>();
  return {
    async find() {
      found.clear();
      const uploads = await bucket.unfinishedUploads();
      return uploads.map((upload): Finding => {
        const key = `${upload.key}?uploadId=${upload.id}`;
        found.set(key, upload);
        const since = upload.begun === undefined ? '' : ` since ${upload.begun.toISOString()}`;
        return { kind: 'upload-unfinished', key, message: `parts of an upload that is not finished${since}` };
      });
    },
    async repair({ key }) {
      const upload = found.get(key);
      if (upload === undefined) return undefined;
      if (await isBusy()) return { did: 'refused', key, message: 'a push is under way, whose upload it may be' };
      const isGone = await bucket.abortUpload(upload);
      return { did: 'removed', key, message: isGone ? 'its parts are removed' : 'it is not there any more' };
    },
  };
}
