/** The version that a promoted release gets. */

import { CarportError } from '../../lib/errors.js';
import { splitComponent } from '../component.js';
import { type Channel, type ChannelRule, isVersion } from '../version.js';

/** What is asked for, as it was typed. */
export interface PromotionWish {
  readonly version: string;
  readonly channel: Channel;
  /** The version that it is to have. */
  readonly as?: string;
}

/** SemVer's prerelease, and what may stand behind it. */
const PRERELEASE = /^(?<numbers>v?[0-9]+(?:\.[0-9]+)+)-[0-9A-Za-z.-]+(?<build>\+.*)?$/;

/** The version that a release is to have in a channel. Throws `E_USAGE` where that is not clear, or would not be there. */
export function promotedVersion(wish: PromotionWish, channelOf: ChannelRule): string {
  checkWish(wish);
  const { version, channel, as } = wish;
  const target = as ?? withoutPrerelease(version);
  if (target === undefined || (as === undefined && channelOf(target) !== channel)) {
    const isThere = channelOf(version) === channel;
    throw new CarportError(
      'E_USAGE',
      isThere ? `\`${version}\` is ${channel} already` : `it is not said what \`${version}\` is to be in ${channel}`,
      { hint: `name the new version with \`--as${channel === 'stable' ? ' v1.2.3' : ' NAME'}\`` },
    );
  }
  const actual = channelOf(target);
  if (actual === channel) return target;
  throw new CarportError('E_USAGE', `\`${target}\` would be ${actual}, not ${channel}`, {
    hint: 'the name of a version says its channel: a stable one is as `v1.2.3`, or as `stable-pattern` says; a commit is development; all others are extra',
  });
}

/** Throws `E_USAGE` for what can be the wish of nobody, whatever the rule of channels is. */
export function checkWish({ version, as }: PromotionWish): void {
  checkName(version, 'the version');
  if (as !== undefined) checkName(as, '`--as`');
  if (as !== version) return;
  throw new CarportError('E_USAGE', `\`${version}\` cannot be made of itself`, {
    hint: 'give another version with `--as`',
  });
}

function withoutPrerelease(version: string): string | undefined {
  const { component, proper } = splitComponent(version);
  const parts = PRERELEASE.exec(proper)?.groups;
  return parts && `${component === undefined ? '' : `${component}@`}${parts.numbers}${parts.build ?? ''}`;
}

function checkName(version: string, what: string): void {
  if (isVersion(version)) return;
  throw new CarportError('E_USAGE', `${what} cannot be that of a release: \`${version}\``, {
    hint: 'a version has letters, digits and `.`, `_`, `-`, `+`, `~`, `@`, `=`, `,`, and begins with one of the first two',
  });
}
