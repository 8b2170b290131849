/** Names of releases within the page, to which feeds and people link. */

import { isVersion } from '../../release/version.js';

/** Names of the page's own: addresses with them have been there longer. */
const OWN: readonly string[] = ['releases', 'stable', 'extra', 'development'];

/** What stands after `#` for a version: the version itself. Nothing for one that is no safe name, or the page's own. */
export function anchorOf(version: string): string | undefined {
  return isVersion(version) && !OWN.includes(version) ? version : undefined;
}
