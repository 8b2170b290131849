/** Builds the images of a plan, one after the other, in a layout that nobody sees. */

import { type ImageOfPlatform, readImage } from '../../../image/base.js';
import { joinImages } from '../../../image/join.js';
import { fillIn } from '../../../image/publication/tags.js';
import type { Unit } from '../../../image/publication/units.js';
import { CarportError } from '../../../lib/errors.js';
import type { Descriptor, RawManifest } from '../../../lib/oci/documents.js';
import type { Layout } from '../../../lib/oci/layout.js';
import { renderPlatform } from '../../../lib/oci/platform.js';
import type { ImageStore } from '../../../lib/oci/store.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import type { WorkerPool } from '../../../lib/workers/pool.js';
import type { Context } from '../../cli/context.js';
import { buildInto } from '../build.js';
import { type ImagePlace, openImage } from '../places.js';
import type { PublishOptions } from './command.js';
import type { Project } from './plan.js';
import { optionsOf, placesOf, wordsOf } from './words.js';

/** What a unit has become. */
export interface BuiltUnit {
  readonly unit: Unit;
  /** What gets the tags: an image, or an index of several platforms. */
  readonly manifest: RawManifest;
  readonly images: readonly ImageOfPlatform[];
  /** Layers of its base, which need not be in the layout. */
  readonly baseBlobs: readonly Descriptor[];
  /** The image that all others of its chain are built on, where that is in a registry. */
  readonly outer?: ImagePlace | undefined;
}

export interface Workshop {
  readonly layout: Layout;
  readonly built: ReadonlyMap<Unit, BuiltUnit>;
  /** Where a blob is, if not in the layout. */
  storeOf(blob: Descriptor): ImageStore;
  build(unit: Unit): Promise<void>;
  close(): Promise<void>;
}

interface Tools extends Work<ActivityEvent> {
  readonly pool: WorkerPool;
  readonly project: Project;
  readonly options: PublishOptions;
  readonly context: Context;
}

/** A place where units of a project are built. */
export function openWorkshop(layout: Layout, tools: Tools): Workshop {
  const built = new Map<Unit, BuiltUnit>();
  const elsewhere = new Map<string, ImageStore>();
  const bases = new Map<string, Promise<ImagePlace>>();
  const { project, options } = tools;
  const context = { ...tools.context, cwd: () => project.directory };
  const openBase = (text: string): Promise<ImagePlace> => {
    const opened = bases.get(text) ?? openImage(text, { ...tools, context, options });
    bases.set(text, opened);
    return opened;
  };
  return {
    ...{ layout, built },
    storeOf: ({ digest }) => elsewhere.get(digest) ?? layout,
    async build(unit) {
      const on = unit.on && built.get(unit.on)!;
      const images: ImageOfPlatform[] = [];
      const baseBlobs: Descriptor[] = [];
      let outer = on?.outer;
      for (const platform of unit.platforms ?? on?.images.map(nameOf) ?? [undefined]) {
        tools.signal.throwIfAborted();
        const { base } = unit.recipe;
        if (!on && base !== undefined) outer = await openBase(fillIn(base, project.build, placesOf(platform)));
        const from = on ? { store: layout, reference: childOf(on, platform) } : outer;
        const ingredients = {
          targets: wordsOf(unit, platform, project),
          base: from,
          within: project.directory,
          pool: tools.pool,
        };
        const own = optionsOf(unit, platform, tools);
        const { manifest, baseLayers } = await buildInto(layout, ingredients, own, context, tools);
        await layout.putManifest(manifest, undefined);
        images.push(await readImage(layout, manifest.descriptor.digest, undefined));
        baseBlobs.push(...baseLayers);
        if (!on && outer) for (const { digest } of baseLayers) elsewhere.set(digest, outer.store);
      }
      built.set(unit, { unit, images, manifest: await manifestOf(images, layout), baseBlobs, outer });
    },
    async close() {
      for (const place of await Promise.allSettled(bases.values()))
        if (place.status === 'fulfilled') await place.value.close();
    },
  };
}

function nameOf({ platform }: ImageOfPlatform): string {
  return renderPlatform(platform);
}

/** The image of one platform that another is built on. */
function childOf({ unit, images }: BuiltUnit, platform: string | undefined): string {
  const found = images.find((image) => platform === undefined || nameOf(image) === platform);
  if (found) return found.descriptor.digest;
  throw new CarportError('E_USAGE', `\`${unit.id}\`, which it is built on, is not for \`${platform}\``, {
    hint: `it is for ${images.map(nameOf).join(', ')}`,
  });
}

async function manifestOf(images: readonly ImageOfPlatform[], layout: Layout): Promise<RawManifest> {
  if (images.length === 1) return (await layout.manifest(images[0]!.descriptor.digest))!;
  const index = joinImages(images);
  await layout.putManifest(index, undefined);
  return index;
}
