/** The NARs that a server is asked for: each is fetched once for all that want it at a time. */

import type { CarportError } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { Emit } from '../../lib/work.js';
import type { NarPiece, NarProgress } from '../../lib/workers/jobs.js';
import type { FoundPath } from '../find-path.js';
import { type ServedNar, servedNarKey } from '../layout.js';
import { type Broadcast, createBroadcast } from './broadcast.js';
import type { NarShortcut } from './by-delta.js';
import type { ServeEvent } from './events.js';
import { createMemory } from './memory.js';
import type { NarInfos } from './narinfos.js';
import type { PlainNarReader } from './plain-nar.js';
import { createTurns, type Turns } from './turns.js';
import type { Upstreams } from './upstreams.js';
import { AT_BEGINNING, readWholeNar } from './whole-nar.js';

export interface NarsOptions {
  readonly narInfos: NarInfos;
  readonly upstreams: Upstreams;
  readonly read: PlainNarReader;
  /** Tried before, where it is said. */
  readonly shortcut?: NarShortcut | undefined;
  readonly emit: Emit<ServeEvent>;
  now(): number;
  /** NARs that are fetched at a time (default: 48). */
  readonly atOnce?: number;
  /** Milliseconds that others wait for who reads nothing: of the same NAR, or for a turn (default: 10 s). */
  readonly patienceMs?: number;
}

export interface Nars {
  /** The plain NAR; `wanted` is what is promised of it. Its last bytes come when all of it is what was promised. */
  open(wanted: NarInfo, key: ServedNar, signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

/** NARs that are fetched at a time, and bytes of each that are kept for others that want it. */
const AT_ONCE = 48;
const WINDOW = 2 * 1024 * 1024;

/** NARs that are smaller than that stay for a while: many machines or many users want them one after the other. */
const LATER_ROOM = 48 * 1024 * 1024;
const LATER_MS = 20_000;

const SLOW_READER_MS = 10_000;

export function createNars(options: NarsOptions): Nars {
  const { narInfos, upstreams, read, shortcut, emit, now } = options;
  const { atOnce = AT_ONCE, patienceMs = SLOW_READER_MS } = options;
  const turns = createTurns(atOnce);
  const running = new Map<string, Broadcast>();
  const later = createMemory<Broadcast>({ room: LATER_ROOM, now });
  const fetch = ({ path, narHash, narSize }: NarInfo, key: ServedNar, signal: AbortSignal, progress: NarProgress) =>
    readWholeNar(
      {
        ...{ narHash, narSize, read, shortcut, signal },
        candidates: narInfos.having(key.hashPart, key.narHash),
        onFailure: ({ objects }: FoundPath, error: CarportError) => upstreams.failed(objects, error),
        onWhole: ({ objects }: FoundPath) => emit({ type: 'nar-fetched', path, narSize, cache: objects.url }),
      },
      progress,
    );
  const from = (progress: NarProgress, onClosed: () => void, ...[wanted, key]: [NarInfo, ServedNar]): Broadcast =>
    createBroadcast({
      open: (signal) => inTurn(turns, signal, () => fetch(wanted, key, signal, progress)),
      alone: (after, signal) => from(after, () => {}, wanted, key).read(signal),
      ...{ window: WINDOW, patienceMs, beginning: progress, onClosed },
      isInTheWay: turns.areWanted,
    });
  const start = (wanted: NarInfo, key: ServedNar, name: string): Broadcast => {
    const broadcast = from(AT_BEGINNING, () => running.delete(name), wanted, key);
    void broadcast.kept.then((isKept) => {
      if (!isKept) return;
      running.delete(name);
      later.keep(name, broadcast, wanted.narSize, LATER_MS);
    });
    return broadcast;
  };
  return {
    open(wanted, key, signal) {
      const name = servedNarKey(key);
      const shared = running.get(name) ?? later.get(name);
      const broadcast = shared?.isOpen() ? shared : start(wanted, key, name);
      if (broadcast !== shared) running.set(name, broadcast);
      return broadcast.read(signal);
    },
  };
}

/** A stream that begins when it is its turn, and whose turn is over when it has ended. */
async function* inTurn(
  turns: Turns,
  signal: AbortSignal,
  open: () => AsyncIterable<NarPiece>,
): AsyncGenerator<NarPiece> {
  const finish = await turns.take(signal);
  try {
    yield* open();
  } finally {
    finish();
  }
}
