/** A gate that reads every file of a release again. */

import { mapAtMost } from '../../../lib/concurrency.js';
import { hasBytes } from '../../put/stored-hash.js';
import { filesOf, type ReleaseFile } from '../../sources/candidate.js';
import { failed, type Gate, passed, someOf } from './gate.js';

/** Files that are read at a time. */
const AT_ONCE = 4;

/** Reads every file again, as it is in the bucket now, and tells how far it is. */
export const hashes: Gate = async ({ candidate: { version, fragments } }, _rules, { objects, emit, signal }) => {
  const wanted = filesOf(version, fragments);
  const bytes = wanted.reduce((sum, { size }) => sum + size, 0);
  emit({ type: 'started', verb: 'check', unit: 'files', items: wanted.length, bytes });
  const isRight = async (file: ReleaseFile) => {
    emit({ type: 'item-started', name: file.key, size: file.size });
    const has = await hasBytes(objects, file.key, file, (read) => emit({ type: 'progress', bytes: read }));
    emit({ type: 'item-finished', name: file.key, size: file.size });
    return has;
  };
  const right = await mapAtMost(AT_ONCE, wanted, isRight, signal);
  const wrong = wanted.filter((_, index) => !right[index]).map(({ key }) => key);
  if (wrong.length > 0) return failed('hashes', `not what was signed: ${someOf(wrong)}`);
  return passed('hashes', `${wanted.length} of ${wanted.length} are what was signed`);
};
