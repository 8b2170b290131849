/** A gate that reads every file of a release again. */

import { mapAtMost } from '../../../lib/concurrency.js';
import { hasBytes } from '../../put/stored-hash.js';
import { filesOf } from '../../sources/candidate.js';
import { failed, type Gate, passed, someOf } from './gate.js';

/** Files that are read at a time. */
const AT_ONCE = 4;

/** Reads every file again, as it is in the bucket now. */
export const hashes: Gate = async ({ candidate: { version, fragments } }, _rules, { objects, signal }) => {
  const wanted = filesOf(version, fragments);
  const right = await mapAtMost(AT_ONCE, wanted, (file) => hasBytes(objects, file.key, file), signal);
  const wrong = wanted.filter((_, index) => !right[index]).map(({ key }) => key);
  if (wrong.length > 0) return failed('hashes', `not what was signed: ${someOf(wrong)}`);
  return passed('hashes', `${wanted.length} of ${wanted.length} are what was signed`);
};
