/** What stops whoever publishes files of a version: that it is being made of another, or deleted. */

import { CarportError } from '../../lib/errors.js';
import { asWritable, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { whyDoubted } from '../documents/doubt.js';
import { readIntent } from '../intents.js';
import { PROMOTIONS, PRUNINGS, versionKey } from '../layout.js';
import { readTombstone, removeTombstones } from '../tombstones.js';

/** Somebody who publishes files of a version. */
export interface Publisher {
  readonly objects: ObjectStore;
  readonly version: string;
  readonly policy: TrustPolicy;
  /** What is not believed is as good as not there. */
  readonly replace: boolean;
  readonly emit: Emit<WarningEvent>;
}

/**
 * Throws for a version that is being made of another: it gets its files from there. `E_UNAVAILABLE` when it is `late`, and
 * files are there already.
 */
export async function refusePromotion(publisher: Publisher, late: boolean): Promise<void> {
  const { objects, version, policy, emit } = publisher;
  const intent = await readIntent(objects, version, policy);
  if (intent.state === 'absent') return;
  if (intent.state !== 'trusted') {
    const key = versionKey(PROMOTIONS, version);
    const message = `\`${key}\` is not believed: ${whyDoubted(intent.doubt)}`;
    if (!late) emit({ type: 'warning', about: { key, version }, message });
    return;
  }
  const { from } = intent.value;
  const promote = `\`carport release promote ${from} --as ${version} --to CHANNEL\``;
  if (late) {
    throw new CarportError('E_UNAVAILABLE', `\`${version}\` is being made of \`${from}\` at the same time`, {
      hint: `wait until ${promote} has ended, then run this again`,
    });
  }
  throw new CarportError('E_USAGE', `\`${version}\` is being made of \`${from}\`, and that is not done`, {
    hint: `finish it with ${promote}, or give it up with \`--discard\` there`,
  });
}

/** Throws for a version that is being deleted: nobody could tell what would be left of it. */
export async function refuseDeletion(publisher: Publisher): Promise<void> {
  await isHidden(publisher);
}

/**
 * Takes back that a version is to be deleted, since somebody publishes it. `touch` writes the fragment anew, and whoever
 * deletes looks at fragments after it has said so in the tombstone: so either this one sees that, and stops, or the other sees
 * the fragment.
 */
export async function takeBackPruning(publisher: Publisher, touch: () => Promise<void>): Promise<void> {
  const { objects, version, emit } = publisher;
  if (!(await isHidden(publisher))) return;
  const store = asWritable(objects, `where nothing takes back that \`${version}\` is to be deleted`);
  await touch();
  await isHidden(publisher);
  await removeTombstones(store, [version]);
  emit({ type: 'warning', about: { version }, message: `\`${version}\` was to be deleted: it stays now` });
}

/** Whether a version is to be deleted, be it by somebody who is not believed. */
async function isHidden({ objects, version, policy, replace }: Publisher): Promise<boolean> {
  const tombstone = await readTombstone(objects, version, policy);
  if (tombstone.state === 'absent') return false;
  const key = versionKey(PRUNINGS, version);
  if (tombstone.state === 'damaged' && !replace) {
    throw new CarportError('E_FORMAT', `\`${key}\` is damaged: \`${version}\` may be being deleted`, {
      cause: new Error(whyDoubted(tombstone.doubt)),
      hint: 'a newer carport may have written it; if not, `--replace` removes it',
    });
  }
  const isDeleting = tombstone.state !== 'damaged' && tombstone.value.deleting === true;
  if (isDeleting && tombstone.state === 'trusted') throw beingDeleted(version);
  if (isDeleting && tombstone.state === 'doubtful' && !replace) {
    throw new CarportError('E_SIGNATURE', `\`${key}\` says that \`${version}\` is being deleted, and is not believed`, {
      cause: new Error(whyDoubted(tombstone.doubt)),
      hint: 'trust the key of who wrote it with `--trusted-key NAME:BASE64`, or remove it with `--replace`',
    });
  }
  return true;
}

function beingDeleted(version: string): CarportError {
  return new CarportError('E_UNAVAILABLE', `\`${version}\` is being deleted`, {
    hint: 'run `carport release prune --delete` to its end, then put it again',
  });
}
