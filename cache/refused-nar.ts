/** What is said of a NAR that is refused: no more than is known. */

import type { NarRefusal } from '../lib/compression/nar-refusal.js';
import { CarportError } from '../lib/errors.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';

/**
 * Whether a NAR that was refused, each time that it was read, would be so again: its file is as it was told, nobody reads it, it has
 * the same wrong bytes as the time before, or was read as often as the store may give others.
 */
export function isRefusedForGood({ traits }: Pick<ObjectStore, 'traits'>, failures: readonly NarRefusal[]): boolean {
  const [before, last] = [failures.at(-2), failures.at(-1)!];
  if (last.found === 'as told' || last.code === 'E_UNSUPPORTED') return true;
  return before?.message === last.message || failures.length >= traits.maxReads;
}

/**
 * The error of a NAR that was refused, each time that it was read. It says no more than is known: a file is damaged when it
 * has twice the same bytes that its narinfo does not tell of. Only of such a one a hint may say to remove it.
 */
export function refusedNar(info: NarInfo, objects: ObjectStore, failures: readonly NarRefusal[]): CarportError {
  const last = failures.at(-1)!;
  const { says, hint } = judge(info, objects, failures, last);
  const code = last.code === 'E_UNSUPPORTED' ? 'E_UNSUPPORTED' : 'E_INTEGRITY';
  return new CarportError(code, `the NAR of \`${info.path}\` in \`${objects.url}\` ${says}`, { cause: last, hint });
}

function judge(
  { path, url, fileHash }: NarInfo,
  objects: ObjectStore,
  failures: readonly NarRefusal[],
  last: NarRefusal,
): { readonly says: string; readonly hint: string } {
  const tryNix = `see whether Nix takes it, with \`nix copy --from '${objects.url}' ${path}\``;
  const kept = 'nothing of it was kept';
  if (last.code === 'E_UNSUPPORTED') {
    return {
      says: 'cannot be read',
      hint:
        last.hint ??
        `\`${url}\` is as its writer left it: Nix may read it; or push the path with another compression, to another cache`,
    };
  }
  if (last.found === 'as told') {
    return {
      says: 'cannot be used',
      hint: `${kept}; \`${url}\` is as its writer left it, nothing has damaged it since: ${tryNix}; if it does, report it as an error of carport, else to who wrote it`,
    };
  }
  if (last.found === 'nothing told') {
    // A file that is said to be larger than any of such a NAR is not read to its end.
    const why = fileHash
      ? 'its narinfo tells of a file that is too large for it'
      : 'its narinfo has no FileHash to compare';
    return {
      says: 'cannot be used',
      hint: `${kept}; ${why}, so nothing tells whether \`${url}\` was damaged or written so: ${tryNix}`,
    };
  }
  if (failures.some(({ message }) => message !== last.message)) {
    return {
      says: 'comes with other bytes each time',
      hint: `${kept}; something on the way damages it, or the memory or disk of a machine: the file in the cache may be whole; try another network or machine`,
    };
  }
  if (last.found === 'another with the NAR') {
    return {
      says: 'is in another file than its narinfo says',
      hint: `${kept}; \`${url}\` or its narinfo was changed after it was written, but what it holds is whole: Nix, which does not compare, takes it`,
    };
  }
  if (failures.length === 1) {
    return {
      says: 'is damaged, or was damaged on the way',
      hint: `${kept}; \`carport pull\` reads it again, and tells which`,
    };
  }
  const elsewhere = objects.traits.isRemote
    ? 'read it from another machine, to see that nothing on the way damages it; then '
    : '';
  return {
    says: 'is damaged',
    hint: `${kept}; \`${url}\` had the same wrong bytes each of ${failures.length} times: ${elsewhere}push the path again with \`--check-all\`, which replaces a NAR of a wrong size; one of the right size remove first`,
  };
}
