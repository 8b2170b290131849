import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';

/** A private directory for files that are on their way to a store elsewhere. */
export interface Spool {
  name(): Promise<string>;
  remove(): Promise<void>;
}

/** Makes the directory when it is first asked for a name; what killed processes left is removed then. */
export function createSpool(parent = tmpdir()): Spool {
  let prepared: Promise<{ readonly directory: string; readonly next: () => string }> | undefined;
  const prepare = async () => {
    await removeLeftovers(parent);
    const directory = (await createTemporaryNames(parent))();
    await mkdir(directory, { mode: 0o700 });
    return { directory, next: await createTemporaryNames(directory) };
  };
  return {
    async name() {
      prepared ??= prepare();
      return (await prepared).next();
    },
    async remove() {
      const made = await prepared?.catch(() => undefined);
      if (made) await rm(made.directory, { recursive: true, force: true });
    },
  };
}
