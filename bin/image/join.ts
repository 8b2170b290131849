/** The command `image index`: images of several platforms under one tag. */

import { type ImageOfPlatform, readImage } from '../../image/base.js';
import { type Copied, copyImage } from '../../image/copy.js';
import { joinImages } from '../../image/join.js';
import { renderPlatform } from '../../lib/oci/platform.js';
import { renderReference } from '../../lib/oci/reference.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { count } from '../cli/terminal.js';
import type { CopyOptions } from './command.js';
import { openImage } from './places.js';
import { closing, working } from './push.js';
import { openRegistry } from './registries.js';

/** Joins images under the first name. What its repository lacks is copied there. */
export async function join(
  to: string,
  images: readonly string[],
  options: CopyOptions,
  context: Context,
): Promise<void> {
  const { name, digest, platforms } = await working(options, context, async (work) => {
    const use = { context, options, ...work };
    const target = openRegistry(to, use, { writes: true });
    return closing(target.store, async (store) => {
      const read: ImageOfPlatform[] = [];
      for (const text of images) {
        await closing(await openImage(text, use), async (place) => {
          const image = await readImage(
            place.store,
            place.registry ? (place.reference ?? 'latest') : place.reference,
            undefined,
          );
          read.push(image);
          const raw = (await place.store.manifest(image.descriptor.digest))!;
          const isSame = place.registry?.origin.origin === target.reference.origin.origin;
          const repository = isSame ? place.registry?.repository : undefined;
          const copied: Copied = await copyImage(
            raw,
            { store: place.store, repository },
            { target: store, tag: undefined },
            work,
          );
          return copied;
        });
      }
      const index = joinImages(read);
      await store.putManifest(index, target.reference.tag ?? 'latest');
      return {
        name: renderReference(target.reference),
        digest: index.descriptor.digest,
        platforms: read.map(({ platform }) => renderPlatform(platform)).sort(),
      };
    });
  });
  if (options.json) return writeJson(context.stdout, { image: { name, digest, platforms } });
  note(context, options, `${name} is ${count(platforms.length, 'platform')}: ${platforms.join(', ')}`);
  await writeLines(context.stdout, [digest]);
}
