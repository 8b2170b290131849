import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { FRAGMENT, type Fragment, type FragmentFile } from './documents.js';
import { fragmentKey } from './layout.js';
import { renderDocument } from './signed-document.js';
import { doubtAbout, readDocument } from './sources.js';

/** Whom is believed, and who signs. */
export interface FragmentSigning {
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
}

/** Others that write the same fragment at once, again and again, are no accident. */
const MAX_ROUNDS = 20;

/** Before what was written counts as settled. */
const SETTLE_MS = 100;

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
  const document = await readDocument(objects, FRAGMENT, key).catch((cause) => {
    if (!(cause instanceof CarportError) || cause.code !== 'E_FORMAT') throw cause;
    throw new CarportError('E_FORMAT', `\`${key}\` is damaged`, { cause, hint: '`--replace` writes it anew' });
  });
  if (!document) return undefined;
  const { value } = document;
  const belongs = fragmentKey(value.version, value.target) === key;
  const doubt = belongs ? doubtAbout(FRAGMENT, document, policy) : 'it belongs elsewhere';
  if (doubt === undefined) return value;
  throw new CarportError('E_SIGNATURE', `what \`${key}\` says is not believed`, {
    cause: new Error(doubt),
    hint: 'trust the key of who wrote it with `--trusted-key NAME:BASE64`, or write it anew with `--replace`',
  });
}

/**
 * Writes a fragment that has `files`. `merge` makes it of what is there, and may throw. There is no compare-and-swap, and
 * another job may write the same fragment at once: so it is read again when every other that had read what was there
 * before has written, too, and merged again until nothing of these files is lost. Both waits are longer than the time
 * from reading to having written, which this process measures with its own.
 */
export async function writeFragment(
  objects: ObjectStore,
  { keys }: FragmentSigning,
  read: () => Promise<Fragment | undefined>,
  merge: (there: Fragment | undefined) => Promise<Fragment>,
  files: readonly FragmentFile[],
): Promise<void> {
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const start = performance.now();
    const fragment = await merge(await read());
    const key = fragmentKey(fragment.version, fragment.target);
    const text = renderDocument(FRAGMENT, fragment, keys);
    await objects.put(key, Buffer.from(text), { contentType: 'application/json', cacheControl: 'no-cache' });
    const took = performance.now() - start;
    // Of several that write in step one is to be the last.
    await sleep(Math.max(SETTLE_MS, 3 * took) * (1 + Math.random() * Math.min(round - 1, 4)));
    if (hasFiles(await read(), files)) return;
  }
  throw new CarportError('E_UNAVAILABLE', 'others write the same fragment of the release all the time', {
    hint: 'run one `release put` after another for the same version and target',
  });
}

/** Whether these very files are in a fragment. */
export function hasFiles(fragment: Fragment | undefined, files: readonly FragmentFile[]): boolean {
  return files.every((file) =>
    isSameFile(
      fragment?.files.find(({ name }) => name === file.name),
      file,
    ),
  );
}

/** Whether the bytes are the same. */
export function isSameFile(a: FragmentFile | undefined, b: FragmentFile): boolean {
  return a !== undefined && a.name === b.name && a.sha256 === b.sha256 && a.size === b.size;
}
