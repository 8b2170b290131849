/** A store in which a promotion can copy and remove. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { RemovableStore } from '../tombstones.js';

/** A store that objects can be copied in, and removed from. */
export type WritableStore = RemovableStore & Required<Pick<ObjectStore, 'copy'>>;

/** The store, where it can copy and remove. Throws `E_UNSUPPORTED` for a web server. */
export function requireWritable(objects: ObjectStore): WritableStore {
  if (objects.copy && objects.remove) return objects as WritableStore;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is a web server, where nothing can be copied`, {
    hint: "use the bucket's `s3://` or `file://` URL",
  });
}
