/** The commands `image push` and `image copy`. */

import { resolve } from 'node:path';
import { type BlobSource, type Copied, copyBlobs, copyImage } from '../../image/copy.js';
import { CarportError } from '../../lib/errors.js';
import type { RawManifest } from '../../lib/oci/documents.js';
import { isLayout } from '../../lib/oci/layout.js';
import { type RegistryReference, renderReference } from '../../lib/oci/reference.js';
import type { ImageStore } from '../../lib/oci/store.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import { type Context, note, workingDirectory, writeJson, writeLines } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { count, formatBytes } from '../cli/terminal.js';
import { withActivity } from '../reporters/activity.js';
import { buildInto } from './build.js';
import type { CopyOptions, PushOptions } from './command.js';
import { withLayoutAt, withScratchLayout } from './layouts.js';
import { type ImagePlace, openImage } from './places.js';
import { openRegistry } from './registries.js';

/** What was pushed, and where it is now. */
interface Pushed extends Copied {
  readonly digest: string;
  readonly name: string;
}

/** Builds what the words mean, or takes an image that is built, and sends it. */
export async function push(words: readonly string[], options: PushOptions, context: Context): Promise<void> {
  const destination = words.at(-1)!;
  const targets = words.slice(0, -1);
  if (targets.length === 0) {
    throw new CarportError('E_USAGE', 'it is not said what to push, and where', {
      hint: '`carport image push app.tar ghcr.io/owner/app:v1`',
    });
  }
  const pushed = await working(options, context, async (work) => {
    const built = targets.length === 1 ? await builtImage(targets[0]!, { context, options, ...work }) : undefined;
    if (built) return closing(built, (place) => send(place, destination, { context, options, ...work }));
    return buildAndSend(targets, destination, options, context, work);
  });
  await tell(pushed, options, context);
}

/** Copies an image from one place to another, with all of its platforms. */
export async function copy(from: string, to: string, options: CopyOptions, context: Context): Promise<void> {
  const pushed = await working(options, context, async (work) => {
    const use = { context, options, ...work };
    return closing(await openImage(from, use), async (place) => {
      const layout = layoutIn(to);
      if (!layout) return send(place, to, use);
      const { path, tag = place.registry?.tag ?? place.reference } = layout;
      return withLayoutAt(path, context, async (target) => {
        const image = await imageOf(place);
        return {
          ...(await copyImage(image, { store: place.store }, { target, tag }, work)),
          digest: image.descriptor.digest,
          name: to,
        };
      });
    });
  });
  await tell(pushed, options, context);
}

/** The layout that a text names, which need not be there: `oci:DIR:TAG`, a path, or a file that ends in `.tar`. */
function layoutIn(text: string): { readonly path: string; readonly tag: string | undefined } | undefined {
  const [, path, tag] = /^(?:oci|oci-archive):(.+?)(?::([A-Za-z0-9_][\w.-]*))?$/.exec(text) ?? [];
  if (path !== undefined) return { path, tag };
  return /^\.{0,2}\/|\.tar$/.test(text) ? { path: text, tag: undefined } : undefined;
}

interface Use extends Work<ActivityEvent> {
  readonly context: Context;
  readonly options: CopyOptions;
}

/** An image that is built: a layout in a directory, or in a file whose name says so. */
async function builtImage(text: string, use: Use): Promise<ImagePlace | undefined> {
  const isNamed = /^(oci|oci-archive):|\.tar$/.test(text);
  return isNamed || (await isLayout(resolve(workingDirectory(use.context), text))) ? openImage(text, use) : undefined;
}

async function send(place: ImagePlace, destination: string, use: Use): Promise<Pushed> {
  const image = await imageOf(place);
  const { store, reference, mountFrom } = openRegistry(destination, use, { writes: true, from: place.registry });
  return closing(store, async () => {
    const copied = await copyImage(
      image,
      { store: place.store, repository: mountFrom },
      { target: store, tag: tagOf(reference, image) },
      use,
    );
    return { ...copied, digest: image.descriptor.digest, name: renderReference(reference) };
  });
}

/** Builds into a layout that nobody sees, of which what the registry lacks is sent. */
function buildAndSend(
  targets: readonly string[],
  destination: string,
  options: PushOptions,
  context: Context,
  work: Work<ActivityEvent>,
): Promise<Pushed> {
  const use = { context, options, ...work };
  const build = async (base: ImagePlace | undefined): Promise<Pushed> => {
    const { store, reference, mountFrom } = openRegistry(destination, use, { writes: true, from: base?.registry });
    return closing(store, () =>
      withScratchLayout(context, async (layout) => {
        const { manifest, baseLayers } = await buildInto(layout, { targets, base }, options, context, work);
        await layout.putManifest(manifest, undefined);
        const ofBase =
          base &&
          (await copyBlobs(baseLayers, (): BlobSource => ({ store: base.store, repository: mountFrom }), store, work));
        const copied = await copyImage(
          manifest,
          { store: layout },
          { target: store, tag: tagOf(reference, manifest) },
          work,
        );
        // The layers of the base were there when the rest was sent.
        const total = ofBase
          ? {
              ...copied,
              sent: copied.sent + ofBase.sent,
              sentBytes: copied.sentBytes + ofBase.sentBytes,
              mounted: ofBase.mounted,
            }
          : copied;
        return { ...total, digest: manifest.descriptor.digest, name: renderReference(reference) };
      }),
    );
  };
  if (options.base === undefined) return build(undefined);
  return openImage(options.base, use).then((base) => closing(base, build));
}

function tagOf({ tag, digest }: RegistryReference, { descriptor }: RawManifest): string | undefined {
  if (digest !== undefined && digest !== descriptor.digest) {
    throw new CarportError('E_USAGE', `the image is \`${descriptor.digest}\`, and is to be \`${digest}\``, {
      hint: 'name it by a tag',
    });
  }
  return tag ?? (digest === undefined ? 'latest' : undefined);
}

async function imageOf({ store, reference }: ImagePlace): Promise<RawManifest> {
  const image = await store.manifest(reference);
  if (image) return image;
  throw new CarportError('E_NOT_FOUND', `${store.description} has no image \`${reference ?? 'latest'}\``, {
    hint: '`carport image ls` lists what is there',
  });
}

/** Does work that an interrupt stops, and shows how far it is. */
export function working<T>(
  options: { readonly json?: boolean; readonly quiet?: boolean; readonly verbose?: number },
  context: Context,
  work: (work: Work<ActivityEvent>) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  return withActivity(context, options, ({ emit }) =>
    interruptible(
      () => stop.abort(),
      () => work({ emit, signal: stop.signal }),
    ),
  );
}

export async function closing<P extends Pick<ImageStore, 'close'>, T>(
  place: P,
  work: (place: P) => Promise<T>,
): Promise<T> {
  try {
    return await work(place);
  } finally {
    await place.close();
  }
}

async function tell(pushed: Pushed, options: CopyOptions, context: Context): Promise<void> {
  const { name, digest, sent, sentBytes, mounted, present } = pushed;
  if (options.json)
    return writeJson(context.stdout, { image: { name, digest }, blobs: { sent, sentBytes, mounted, present } });
  const others = [
    mounted > 0 && `${mounted} taken from another repository`,
    present > 0 && `${present} were there`,
  ].filter(Boolean);
  note(context, options, [`sent ${count(sent, 'blob')} (${formatBytes(sentBytes)}) to ${name}`, ...others].join(', '));
  await writeLines(context.stdout, [digest]);
}
