/** The fragment of a target with more files: what it says then, and what may not be added to it. */

import { CarportError } from '../../lib/errors.js';
import { FRAGMENT_LIMITS, type Fragment, type FragmentFile, toReleaseTime } from '../documents/kinds.js';
import { hasFiles, isSameFile } from './fragment.js';
import { entriesOf, type PutRequest, type ReadFile } from './request.js';

/** Whether a fragment says all that the request would have it say. */
export function hasAll(there: Fragment | undefined, request: PutRequest, files: readonly ReadFile[]): boolean {
  const isSaid = request.notes === undefined || request.notes === there?.notes;
  return isSaid && hasAllFiles(there, request, files);
}

/** Whether a fragment says of all of the files that it is of them, and of this commit. */
export function hasAllFiles(there: Fragment | undefined, request: PutRequest, files: readonly ReadFile[]): boolean {
  return hasFiles(there, entriesOf(files)) && !isOfOtherCommit(there, request);
}

/** The fragment with these files, which stand before those of the same names. Throws `E_USAGE` for too many files. */
export function mergeFragment(
  there: Fragment | undefined,
  request: PutRequest,
  entries: readonly FragmentFile[],
): Fragment {
  const { version, target, commit, time, ci } = request;
  const changed = there === undefined ? time : newerThan(there.changed, time);
  const isOther = isOfOtherCommit(there, request);
  const notes = request.notes ?? (isOther ? undefined : there?.notes);
  const said = notes === undefined ? {} : { notes };
  if (there && !isOther && hasFiles(there, entries)) return { ...there, changed, ...said };
  const kept = isOther ? [] : otherFiles(there, entries);
  const files = [...kept, ...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
  if (files.length > FRAGMENT_LIMITS.files) {
    throw new CarportError('E_USAGE', `a target of a release has at most ${FRAGMENT_LIMITS.files} files`, {
      hint: 'publish an archive of them',
    });
  }
  const replaces = entries.some((entry) => {
    const before = recordOf(there, entry.name);
    return before !== undefined && !isSameFile(before, entry);
  });
  return {
    version,
    target,
    commit: commit ?? there?.commit ?? null,
    // With other bytes it is another release.
    time: there !== undefined && !isOther && !replaces ? there.time : changed,
    changed,
    ci,
    files,
    promotion: null,
    ...said,
  };
}

/** Names of files of another commit, which are not on record any more once these are. */
export function droppedNames(
  there: Fragment | undefined,
  request: PutRequest,
  entries: readonly FragmentFile[],
): readonly string[] {
  return isOfOtherCommit(there, request) ? otherFiles(there, entries).map(({ name }) => name) : [];
}

/** Throws `E_USAGE` for a tag that was moved: its files would be of two commits. */
export function refuseMovedTag(there: Fragment | undefined, request: PutRequest): void {
  if (!isOfOtherCommit(there, request) || request.replace) return;
  const { version, target, commit } = request;
  throw new CarportError('E_USAGE', `\`${version}\` is published for \`${target}\` from another commit`, {
    cause: new Error(`it is of ${there!.commit}, and this build of ${commit}`),
    hint: 'the tag was moved: publish this build under another, or put it in the place of that one with `--replace`',
  });
}

/** Throws `E_USAGE` for a promoted release: what its gates have not seen does not become a part of what they let pass. */
export function refuseAddition(there: Fragment | undefined, request: PutRequest): void {
  refuseMovedTag(there, request);
  if (!there?.promotion || request.replace) return;
  throw new CarportError(
    'E_USAGE',
    `\`${there.version}\` was promoted: it has the files of \`${there.promotion.from}\``,
    {
      hint: 'publish under another version, or, with `--replace`, make it one that was not promoted',
    },
  );
}

/** What a fragment says of the file of this name. */
export function recordOf(fragment: Fragment | undefined, wanted: string): FragmentFile | undefined {
  return fragment?.files.find(({ name }) => name === wanted);
}

function isOfOtherCommit(there: Fragment | undefined, { commit }: PutRequest): boolean {
  return commit !== null && (there?.commit ?? commit) !== commit;
}

function otherFiles(there: Fragment | undefined, entries: readonly FragmentFile[]): readonly FragmentFile[] {
  return (there?.files ?? []).filter(({ name }) => !entries.some((entry) => entry.name === name));
}

/** Clocks differ, and who deletes sees by this time that a fragment was written. */
function newerThan(before: string, time: string): string {
  return time > before ? time : toReleaseTime(new Date(Date.parse(before) + 1000));
}
