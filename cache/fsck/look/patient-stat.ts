/** A store that can be asked for any name: what is no object is not there, and what nobody may look at may be there. */

import { hasCode, isErrno } from '../../../lib/errors.js';
import type { ObjectStat, WriteStore } from '../../../lib/object-store/object-store.js';

/** Of what this user may not look at: it may be there, and have any size. */
const UNKNOWN: ObjectStat = { size: Number.NaN, modified: undefined, etag: undefined };

/**
 * The store, with a `stat` that gives nothing for a pipe, a device or a link in a circle, and a size of `NaN` for what is in a
 * directory that this user may not read: the check of all else goes on.
 */
export function withPatientStat(objects: WriteStore): WriteStore {
  return {
    ...objects,
    async stat(key) {
      try {
        return await objects.stat(key);
      } catch (error) {
        if (hasCode(error, 'E_FORMAT') || isErrno(error, 'ELOOP')) return undefined;
        if (isErrno(error, 'EACCES', 'EPERM', 'EIO')) return UNKNOWN;
        throw error;
      }
    },
  };
}
