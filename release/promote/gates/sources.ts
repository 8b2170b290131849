/** The gates that look at what the bucket says: not yanked, files, required targets, age. */

import { filesOf, yankOf } from '../../sources/candidate.js';
import { failed, type Gate, passed, someOf } from './gate.js';

export const notYanked: Gate = async ({ candidate }) => {
  const yank = yankOf(candidate);
  return yank === undefined ? passed('not-yanked', 'it is not yanked') : failed('not-yanked', yank);
};

/** Every file is there, in its size. */
export const files: Gate = async ({ candidate: { version, fragments, sources } }) => {
  const sizes = new Map(sources.files.map(({ key, size }) => [key, size]));
  const wanted = filesOf(version, fragments);
  const wrong = wanted.filter(({ key, size }) => sizes.get(key) !== size).map(({ key }) => key);
  if (wrong.length > 0) return failed('files', `missing, or not in their size: ${someOf(wrong)}`);
  return passed('files', `${wanted.length} of ${wanted.length} are there, in their sizes`);
};

export const requiredTargets: Gate = async ({ candidate }, rules) => {
  const there = new Set(candidate.fragments.map(({ target }) => target));
  const required = [...new Set(rules.requiredTargets)];
  const missing = required.filter((target) => !there.has(target));
  const found = `${required.length - missing.length} of ${required.length} are there`;
  if (missing.length > 0) return failed('required-targets', `${found}; missing: ${someOf(missing)}`);
  return passed('required-targets', found);
};

/** By what was published last of it: since then it is what it is. */
export const minimumAge: Gate = async ({ candidate: { fragments } }, { minimumAgeMs = 0 }, { now }) => {
  const age = now.getTime() - Math.max(...fragments.map(({ changed }) => Date.parse(changed)));
  if (age < 0) return failed('minimum-age', 'it is from the future: check the clocks');
  const least = spanText(minimumAgeMs);
  const detail = `${spanText(age)} old, ${least} ${least.startsWith('1 ') ? 'is' : 'are'} asked for`;
  return age < minimumAgeMs ? failed('minimum-age', detail) : passed('minimum-age', detail);
};

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const;

/** `3 days`, `1 hour`: whole units, rounded down. */
function spanText(milliseconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => milliseconds >= size) ?? ['second', 1000];
  const number = Math.floor(milliseconds / size);
  return `${number} ${unit}${number === 1 ? '' : 's'}`;
}
