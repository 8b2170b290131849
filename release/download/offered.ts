/** What releases a bucket or a website offers to who downloads them: of its signed index, else of what lies in the bucket. */

import { hasCode } from '../../lib/errors.js';
import type { Notice } from '../../lib/notice.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { buildReleaseIndex } from '../catalog/build.js';
import { latestOf } from '../catalog/latest.js';
import { allReleases } from '../catalog/model.js';
import { ownRules, type ProjectRules } from '../catalog/rules.js';
import { splitComponent } from '../component.js';
import type { Project } from '../documents/kinds.js';
import { readPublishedIndex } from '../sources/published-index.js';
import { readSources } from '../sources/sources.js';
import { CHANNELS, type Channel } from '../version.js';

/** A file of a release. Names are as hostile as the bucket. */
export interface OfferedFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** In hex digits; nothing where nobody has signed it. */
  readonly sha256?: string | undefined;
}

/** A release, as far as a download needs to know it. */
export interface OfferedRelease {
  readonly version: string;
  readonly channel: string;
  readonly component?: string | undefined;
  /** Why it should not be used. */
  readonly yanked?: string | undefined;
  readonly incomplete: boolean;
  /** Absent where nobody has signed it. */
  readonly signed?: true | undefined;
  readonly targets: readonly { readonly target: string; readonly files: readonly OfferedFile[] }[];
}

/** All that there are, in the order of the index: of each channel the newest first. */
export interface Offer {
  readonly releases: readonly OfferedRelease[];
  /** The key that has signed the index; nothing where the documents of the bucket were read, each of which is signed. */
  readonly keyName?: string;
  readonly warnings: readonly Notice[];
}

/** How an offer is read and believed. */
export interface OfferRequest {
  readonly policy: TrustPolicy;
  /** The rules of the project: what is set, and what the index remembers where nothing is. */
  rulesOf(project: Project | undefined): ProjectRules;
  pause(milliseconds: number): Promise<void>;
}

/**
 * Reads what is offered. That is the published index, which takes two GETs; where it is not there, or does not have what is
 * wanted, a bucket that can be listed is read itself. Throws as `readPublishedIndex` does.
 */
export async function readOffer(objects: ObjectStore, wanted: string, request: OfferRequest): Promise<Offer> {
  const { policy, pause } = request;
  const published = await readPublishedIndex(objects, policy.keys, pause, policy).catch((error: unknown) => {
    if (hasCode(error, 'E_NOT_FOUND') && isListable(objects)) return undefined;
    throw error;
  });
  if (published !== undefined) {
    const releases = published.releases.map(
      (release): OfferedRelease => ({
        ...{ version: release.version, channel: release.channel, component: release.component },
        yanked: release.yanked === null ? undefined : (release.yanked.reason ?? ''),
        incomplete: release.state === 'incomplete',
        signed: release.signed === false ? undefined : true,
        targets: release.targets.map(({ target, files }) => ({
          target,
          files: files.map(({ name, size = Number.NaN, sha256 }) => ({ name, size, sha256: sha256 ?? undefined })),
        })),
      }),
    );
    const isEnough = channelNamed(wanted) !== undefined || releases.some(({ version }) => version === wanted);
    if (isEnough || !isListable(objects))
      return { releases, warnings: [], ...(published.keyName && { keyName: published.keyName }) };
  }
  return readBucket(objects, request);
}

async function readBucket(objects: ObjectStore, { policy, rulesOf }: OfferRequest): Promise<Offer> {
  const sources = await readSources(objects, policy);
  const { channelOf, requiredTargets } = rulesOf(sources.project);
  const { index, warnings } = buildReleaseIndex(sources, ownRules(channelOf), requiredTargets);
  const releases = allReleases(index).map(
    (release): OfferedRelease => ({
      ...{ version: release.version, channel: release.channel, component: release.component },
      yanked: release.yanked?.reason,
      incomplete: release.incomplete === true,
      signed: release.signed === undefined ? undefined : true,
      targets: release.targets,
    }),
  );
  return { releases, warnings };
}

/** A channel, or that of a component: `stable`, `cli@stable`. */
export function channelNamed(word: string): { readonly channel: Channel; readonly component?: string } | undefined {
  const { component, proper } = splitComponent(word);
  const channel = CHANNELS.find((each) => each === proper);
  return channel === undefined ? undefined : { channel, ...(component !== undefined && { component }) };
}

/** The release that is meant: that version, or the newest of a channel that can be used, as `releases/latest` has it. */
export function findRelease({ releases }: Offer, wanted: string): OfferedRelease | undefined {
  const of = channelNamed(wanted);
  if (of === undefined) return releases.find(({ version }) => version === wanted);
  const ofChannel = releases.filter(({ channel }) => channel === of.channel);
  return latestOf(ofChannel, [], of.component);
}
