/** A private directory for files that are on their way. */

import { tmpdir } from 'node:os';
import { makePrivateDirectory, type PrivateDirectory } from '../filesystem/private-directory.js';
import { createTemporaryNames } from '../filesystem/temporary.js';

/** A private directory for files that are on their way to a store elsewhere. */
export interface Spool {
  name(): Promise<string>;
  remove(): Promise<void>;
}

/** Makes the directory when it is first asked for a name; what killed processes left is removed then. */
export function createSpool(parent = tmpdir()): Spool {
  let prepared: Promise<{ readonly directory: PrivateDirectory; readonly next: () => string }> | undefined;
  const prepare = async () => {
    const directory = await makePrivateDirectory(parent);
    return { directory, next: await createTemporaryNames(directory.path) };
  };
  return {
    async name() {
      prepared ??= prepare();
      return (await prepared).next();
    },
    async remove() {
      const made = await prepared?.catch(() => undefined);
      await made?.directory.remove();
    },
  };
}
