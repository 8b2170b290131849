/** Makes the files of a release on a forge what they should be, and reads all of them again. */

import { createHash } from 'node:crypto';
import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import type { Forge, ForgeAsset, ForgeRelease } from '../../lib/forge/contract.js';
import { isTransientError } from '../../lib/http/failure.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import { type AssetsPlan, type Difference, planAssets, unreadAssets } from './plan.js';
import type { WantedAsset } from './wanted.js';

/** What became of a file. */
export interface SettledAsset {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly state: 'sent' | 'replaced' | 'kept' | 'missing';
  /** The name that the forge has given to it. */
  readonly storedName: string;
}

export interface Settled {
  readonly assets: readonly SettledAsset[];
  /** Names of what was removed: broken off, another content, or there twice. */
  readonly removed: readonly string[];
  /** What is still not as it should be. */
  readonly differences: readonly Difference[];
}

export interface Settling {
  /** What may be done: all; or of files that are there twice the younger may go; or nothing. */
  readonly may: 'change' | 'tidy' | 'look';
  /** Reads also what the forge vouches for. */
  readonly readsAll: boolean;
  /** Throws, where there is a reason by now to change nothing more; `again` where the files are others by now. */
  guard?(plan: AssetsPlan): Promise<'again' | undefined>;
}

/** Forges ask for little at a time, and one file fills most lines. */
const AT_ONCE = 3;

/** Uploads of one file: what arrives wrong again and again is somebody's fault. */
const ROUNDS = 4;

const READS = 3;

/** Brings the assets to what is wanted, as far as that is allowed, and tells what is there then. */
export async function settleAssets(
  forge: Forge,
  release: ForgeRelease,
  wanted: readonly WantedAsset[],
  settling: Settling,
  work: Work<ActivityEvent>,
): Promise<Settled> {
  const { may, readsAll, guard } = settling;
  const { traits } = forge;
  const digests = new Map<number, string>();
  const states = new Map<string, SettledAsset['state']>();
  const removed: string[] = [];
  for (let round = 1; ; round++) {
    const found = await forge.assets(release);
    const unread = unreadAssets(wanted, found, digests, { traits, all: readsAll });
    await mapAtMost(
      AT_ONCE,
      unread,
      async (asset) => digests.set(asset.id, await digestOf(forge, asset, work)),
      work.signal,
    );
    const plan = planAssets(wanted, found, digests, traits);
    const steps = stepsOf(plan, may);
    if (steps.send.length === 0 && steps.remove.length === 0) {
      return { assets: tell(wanted, plan, states), removed, differences: plan.differences };
    }
    if (round > ROUNDS) throw neverRight(forge, release, plan);
    if ((await guard?.(plan)) === 'again') continue;
    await mapAtMost(AT_ONCE, steps.remove, (asset) => forge.detach(release, asset), work.signal);
    removed.push(...steps.remove.map(({ name }) => name));
    for (const { name } of steps.send) {
      const isInPlace = plan.differences.some((each) => each.name === name && each.fault !== 'missing');
      states.set(name, isInPlace || states.has(name) ? 'replaced' : 'sent');
    }
    await mapAtMost(AT_ONCE, steps.send, (file) => send(forge, release, file, work), work.signal);
  }
}

function stepsOf(
  { send, remove, right, differences }: AssetsPlan,
  may: Settling['may'],
): Pick<AssetsPlan, 'send' | 'remove'> {
  if (may === 'change') return { send, remove };
  const isOnlyTwice =
    send.length === 0 && right.size > 0 && differences.every(({ fault }) => fault === 'twice' || fault === 'extra');
  return may === 'tidy' && isOnlyTwice ? { send, remove } : { send: [], remove: [] };
}

/** What is right, and was not sent, was there. */
function tell(
  wanted: readonly WantedAsset[],
  { right }: AssetsPlan,
  states: ReadonlyMap<string, SettledAsset['state']>,
): readonly SettledAsset[] {
  return wanted.map(({ name, size, sha256 }) => {
    const there = right.get(name);
    return {
      name,
      size,
      sha256,
      state: there ? (states.get(name) ?? 'kept') : 'missing',
      storedName: there?.name ?? name,
    };
  });
}

async function send(
  forge: Forge,
  release: ForgeRelease,
  file: WantedAsset,
  { emit }: Work<ActivityEvent>,
): Promise<void> {
  const { name, size } = file;
  emit({ type: 'item-started', name, size });
  async function* open(): AsyncGenerator<Uint8Array> {
    for await (const piece of file.open()) {
      yield piece;
      emit({ type: 'progress', bytes: piece.length });
    }
  }
  await forge.attach(release, { name, size, open });
  emit({ type: 'item-finished', name, size });
}

/** The hash of what the forge gives out; of more bytes than it tells no more is read. A broken line is tried again. */
async function digestOf(forge: Forge, asset: ForgeAsset, { emit, signal }: Work<ActivityEvent>): Promise<string> {
  for (let read = 1; ; read++) {
    const hasher = createHash('sha256');
    let size = 0;
    try {
      for await (const piece of await forge.read(asset)) {
        size += piece.length;
        if (size > asset.size) break;
        hasher.update(piece);
        emit({ type: 'progress', bytes: piece.length });
      }
      // What is cut off, or longer, is nothing that was wanted.
      return size === asset.size ? hasher.digest('hex') : `${size} bytes`;
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransientError(error) || read === READS) throw error;
    }
  }
}

function neverRight({ address }: Forge, { isDraft }: ForgeRelease, { differences }: AssetsPlan): CarportError {
  const [first] = differences.filter(({ fault }) => fault !== 'extra');
  return new CarportError(
    'E_INTEGRITY',
    `\`${address}\` does not keep \`${first?.name}\` as it is sent, again and again`,
    {
      cause: new Error(`${first?.fault}`),
      hint: `somebody else may be changing the same release, or a proxy what is sent; ${isDraft ? 'this run has published nothing' : 'it is published, and not as it should be: run it again with `--amend`'}`,
    },
  );
}
