/** The newest release of a channel that can be used. */

import { aboutVersion, type Notice } from '../../lib/notice.js';
import { CHANNELS, type Channel } from '../version.js';
import type { Release, ReleaseIndex } from './model.js';

/** What a choice of the latest release depends on. */
export interface Eligible {
  readonly channel: string;
  readonly component?: string | undefined;
  readonly yanked?: unknown;
  readonly incomplete?: boolean | undefined;
  readonly signed?: unknown;
  readonly targets: readonly { readonly target: string }[];
}

/**
 * The first of a channel's releases, of the project itself or of a component, that can be used: not yanked, all of it there,
 * and signed where another is: who has no key cannot name the latest. It has all `requiredTargets`; where it is not said which
 * these are, a stable one has those of the stable one before it: else it would be the latest as soon as the first of its jobs is
 * done.
 */
export function latestOf<R extends Eligible>(
  releases: readonly R[],
  requiredTargets: readonly string[] = [],
  component?: string,
): R | undefined {
  const eligible = eligibleOf(releases, requiredTargets, component);
  if (requiredTargets.length > 0) return eligible[0];
  return eligible.find((release, index) => lackingOf(release, eligible[index + 1]).length === 0);
}

/** The latest of the project itself, and of each component. */
export function allLatestOf(releases: readonly Release[], requiredTargets?: readonly string[]): readonly Release[] {
  return componentsOf(releases).flatMap((component) => latestOf(releases, requiredTargets, component) ?? []);
}

/** In the order of the releases, the project itself first. */
function componentsOf(releases: readonly Release[]): readonly (string | undefined)[] {
  return [...new Set([undefined, ...releases.map(({ component }) => component)])];
}

/** What to say of the choice of the latest releases. */
export function warningsOfLatest({ releases }: ReleaseIndex, requiredTargets: readonly string[]): readonly Notice[] {
  return CHANNELS.flatMap((channel) =>
    componentsOf(releases[channel]).flatMap((component) => [
      ...tellUnsigned(channel, releases[channel], requiredTargets, component),
      ...tellLacking(releases[channel], requiredTargets, component),
    ]),
  );
}

function tellUnsigned(
  channel: Channel,
  releases: readonly Release[],
  requiredTargets: readonly string[],
  component: string | undefined,
): readonly Notice[] {
  const [first] = usableOf(releases, requiredTargets, component);
  if (first === undefined || first === eligibleOf(releases, requiredTargets, component)[0]) return [];
  const message = `\`${first.version}\` is not signed, as others of its channel are, and so is not the latest ${channel} one`;
  return [aboutVersion(first.version, message)];
}

function tellLacking(
  releases: readonly Release[],
  requiredTargets: readonly string[],
  component: string | undefined,
): readonly Notice[] {
  const latest = latestOf(releases, requiredTargets, component);
  const [first, before] = eligibleOf(releases, requiredTargets, component);
  if (first === undefined || first === latest) return [];
  return [
    aboutVersion(
      first.version,
      `\`${first.version}\` is not the latest stable one: it lacks ${lackingOf(first, before).join(', ')}, which \`${before?.version}\` has; if they are not to come, set \`required-targets\` to those that are`,
    ),
  ];
}

/** Targets that the release before a stable one has, and it has not. */
function lackingOf({ channel, targets }: Eligible, before: Eligible | undefined): readonly string[] {
  if (channel !== 'stable' || before === undefined) return [];
  const here = new Set(targets.map(({ target }) => target));
  return before.targets.flatMap(({ target }) => (here.has(target) ? [] : [target]));
}

function eligibleOf<R extends Eligible>(
  releases: readonly R[],
  requiredTargets: readonly string[],
  component: string | undefined,
): readonly R[] {
  const usable = usableOf(releases, requiredTargets, component);
  return releases.some(isSigned) ? usable.filter(isSigned) : usable;
}

function usableOf<R extends Eligible>(
  releases: readonly R[],
  requiredTargets: readonly string[],
  component: string | undefined,
): readonly R[] {
  return releases.filter(
    ({ yanked, incomplete, targets, component: its }) =>
      its === component &&
      !yanked &&
      !incomplete &&
      requiredTargets.every((required) => targets.some(({ target }) => target === required)),
  );
}

function isSigned({ signed }: Eligible): boolean {
  return signed !== undefined;
}
