/** Files inside cached paths. */

import { readNarEvents } from '../lib/compression/nar-events.js';
import { NarRefusal } from '../lib/compression/nar-refusal.js';
import { CarportError } from '../lib/errors.js';
import type { NarEvent } from '../lib/nix/nar/event.js';
import { createListingBuilder, type NarListing, parseListing } from '../lib/nix/nar/listing.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import { hashPartOf } from '../lib/nix/store-path.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { expectedNar, readListing } from './binary-cache.js';
import { findFilePart, readFilePart } from './contents/read-part.js';
import { openRequiredNar } from './nars.js';
import { refusedNar } from './refused-nar.js';

/** What a cached path holds: its listing when the cache has one, which nobody signed, or else read from the NAR. */
export async function listCachedPath(objects: ObjectStore, info: NarInfo): Promise<NarListing> {
  const text = await readListing(objects, hashPartOf(info.path));
  if (text !== undefined) return parseListing(text);
  const builder = createListingBuilder();
  for await (const event of eventsOf(objects, info)) for (const _ of builder.tap([event]));
  return builder.finishReadable();
}

/**
 * The contents of a file in a cached path. Of a large NAR only the frames are read that it is in, where a trusted key has signed
 * what they are. Else the whole NAR is read and compared with what was signed; when it is not that, this throws at the end, and
 * what was taken until then must not be used.
 */
export async function* readCachedFile(
  objects: ObjectStore,
  info: NarInfo,
  inner: string,
  trust: TrustPolicy,
): AsyncGenerator<Uint8Array> {
  const part = await findFilePart(objects, info, inner, trust);
  if (part) yield* readFilePart(objects, info, part);
  else yield* readInWhole(objects, info, inner);
}

async function* readInWhole(objects: ObjectStore, info: NarInfo, inner: string): AsyncGenerator<Uint8Array> {
  const wanted = `/${inner}`.replace(/\/+$/, '');
  const directories: string[] = [];
  let path = '';
  let type: string | undefined;
  let depthInFile = false;
  for await (const event of eventsOf(objects, info)) {
    const here = path === wanted && event.type !== 'entry' && event.type !== 'end';
    if (here && event.type !== 'contents') type = event.type;
    if (event.type === 'directory') directories.push(path);
    else if (event.type === 'entry') path = `${directories.at(-1)}/${Buffer.from(event.name)}`;
    else if (event.type === 'regular') depthInFile = true;
    else if (event.type === 'contents' && path === wanted) yield event.bytes;
    else if (event.type === 'end') {
      if (depthInFile) depthInFile = false;
      else directories.pop();
    }
  }
  if (type === 'regular') return;
  const why = type === undefined ? 'is not there' : `is a ${type}, not a file`;
  throw new CarportError('E_NOT_FOUND', `\`${info.path}${wanted}\` ${why}`, {
    hint: '`carport cache ls` lists the files',
  });
}

/** What the NAR holds. */
async function* eventsOf(objects: ObjectStore, info: NarInfo): AsyncGenerator<NarEvent> {
  const nar = await openRequiredNar(objects, info);
  try {
    for await (const { events } of readNarEvents(expectedNar(info), nar.bytes())) yield* events;
  } catch (error) {
    throw error instanceof NarRefusal ? refusedNar(info, objects, [error]) : error;
  }
}
