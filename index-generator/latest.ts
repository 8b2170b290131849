import { CHANNELS, type Release, type ReleaseIndex } from './model.js';

/**
 * The first of a channel's releases that can be used: not yanked, all of it there, for all targets that it must have, and
 * signed where another is: who has no key cannot name the latest.
 */
export function latestOf(releases: readonly Release[], requiredTargets: readonly string[] = []): Release | undefined {
  const usable = usableOf(releases, requiredTargets);
  return releases.some(isSigned) ? usable.find(isSigned) : usable[0];
}

/** What to say of the choice of the latest releases. */
export function warningsOfLatest({ releases }: ReleaseIndex, requiredTargets: readonly string[]): readonly string[] {
  const warnings = CHANNELS.flatMap((channel) => {
    const [first] = usableOf(releases[channel], requiredTargets);
    if (first === undefined || first === latestOf(releases[channel], requiredTargets)) return [];
    return `\`${first.version}\` is not signed, as others of its channel are, and so is not the latest ${channel} one`;
  });
  if (requiredTargets.length > 0) return warnings;
  const latest = latestOf(releases.stable);
  const before = latest && latestOf(releases.stable.slice(releases.stable.indexOf(latest) + 1));
  const targets = new Set(latest?.targets.map(({ target }) => target));
  const lacking = (before?.targets ?? []).flatMap(({ target }) => (targets.has(target) ? [] : [target]));
  if (!latest || !before || lacking.length === 0) return warnings;
  return [
    ...warnings,
    `\`${latest.version}\` is the latest stable one and lacks ${lacking.join(', ')}, which \`${before.version}\` has: set \`required-targets\`, and a release is not the latest before all of them are there`,
  ];
}

function usableOf(releases: readonly Release[], requiredTargets: readonly string[]): readonly Release[] {
  return releases.filter(
    ({ yanked, incomplete, targets }) =>
      !yanked && !incomplete && requiredTargets.every((required) => targets.some(({ target }) => target === required)),
  );
}

function isSigned({ signed }: Release): boolean {
  return signed !== undefined;
}
