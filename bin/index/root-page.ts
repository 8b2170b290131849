/** The page of releases at the root of a bucket: `index.html`, where servers look for the page of a directory. */

import { isReleasePage } from '../../index-generator/html/page.js';
import { insteadOf } from '../../lib/errors.js';
import type { ReadStore } from '../../lib/object-store/object-store.js';
import { ROOT_PAGE } from '../../release/layout.js';
import type { Settings } from '../settings/setting.js';

/** More bytes than any page of ours has. */
const LIMIT = 16 * 1024 * 1024;

/** Whether there is a page of releases, or another one; nothing where there is none. */
export async function lookAtRootPage(objects: ReadStore): Promise<'own' | 'other' | undefined> {
  // What is too large for one of ours, or no file, is another's.
  const there = await objects.read(ROOT_PAGE, LIMIT).catch(insteadOf('E_FORMAT', Buffer.alloc(0)));
  if (there === undefined) return undefined;
  return isReleasePage(there) ? 'own' : 'other';
}

/** How the page is written there: not at all where nothing is said. */
export function rootPageOf(setting: Settings['index-html']): { readonly rootPage?: 'keep' | 'replace' } {
  const { value = 'keep' } = setting;
  return value === 'none' ? {} : { rootPage: value };
}

/** Whether a directory that has this page may have ours in its place. */
export function mayWrite({ value }: Settings['index-html'], there: 'own' | 'other' | undefined): boolean {
  return value === 'replace' || there !== 'other';
}
