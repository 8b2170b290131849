/** The page of releases at the root of a bucket: `index.html`, where servers look for the page of a directory. */

import { RELEASE_PAGE_MARK } from '../../index-generator/html/page.js';
import { hasCode } from '../../lib/errors.js';
import type { ReadStore } from '../../lib/object-store/object-store.js';
import { ROOT_PAGE } from '../../release/layout.js';
import type { Settings } from '../settings/setting.js';

/** What is at the root: `other` is a page that is none of ours. */
export type RootPage = 'absent' | 'own' | 'other';

/** More than any page of ours has. */
const LIMIT = 16 * 1024 * 1024;

/** Looks at what is there; what cannot be read as a file of a page's size is another's. */
export async function lookAtRootPage(objects: ReadStore): Promise<RootPage> {
  try {
    const there = await objects.read(ROOT_PAGE, LIMIT);
    if (there === undefined) return 'absent';
    return there.includes(RELEASE_PAGE_MARK) ? 'own' : 'other';
  } catch (error) {
    if (hasCode(error, 'E_FORMAT', 'E_IO')) return 'other';
    throw error;
  }
}

/** Whether the page is written there: never in place of another one, unless that is said. */
export function writesRootPage(setting: Settings['index-html'], there: RootPage): boolean {
  const { value = 'keep' } = setting;
  return value === 'replace' || (value === 'keep' && there !== 'other');
}

/** What people are to know of a page that stays, if anything. */
export function tellOtherPage(setting: Settings['index-html'], there: RootPage): string | undefined {
  if (there !== 'other' || (setting.value ?? 'keep') !== 'keep') return undefined;
  return `\`${ROOT_PAGE}\` is another page, and stays as it is: \`--index-html replace\` puts the page of releases there, \`--index-html none\` says no more of it`;
}
