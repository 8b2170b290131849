/** What a copy for readers has in its metadata. */

import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { CopyDetails } from './copy.js';

/** A copy that readers ask for again each time: its metadata say what it is a copy of. */
export interface ReaderCopy {
  readonly details: CopyDetails;
  /** Whether an object with these headers is that copy. */
  isIt(there: IncomingHttpHeaders | undefined): boolean;
}

const MARK = 'carport-copy-of';
const PREFIX = 'x-amz-meta-';
const NO_CACHE = 'no-cache';

/** Of an object with these headers; what others have noted on it goes along. */
export function readerCopyOf(key: string, headers: IncomingHttpHeaders): ReaderCopy {
  const plain = (name: string) => plainValue(headers[name]);
  const described = {
    ContentType: plain('content-type'),
    ContentDisposition: plain('content-disposition'),
    ContentEncoding: plain('content-encoding'),
    ContentLanguage: plain('content-language'),
  };
  const notes = Object.keys(headers)
    .filter((name) => name.startsWith(PREFIX) && name !== PREFIX + MARK)
    .sort()
    .flatMap((name) => {
      const value = plain(name);
      return value === undefined ? [] : [[name.slice(PREFIX.length), value] as const];
    });
  const size = headers['content-length'];
  // Of fixed length: metadata are limited, and headers have no letters of other languages.
  const mark = hash('sha256', JSON.stringify([key, headers.etag ?? headers['last-modified'], size, described, notes]));
  return {
    details: {
      ...described,
      MetadataDirective: 'REPLACE',
      CacheControl: NO_CACHE,
      Metadata: { ...Object.fromEntries(notes), [MARK]: mark },
    },
    isIt(there) {
      if (there?.[PREFIX + MARK] !== mark || there['content-length'] !== size) return false;
      // Some servers keep no Cache-Control; a redirect is what carport had here once.
      const isKept = (there['cache-control'] ?? NO_CACHE) === NO_CACHE;
      return isKept && there['x-amz-website-redirect-location'] === undefined;
    },
  };
}

/** What servers and signatures read alike. */
function plainValue(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' && /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) ? value : undefined;
}
