/** The fragment of a target, which several jobs may write. */

import { CarportError, hasCode } from '../../lib/errors.js';
import { putSigned, readTrusted, type StoredDocument } from '../../lib/object-store/documents.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { isSigned, whatIsDoubted, whyDoubted } from '../documents/doubt.js';
import type { Fragment, FragmentFile } from '../documents/kinds.js';
import { FRAGMENT_PLACE } from '../documents/places.js';
import { fragmentKey } from '../layout.js';

/** The fragment of a target, and whom somebody who writes it believes. */
export interface FragmentReader {
  readonly version: string;
  readonly target: string;
  /** What cannot be believed is as good as not there. */
  readonly replace: boolean;
  readonly policy: TrustPolicy;
  /** Sign what is written. */
  readonly keys: readonly SecretKey[];
}

/** A fragment that is to have files. */
export interface FragmentWriting {
  readonly files: readonly FragmentFile[];
  /** Sign what is written. */
  readonly keys: readonly SecretKey[];
  /** The fragment that is there. */
  read(): Promise<Fragment | undefined>;
  /** Makes the fragment of what is there; it may throw. */
  merge(there: Fragment | undefined): Promise<Fragment>;
  /** Waits so many milliseconds. */
  pause(milliseconds: number): Promise<unknown>;
}

/** Others that write the same fragment at once, again and again, are no accident. */
const MAX_ROUNDS = 20;

/** Before what was written counts as settled. */
const SETTLE_MS = 100;

/** The fragment of a target, whatever it is. */
export function findFragment(
  objects: ObjectStore,
  version: string,
  target: string,
  policy: TrustPolicy,
): Promise<StoredDocument<Fragment>> {
  return readTrusted(objects, FRAGMENT_PLACE, fragmentKey(version, target), policy);
}

/**
 * The fragment that is there, when it may be believed; `undefined` when there is none. Throws for one that may not:
 * `E_SIGNATURE`, or `E_FORMAT` for a damaged one.
 */
export async function readFragment(
  objects: ObjectStore,
  version: string,
  target: string,
  policy: TrustPolicy,
): Promise<Fragment | undefined> {
  const key = fragmentKey(version, target);
  const found = await findFragment(objects, version, target, policy);
  if (found.state === 'absent') return undefined;
  if (found.state === 'trusted') return found.value;
  const { doubt } = found;
  const cause = new Error(whyDoubted(doubt));
  if (found.state === 'damaged') {
    throw new CarportError('E_FORMAT', `\`${key}\` is damaged`, { cause, hint: '`--replace` writes it anew' });
  }
  const trust = 'trust the key of who wrote it with `--trusted-key NAME:BASE64`, or ';
  throw new CarportError('E_SIGNATURE', `what \`${key}\` says is not believed (${whatIsDoubted(doubt)})`, {
    cause,
    hint: `${isSigned(doubt) ? trust : ''}write it anew with \`--replace\`: what it says of other files is lost then`,
  });
}

/** Signs a fragment and writes it, in place of the one that is there. */
export function putFragment(objects: ObjectStore, fragment: Fragment, keys: readonly SecretKey[]): Promise<void> {
  return putSigned(objects, FRAGMENT_PLACE, fragment, keys);
}

/**
 * The fragment that is there, for somebody who is to write it: what he signs must have been signed before. With `replace`, what
 * cannot be believed is told, and as good as not there; otherwise it throws as `readFragment` does.
 */
export async function readBelieved(
  objects: ObjectStore,
  { version, target, replace, policy, keys }: FragmentReader,
  emit?: Emit<WarningEvent>,
): Promise<Fragment | undefined> {
  const allowUnsigned = policy.allowUnsigned && keys.length === 0;
  try {
    return await readFragment(objects, version, target, { ...policy, allowUnsigned });
  } catch (error) {
    const isDoubt = hasCode(error, 'E_SIGNATURE', 'E_FORMAT');
    if (!isDoubt || !replace) throw error;
    const message = `${error.message}: it is written anew`;
    emit?.({ type: 'warning', about: { key: fragmentKey(version, target) }, message });
    return undefined;
  }
}

/**
 * Writes a fragment that has these files. Of several jobs that write the same fragment at once one may be lost, since there is
 * no compare-and-swap: that is made unlikely by reading it again after a while, and merging again until these files are there.
 * Jobs for one target should run one after the other. Throws `E_UNAVAILABLE` when others write it again and again.
 */
export async function writeFragment(objects: ObjectStore, writing: FragmentWriting): Promise<void> {
  const { files, keys } = writing;
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const start = performance.now();
    const fragment = await writing.merge(await writing.read());
    await putFragment(objects, fragment, keys);
    const took = performance.now() - start;
    // Of several that write in step one is to be the last.
    await writing.pause(Math.max(SETTLE_MS, 3 * took) * (1 + Math.random() * Math.min(round - 1, 4)));
    if (hasFiles(await writing.read(), files)) return;
  }
  throw new CarportError('E_UNAVAILABLE', 'others write the same fragment of the release all the time', {
    hint: 'run one `release put` after another for the same version and target',
  });
}

/** Whether these very files are in a fragment, and what is known of them. */
export function hasFiles(fragment: Fragment | undefined, files: readonly FragmentFile[]): boolean {
  return files.every((file) => {
    const there = fragment?.files.find(({ name }) => name === file.name);
    return isSameFile(there, file) && (!file.python || JSON.stringify(there?.python) === JSON.stringify(file.python));
  });
}

/** Whether the bytes are the same. */
export function isSameFile(a: FragmentFile | undefined, b: FragmentFile): boolean {
  return a !== undefined && a.name === b.name && a.sha256 === b.sha256 && a.size === b.size;
}
