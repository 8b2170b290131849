/** What a published release says of itself, beside what was asked for: title, notes, prerelease, latest. */

import type { Forge, ForgeRelease, ReleaseText } from '../../lib/forge/contract.js';
import type { WantedRelease } from './wanted.js';

/** What differs: as it is sent to the forge, and in words, where that is for sure. */
export interface TextDifference {
  readonly text: ReleaseText;
  readonly told: readonly string[];
}

/** Only what was asked for counts: all else may have been changed by people, and stays. */
export async function differenceOfText(
  forge: Forge,
  release: ForgeRelease,
  { title, notes, isPrerelease, isPrereleaseSaid, isLatest }: WantedRelease,
): Promise<TextDifference> {
  const parts: [ReleaseText, string?][] = [];
  if (title !== undefined && title !== release.title) {
    parts.push([{ title }, `its title is \`${release.title}\` and should be \`${title}\``]);
  }
  if (notes !== undefined && bare(notes) !== bare(release.notes)) parts.push([{ notes }, 'it has other notes']);
  if (isPrereleaseSaid && isPrerelease !== release.isPrerelease) {
    parts.push([{ isPrerelease }, isPrerelease ? 'it is no prerelease' : 'it is a prerelease']);
  }
  if (isLatest !== undefined && forge.traits.isToldLatest) {
    const isShown = (await forge.latest())?.id === release.id;
    // The only stable one is shown as the latest, whatever was said of it.
    if (isShown !== isLatest) parts.push(isLatest ? [{ isLatest }, 'it is not the latest'] : [{ isLatest }]);
  }
  return { text: Object.assign({}, ...parts.map(([text]) => text)), told: parts.flatMap(([, told]) => told ?? []) };
}

/** Forges change line ends, and what is at the end. */
function bare(notes: string): string {
  return notes.replaceAll('\r\n', '\n').trim();
}
