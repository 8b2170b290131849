/** Paths as one stream. */

import { setImmediate } from 'node:timers/promises';
import { walkTree } from '../filesystem/walk.js';
import { EXPORT_END, EXPORT_NEXT, encodeExportedInfo } from '../nix/export.js';
import { formatHash, hashesEqual } from '../nix/hash.js';
import { encodeNar } from '../nix/nar/encode.js';
import { mergeSignatures, type PathInfo } from '../nix/path-info.js';
import type { SecretKey } from '../signing/key.js';
import { signPath } from '../signing/signature.js';
import type { ActivityEvent, Emit } from '../work.js';
import { createNarHasher } from '../workers/jobs/nar-hasher.js';
import { damagedInStore, explainReading } from './damaged.js';
import type { Store } from './store.js';

/** Bytes that are read before an interrupt has its turn. */
const TURN_SIZE = 4 * 1024 * 1024;

/** How paths are exported. */
export interface ExportOptions {
  /** Sign the paths, beside the signatures that they have. */
  readonly keys: readonly SecretKey[];
  readonly emit?: Emit<ActivityEvent>;
}

/**
 * Paths of a store as one stream, in the order given, which must have references first. A path that is not what the store
 * has on record ends it with `E_INTEGRITY`. Each piece has memory of its own.
 */
export async function* exportPaths(
  store: Store,
  infos: readonly PathInfo[],
  { keys, emit = () => undefined }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  const bytes = infos.reduce((sum, { narSize }) => sum + narSize, 0);
  emit({ type: 'started', verb: 'export', unit: 'paths', items: infos.length, bytes });
  for (const info of infos) {
    emit({ type: 'item-started', name: info.path, size: info.narSize });
    yield EXPORT_NEXT;
    yield* checkedNar(store, info, emit);
    const signatures = mergeSignatures(
      info.signatures,
      keys.map((key) => signPath(info, key)),
    );
    yield encodeExportedInfo({ ...info, signatures });
    emit({ type: 'item-finished', name: info.path, size: info.narSize });
  }
  yield EXPORT_END;
}

const NO_GOOD = ': the export is no good';

function* readNar(store: Store, info: PathInfo): Generator<Uint8Array> {
  try {
    yield* encodeNar(walkTree(store.realPath(info)));
  } catch (error) {
    throw explainReading(error, info, store.realPath(info), NO_GOOD);
  }
}

async function* checkedNar(store: Store, info: PathInfo, emit: Emit<ActivityEvent>): AsyncGenerator<Uint8Array> {
  const hasher = createNarHasher();
  let turn = 0;
  for (const bytes of readNar(store, info)) {
    hasher.push(bytes);
    yield Uint8Array.from(bytes);
    turn += bytes.length;
    if (turn >= TURN_SIZE) {
      emit({ type: 'progress', bytes: turn });
      turn = 0;
      await setImmediate();
    }
  }
  emit({ type: 'progress', bytes: turn });
  const { narHash, narSize } = hasher.finish();
  if (hashesEqual(narHash, info.narHash) && narSize === info.narSize) return;
  const cause = new Error(`its NAR hash is ${formatHash(narHash, 'sri')}, not ${formatHash(info.narHash, 'sri')}`);
  throw damagedInStore(info, NO_GOOD, cause);
}
