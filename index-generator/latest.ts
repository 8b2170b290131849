import type { Release } from './model.js';

/** The first of a channel's releases that can be used: not yanked, all of it there, and for all targets that it must have. */
export function latestOf(releases: readonly Release[], requiredTargets: readonly string[] = []): Release | undefined {
  return releases.find(
    ({ yanked, incomplete, targets }) =>
      !yanked && !incomplete && requiredTargets.every((required) => targets.some(({ target }) => target === required)),
  );
}
