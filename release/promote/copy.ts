/** Copies the files of a release within its store, reads them again there, and signs what they are. */

import { CarportError } from '../../lib/errors.js';
import { FRAGMENT_LIMITS, type Fragment, toReleaseTime } from '../documents/kinds.js';
import { fileKey, fragmentKey } from '../layout.js';
import { findFragment, putFragment } from '../put/fragment.js';
import { hasBytes } from '../put/stored-hash.js';
import type { ReleaseFile } from '../sources/candidate.js';
import { requireIntent } from './own-intent.js';
import { isFresh, type Making, type PromotedFile } from './request.js';
import { isPromoted, ofAnother } from './state.js';

/**
 * Copies one file, unless it is there, and reads it again; tells of the bytes that it reads. Throws `E_INTEGRITY` when the copy is
 * not what was signed, `E_USAGE` when somebody else has put another file there.
 */
export async function copyFile(
  { store, request, made, emit }: Making,
  file: ReleaseFile,
): Promise<PromotedFile['state']> {
  const onBytes = (bytes: number) => emit({ type: 'progress', bytes });
  const { candidate, version } = request;
  await requireIntent(store, request);
  if ((await store.stat(file.key)) !== undefined) {
    if (await hasBytes(store, file.key, file, onBytes)) return 'unchanged';
    // Somebody who had looked for intents before there was one has just put it.
    if (isFresh(request)) throw ofAnother(version, file.key);
  }
  const source = fileKey(candidate.version, file.target, file.name);
  made.files.add(file.key);
  await store.copy(source, file.key);
  if (await hasBytes(store, file.key, file, onBytes)) return 'copied';
  if (isFresh(request) && (await hasBytes(store, source, file))) throw ofAnother(version, file.key);
  throw new CarportError('E_INTEGRITY', `\`${source}\` has changed since it was signed`, {
    hint: `\`${version}\` stays hidden: publish \`${candidate.version}\` again with \`carport release put --replace\`, and run this again`,
  });
}

/** Signs the files of each target under the new version. The time is that of the first run which came so far. */
export async function writeFragments({ store, request, made }: Making, there: readonly Fragment[]): Promise<void> {
  const { candidate, version, gates, keys, now, policy, notes } = request;
  const time = there.map((fragment) => fragment.time).sort()[0] ?? toReleaseTime(now);
  const promotion = {
    from: candidate.version,
    gates: gates.map(({ gate, detail }) => ({ gate, detail: detail.slice(0, FRAGMENT_LIMITS.text) })),
  };
  await requireIntent(store, request);
  for (const fragment of candidate.fragments) {
    if (there.some((each) => isPromoted(each, fragment))) continue;
    // How its bytes came about stays true.
    const promoted = { ...fragment, version, time, changed: time, promotion, ...(notes !== undefined && { notes }) };
    const key = fragmentKey(version, fragment.target);
    const before = await findFragment(store, version, fragment.target, policy);
    if (before.state === 'trusted' && before.value.promotion?.from !== candidate.version) throw ofAnother(version, key);
    made.fragments.add(key);
    await putFragment(store, promoted, keys);
  }
}
