/** Layouts of images that commands make: a directory, or a file that ends in `.tar`. */

import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { makePrivateDirectory } from '../../lib/filesystem/private-directory.js';
import { writeArchive } from '../../lib/oci/archive.js';
import { type Layout, makeLayout } from '../../lib/oci/layout.js';
import { type Context, workingDirectory } from '../cli/context.js';

/** Whether a place is to be one file. */
function isArchiveName(place: string): boolean {
  return place.endsWith('.tar');
}

/** Does work on a layout that nobody sees, and removes it. */
export async function withScratchLayout<T>({ env }: Context, work: (layout: Layout) => Promise<T>): Promise<T> {
  const scratch = await makePrivateDirectory(env.TMPDIR || tmpdir());
  try {
    return await work(await makeLayout(scratch.path));
  } finally {
    await scratch.remove();
  }
}

/** Does work on the layout of a place, which becomes one file where it is to be one. */
export async function withLayoutAt<T>(
  place: string,
  context: Context,
  work: (layout: Layout) => Promise<T>,
): Promise<T> {
  const path = resolve(workingDirectory(context), place);
  if (!isArchiveName(place)) return work(await makeLayout(path));
  return withScratchLayout(context, async (layout) => {
    const result = await work(layout);
    await writeArchive(layout.directory, path);
    return result;
  });
}
