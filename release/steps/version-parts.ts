/** The version after a version. Pure. */

import { CarportError } from '../../lib/errors.js';

/** What is incremented: one of the first three numbers, or whatever number is the last. */
export const PARTS = ['major', 'minor', 'patch', 'last'] as const;

export type Part = (typeof PARTS)[number];

/** What a version in a file may be. It has no character that ends one in a file. */
const VERSION = /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$/;

/** Whether a text is a version as it stands in files. */
export function isFileVersion(text: string): boolean {
  return VERSION.test(text) && /[0-9]/.test(text) && !/[.+_-]$/.test(text);
}

/**
 * The next version. Numbers behind the one that is incremented are 0, and what follows the numbers is left out; as npm has it, a
 * prerelease of the very version that would come (`1.3.0-rc1`, minor) becomes that one. `last` increments the last number wherever
 * it is: `1.2.0-rc1` becomes `1.2.0-rc2`. Throws `E_USAGE` for a version that has no such part.
 */
export function nextVersion(version: string, part: Part): string {
  if (part === 'last') {
    const [, before, number, behind] = /^(.*?)([0-9]+)([^0-9]*)$/s.exec(version) ?? [];
    if (number !== undefined) return `${before}${incremented(number)}${behind}`;
    throw noPart(version, part);
  }
  const [, prefix, found, rest] = /^(v?)([0-9]+(?:\.[0-9]+)*)(.*)$/s.exec(version) ?? [];
  if (found === undefined) throw noPart(version, part);
  const index = PARTS.indexOf(part);
  const numbers = found.split('.');
  while (numbers.length <= index) numbers.push('0');
  const isPrerelease = rest !== '' && !rest!.startsWith('+');
  const isThatOne = isPrerelease && numbers.slice(index + 1).every((number) => /^0+$/.test(number));
  const next = numbers.map((number, at) => {
    if (at < index || (at === index && isThatOne)) return number;
    return at === index ? incremented(number) : '0';
  });
  return `${prefix}${next.join('.')}`;
}

/** A number of any size, and with the zeros before it as long as it was: `09` becomes `10`. */
function incremented(number: string): string {
  return (BigInt(number) + 1n).toString().padStart(number.length, '0');
}

function noPart(version: string, part: Part): CarportError {
  return new CarportError('E_USAGE', `\`${version}\` has no part \`${part}\` to increment`, {
    hint: 'say the next version itself: `--to VERSION`',
  });
}
