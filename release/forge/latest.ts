/** Which release of a forge is the latest. Pure. */

import { compareVersions } from '../catalog/version-order.js';
import { splitComponent, versionOfTag } from '../component.js';
import type { ChannelRule } from '../version.js';

/**
 * Whether a release is to be the latest beside the one that is it now: the newest stable one is. Of a monorepo the project itself
 * stands before its components, of which none takes the place of another.
 */
export function isNewest(tag: string, current: string | undefined, channelOf: ChannelRule): boolean {
  if (current === undefined || current === tag) return true;
  const [own, other] = [versionOfTag(tag), versionOfTag(current)];
  const isStable = channelOf(own) === 'stable';
  if (isStable !== (channelOf(other) === 'stable')) return isStable;
  const [component, ofOther] = [splitComponent(own).component, splitComponent(other).component];
  if (component !== ofOther) return component === undefined;
  return compareVersions(own, other) > 0;
}
