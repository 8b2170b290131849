/** A release that another is to be made of: whole, and signed. */

import { CarportError } from '../../lib/errors.js';
import { tellDoubt } from '../documents/doubt.js';
import type { Fragment, FragmentFile } from '../documents/kinds.js';
import { FRAGMENTS, fileKey, isSidecar, parseFileKey, versionKey, YANKS } from '../layout.js';
import { isFullCommit } from '../version.js';
import { yanksByVersion } from '../yanked.js';
import { type ReleaseSources, trusted } from './sources.js';

/** A release that another is to be made of: whole, and signed. */
export interface Candidate {
  readonly version: string;
  /** One for each target, in the order of their keys. */
  readonly fragments: readonly Fragment[];
  readonly sources: ReleaseSources;
}

/** A file of a release, with its key. */
export interface ReleaseFile extends FragmentFile {
  readonly target: string;
  readonly key: string;
}

/**
 * The release as trusted keys tell of it. Throws when there is none (`E_NOT_FOUND`), and when not all of it is signed
 * (`E_SIGNATURE`): what nobody vouches for cannot be compared with anything.
 */
export function candidateOf(version: string, sources: ReleaseSources): Candidate {
  const fragments = trusted(sources.fragments);
  if (sources.files.length === 0 && sources.fragments.length === 0) throw noRelease(version);
  const doubtful =
    sources.fragments.find((fragment) => !fragment.trusted)?.key ??
    sources.damaged.find((key) => key.startsWith(FRAGMENTS));
  if (doubtful !== undefined) {
    const doubt = sources.doubts.find(({ key }) => key === doubtful);
    throw unsigned(version, new Error(doubt ? tellDoubt(doubt) : `\`${doubtful}\` is not believed`));
  }
  const named = new Set(filesOf(version, fragments).map(({ key }) => key));
  const unnamed = releaseFiles(sources).find((key) => !named.has(key));
  if (unnamed !== undefined) throw unsigned(version, new Error(`nothing that is signed tells of \`${unnamed}\``));
  refuseUnfinished(version, sources);
  return { version, fragments, sources };
}

/** All files of fragments, under a version. */
export function filesOf(version: string, fragments: readonly Fragment[]): readonly ReleaseFile[] {
  return fragments.flatMap(({ target, files }) =>
    files.map((file) => ({ ...file, target, key: fileKey(version, target, file.name) })),
  );
}

/** Keys of what the index would show; checksums and stray files are none. */
export function releaseFiles({ files }: Pick<ReleaseSources, 'files'>): readonly string[] {
  return files.map(({ key }) => key).filter(isReleaseFile);
}

function isReleaseFile(key: string): boolean {
  const parts = parseFileKey(key);
  return parts !== undefined && !isSidecar(parts.name);
}

/** The commit that all targets were built from; `undefined` when they differ, or one does not say. */
export function commitOf({ fragments }: Candidate): string | undefined {
  const [commit, ...others] = new Set(fragments.map((fragment) => fragment.commit));
  return others.length === 0 ? (commit ?? undefined) : undefined;
}

/** Why it should not be used, be it said by somebody who is not trusted, or in a way that cannot be read. */
export function yankOf({ version, sources }: Candidate): string | undefined {
  const said = yanksByVersion(sources).get(version);
  if (!said?.isYanked) return undefined;
  const { by, reason } = said;
  if (by === 'unreadable') return `\`${versionKey(YANKS, version)}\` cannot be read`;
  const why = reason === null ? '' : `: ${reason.replaceAll(/\s+/g, ' ')}`;
  if (by === 'trusted') return `\`${version}\` is yanked${why}`;
  const what = reason === null ? 'taken back a yank of' : 'yanked';
  return `somebody who is not trusted has ${what} \`${version}\`${why}`;
}

/** The error of a release that is not there. */
export function noRelease(version: string): CarportError {
  const isPart = /^[0-9a-f]{4,63}$/.test(version) && !isFullCommit(version);
  return new CarportError('E_NOT_FOUND', `there is no release \`${version}\``, {
    hint: isPart
      ? 'a commit must be given whole, with all its 40 or 64 digits, as `git rev-parse` prints it'
      : '`carport release ls` lists those that are there',
  });
}

function unsigned(version: string, cause: Error): CarportError {
  return new CarportError('E_SIGNATURE', `not all of the release \`${version}\` is signed by a trusted key`, {
    cause,
    hint: 'trust the key with `--trusted-key NAME:BASE64`, or publish the files again with `carport release put`, which signs',
  });
}

function refuseUnfinished(version: string, { promotions, prunings }: ReleaseSources): void {
  const [unfinished] = promotions;
  if (unfinished) {
    throw new CarportError('E_USAGE', `\`${version}\` is itself being made of \`${unfinished.value.from}\``, {
      hint: 'finish that promotion first: run it again',
    });
  }
  if (prunings.some(({ value }) => value.deleting)) {
    throw new CarportError('E_NOT_FOUND', `\`${version}\` is being removed by \`carport release prune\``, {
      hint: 'take another release',
    });
  }
}
