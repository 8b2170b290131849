/** What to say of tags that are not stable, and may have been meant to be. */

import { isPlainTag, patternOf } from '../../release/catalog/plain-tags.js';
import { printableLine } from '../cli/printable.js';
import type { Setting } from '../settings/setting.js';

/** Of a tag that is published; nothing where it looks as if it were no release's. */
export function adviceOnTag(tag: string, pattern: Setting<unknown>): string | undefined {
  return isPlainTag(tag) ? printableLine(`\`${tag}\` is an extra build: ${ruleOf(tag, pattern)}`) : undefined;
}

/** Of a bucket that has tags such as this one, and no stable one. */
export function adviceOnBucket(tag: string, pattern: Setting<unknown>): string {
  return printableLine(`no release is stable, and so there is no latest stable one: ${ruleOf(tag, pattern)}`);
}

function ruleOf(tag: string, { texts, origin }: Setting<unknown>): string {
  const pattern = texts.at(-1);
  const example = isPlainTag(tag) ? `, such as \`${patternOf(tag)}\` for \`${tag}\`` : '';
  if (pattern !== undefined) {
    return `\`stable-pattern\` (${origin.name}) is \`${pattern}\`, which has to match whole tags; set another${example}`;
  }
  return `stable tags are as \`v1.2.3\`; for others set \`stable-pattern\`${example}`;
}
