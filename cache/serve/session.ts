/** A server of caches, put together: what it is asked is answered by `Handler`, which knows nothing of sockets. */

import { performance } from 'node:perf_hooks';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { PublicKey } from '../../lib/signing/key.js';
import type { Emit } from '../../lib/work.js';
import { findOutRanges } from '../delta/many-ranges.js';
import type { NarShortcut } from './by-delta.js';
import type { ServeEvent } from './events.js';
import { createHandler, type Handler } from './handler.js';
import { createNarInfos } from './narinfos.js';
import { createNars } from './nars.js';
import type { PlainNarReader } from './plain-nar.js';
import { createUpstreams } from './upstreams.js';

export interface ServeRequest {
  /** In the order in which they were named. */
  readonly caches: readonly ObjectStore[];
  /** Gives plain NARs. */
  readonly read: PlainNarReader;
  /** A way to them that is tried before. */
  readonly shortcut?: NarShortcut | undefined;
  /** Of several caches one is preferred whose narinfo one of these has signed; all is served, whoever has signed it. */
  readonly keys: readonly PublicKey[];
  /** Whether caches that do not answer are taken for such that have nothing. */
  readonly offlineOk: boolean;
  /** In place of the best priority of the caches. */
  readonly priority: number | undefined;
  readonly emit: Emit<ServeEvent>;
}

/** Makes the handler of a server of caches. It holds nothing but memory, and that is bounded. */
export function createCacheServer({ caches, read, shortcut, keys, offlineOk, priority, emit }: ServeRequest): Handler {
  const now = () => performance.now();
  const upstreams = createUpstreams(caches, { offlineOk, emit, now });
  if (shortcut) caches.forEach(findOutRanges);
  // Whether they answer is known, and told, before Nix asks.
  void upstreams.describe().catch(() => undefined);
  const narInfos = createNarInfos({ upstreams, keys, now });
  const nars = createNars({ narInfos, upstreams, read, shortcut, emit, now });
  return createHandler({ upstreams, narInfos, nars, priority, offlineOk });
}
