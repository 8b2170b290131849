/** Makes a candidate that is published on a forge a stable release: the same files, another title, no prerelease any more. */

import { CarportError } from '../../lib/errors.js';
import type { Forge } from '../../lib/forge/contract.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import { settleAssets } from './assets.js';
import { differs, type ForgeRequest, type ForgeResult, latestOf } from './publish.js';
import { differenceOfText } from './text.js';
import { checkTag } from './wanted.js';

/** Files are compared only where there are any. */
export async function promoteOnForge(
  forge: Forge,
  { wanted, channelOf, dryRun, keepsExtra }: ForgeRequest,
  work: Work<ActivityEvent>,
): Promise<ForgeResult> {
  const { tag, assets } = wanted;
  await checkTag(forge, { ...wanted, createsTag: false });
  const [release] = await forge.releasesOf(tag);
  if (release === undefined || release.isDraft) {
    const what = release ? 'is still a draft' : 'is not there';
    throw new CarportError('E_NOT_FOUND', `the release \`${tag}\` at \`${forge.address}\` ${what}`, {
      hint: 'publish it first: the same command without `--promote`',
    });
  }
  const settled =
    assets.length === 0
      ? { assets: [], removed: [], differences: [] }
      : await settleAssets(forge, release, assets, { may: 'look', readsAll: false }, work);
  const open = settled.differences.filter(({ fault }) => fault !== 'extra' || !keepsExtra);
  if (open.length > 0) throw differs(forge, tag, open);
  const title = wanted.title ?? stableTitle(release.title);
  const isLatest = await latestOf(forge, { ...wanted, isPrerelease: false }, channelOf);
  const told = forge.traits.isToldLatest ? isLatest : undefined;
  const { text: asked } = await differenceOfText(forge, release, { ...wanted, isPrereleaseSaid: false });
  if (!release.isPrerelease && title === release.title && Object.keys(asked).length === 0) {
    return { ...settled, state: 'unchanged', release, isLatest: undefined };
  }
  if (dryRun) return { ...settled, state: 'planned', release, isLatest: told };
  const text = { ...asked, title, isPrerelease: false, ...(told !== undefined && { isLatest: told }) };
  return { ...settled, state: 'promoted', release: await forge.edit(release, text), isLatest: told };
}

/** As people do it by hand: `Candidate 20231004.665` becomes `Stable 20231004.665`. */
export function stableTitle(title: string): string {
  return title
    .replace(/\bcandidate\b/g, 'stable')
    .replace(/\bCandidate\b/g, 'Stable')
    .replace(/\bCANDIDATE\b/g, 'STABLE');
}
