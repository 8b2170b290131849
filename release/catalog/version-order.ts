/**
 * The order of versions and of text. Orders: all of them are total, so that the same releases always give the same
 * files.
 */

import { splitComponent } from '../component.js';

const SURROGATE = /[\ud800-\udfff]/;

/** The order of the UTF-8 bytes, which is not that of JavaScript's strings. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  // The two orders differ for these only, and bytes need memory.
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

/**
 * Precedence as SemVer has it, also for what is not quite SemVer: a `v` before it, two or four numbers, leading zeros, numbers
 * of any size. What begins with no number comes first. Versions of one precedence are in the order of their text.
 */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0;
  const [x, y] = [splitComponent(a), splitComponent(b)];
  if (x.component !== y.component) return compareComponents(x.component, y.component);
  return comparePrecedence(parseVersion(x.proper), parseVersion(y.proper)) || compareText(a, b);
}

/** The project's own versions are after those of its components, and these from the last name to the first. */
function compareComponents(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return compareText(b, a);
}

interface ParsedVersion {
  readonly numbers: readonly string[];
  readonly prerelease: readonly string[];
}

const VERSION = /^v?(?<numbers>[0-9]+(\.[0-9]+)*)(-(?<prerelease>[^+]+))?(\+.*)?$/s;

function parseVersion(version: string): ParsedVersion | undefined {
  const groups = VERSION.exec(version)?.groups;
  return groups && { numbers: groups.numbers!.split('.'), prerelease: groups.prerelease?.split('.') ?? [] };
}

function comparePrecedence(a: ParsedVersion | undefined, b: ParsedVersion | undefined): number {
  if (!a || !b) return Number(a !== undefined) - Number(b !== undefined);
  for (let index = 0; index < Math.max(a.numbers.length, b.numbers.length); index++) {
    const order = compareNumbers(a.numbers[index] ?? '0', b.numbers[index] ?? '0');
    if (order !== 0) return order;
  }
  // A release is after its prereleases.
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return Number(a.prerelease.length === 0) - Number(b.prerelease.length === 0);
  }
  for (let index = 0; index < Math.min(a.prerelease.length, b.prerelease.length); index++) {
    const order = compareIdentifiers(a.prerelease[index]!, b.prerelease[index]!);
    if (order !== 0) return order;
  }
  return a.prerelease.length - b.prerelease.length;
}

/** Numbers are before words. */
function compareIdentifiers(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^[0-9]+$/.test(a), /^[0-9]+$/.test(b)];
  if (isNumber && isOtherNumber) return compareNumbers(a, b);
  return isNumber === isOtherNumber ? compareText(a, b) : Number(isOtherNumber) - Number(isNumber);
}

/** Of digits: a number may be larger than what a JavaScript number holds. */
function compareNumbers(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return x.length - y.length || compareText(x, y);
}
