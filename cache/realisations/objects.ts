/**
 * Realisations in a cache: objects as Nix has them. Nix asks for them by derivation; who has only a path finds them by a
 * field of its narinfo, which Nix passes over.
 */

import { CarportError } from '../../lib/errors.js';
import type { NarInfo, UnknownField } from '../../lib/nix/narinfo.js';
import {
  isRealisationId,
  parseRealisation,
  parseTrace,
  type Realisation,
  renderRealisation,
  renderTrace,
  type TracedOutput,
} from '../../lib/nix/realisation.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { realisationKey, traceKey } from '../layout.js';

/** As Nix writes them; another push may sign them once more. */
const METADATA = { contentType: 'application/json', cacheControl: 'max-age=300' } as const;

/** Bytes of one: some have many dependencies. */
const LIMIT = 1024 * 1024;

/** The field of a narinfo that has the ids of its path's realisations, and the known one that it follows. */
const FIELD = { key: 'CarportRealisations', after: 'CA' } as const;

/** Ids that are taken of one narinfo, which anybody may have written. */
const MOST_IDS = 64;

/** The realisation of an id, or `undefined`. What is another one is `E_INTEGRITY`. */
export async function readRealisation(
  objects: ObjectStore,
  id: string,
  storeDir: string,
): Promise<Realisation | undefined> {
  const bytes = await objects.read(realisationKey(id), LIMIT);
  if (bytes === undefined) return undefined;
  try {
    const realisation = parseRealisation(bytes.toString('utf8'), storeDir);
    if (realisation.id !== id) throw new Error(`it is that of \`${realisation.id}\``);
    return realisation;
  } catch (cause) {
    throw new CarportError('E_INTEGRITY', `the realisation \`${id}\` in \`${objects.url}\` is damaged`, {
      cause,
      hint: `remove \`${realisationKey(id)}\` there, and push the path again`,
    });
  }
}

export async function writeRealisation(objects: ObjectStore, realisation: Realisation): Promise<void> {
  await objects.put(realisationKey(realisation.id), Buffer.from(renderRealisation(realisation)), METADATA);
}

/** What Nix 2.35 and later find of an output, or `undefined`; also where that is damaged, since a push writes it again. */
export async function readTrace(
  objects: ObjectStore,
  traced: TracedOutput,
  storeDir: string,
): Promise<Pick<Realisation, 'outPath' | 'signatures'> | undefined> {
  const bytes = await objects.read(traceKey(traced), LIMIT);
  try {
    return bytes && parseTrace(bytes.toString('utf8'), storeDir);
  } catch {
    return undefined;
  }
}

export async function writeTrace(
  objects: ObjectStore,
  traced: TracedOutput,
  outPath: string,
  signatures: readonly string[],
): Promise<void> {
  await objects.put(traceKey(traced), Buffer.from(renderTrace(outPath, signatures)), METADATA);
}

/** The ids of realisations that a narinfo tells. It is a hint: nobody signs it. */
export function realisationIdsOf({ unknownFields }: Pick<NarInfo, 'unknownFields'>): readonly string[] {
  const texts = unknownFields.filter(({ key }) => key === FIELD.key).flatMap(({ value }) => value.split(' '));
  return [...new Set(texts.filter(isRealisationId))].slice(0, MOST_IDS);
}

/** The narinfo with the ids of further realisations. */
export function withRealisationIds(info: NarInfo, ids: readonly string[]): NarInfo {
  const all = [...new Set([...realisationIdsOf(info), ...ids])].sort().slice(0, MOST_IDS);
  const field: UnknownField = { key: FIELD.key, value: all.join(' '), ...(info.ca && { after: FIELD.after }) };
  const others = info.unknownFields.filter(({ key }) => key !== FIELD.key);
  return { ...info, unknownFields: [...others, field] };
}
