/** Looks at batches of narinfos: whether a reader can take them, and whether any of their paths is there. */

import { inTurns } from '../../../lib/concurrency.js';
import { CarportError, hasCode } from '../../../lib/errors.js';
import { parseNarInfo } from '../../../lib/nix/narinfo.js';
import { hashPartOf } from '../../../lib/nix/store-path.js';
import type { WriteStore } from '../../../lib/object-store/object-store.js';
import { type BatchTexts, readBatch, YOUNG_MS } from '../../batches/document.js';
import { batchNameOfKey } from '../../layout.js';
import type { Finding } from '../finding.js';

interface BatchSurroundings {
  readonly hasPath: (hashPart: string) => boolean;
  /** The store's time, in milliseconds. */
  readonly time: number;
  /** When an object was written, in milliseconds. */
  readonly modified: ReadonlyMap<string, number>;
}

/** Looks at what lies at a key among batches. */
export async function lookAtBatch(
  objects: WriteStore,
  key: string,
  { hasPath, time, modified }: BatchSurroundings,
): Promise<readonly Finding[]> {
  const name = batchNameOfKey(key);
  if (name === undefined) return [{ kind: 'foreign', key, message: 'it is no batch of narinfos' }];
  let texts: BatchTexts | undefined;
  try {
    texts = await readBatch(objects, name);
    await inTurns(texts ?? [], ([hashPart, text]) => {
      const { path } = parseNarInfo(text.toString('latin1'));
      if (hashPartOf(path) !== hashPart) throw new CarportError('E_FORMAT', `\`${path}\` is there under another name`);
    });
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT')) throw error;
    return [{ kind: 'batch-damaged', key, message: `the batch of narinfos cannot be read: ${error.message}` }];
  }
  if (texts === undefined || [...texts.keys()].some(hasPath)) return [];
  const age = time - (modified.get(key) ?? time);
  return age < YOUNG_MS ? [] : [{ kind: 'batch-orphaned', key, message: 'none of the paths of this batch is there' }];
}
