/** The kinds of signed documents about releases: fragments, yanks, promotions, prunings, ledgers. */

import * as v from 'valibot';
import { isProjectName } from '../../lib/python/file-name.js';
import { renderPythonVersion, tryPythonVersion } from '../../lib/python/version.js';
import type { DocumentKind, DocumentOf } from '../../lib/signing/document.js';
import { isFileName, isTarget } from '../layout.js';
import { isFullCommit, isVersion, NO_FULL_COMMIT } from '../version.js';

/** Bounds of a fragment. */
export const FRAGMENT_LIMITS = { files: 1000, gates: 100, text: 2000, notes: 65_536 } as const;

const Text = v.pipe(v.string(), v.maxLength(FRAGMENT_LIMITS.text));
const Version = v.pipe(v.string(), v.check(isVersion, 'is not the name of a version'));
const Target = v.pipe(v.string(), v.check(isTarget, 'is not the name of a target'));
const FileName = v.pipe(v.string(), v.check(isFileName, 'is not the name of a file'));
const Commit = v.pipe(v.string(), v.check(isFullCommit, NO_FULL_COMMIT));
const Time = v.pipe(v.string(), v.check(isReleaseTime, 'is not a time as `2026-11-01T12:00:00Z`'));
const Sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not 64 digits of 0-9a-f'));
const Size = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** What is known of a wheel or a source distribution, so that an index of them needs none of them. */
const Python = v.strictObject({
  /** Of the project, as it spells it. */
  name: v.pipe(v.string(), v.check(isProjectName, 'is not the name of a project')),
  /** In normal form. */
  version: v.pipe(v.string(), v.check(isNormalVersion, 'is not a version in normal form')),
  requiresPython: v.nullable(Text),
  /** Of the metadata beside a wheel, which is a file of the fragment, too. */
  metadataSha256: v.nullable(Sha256),
  /** The wheel that it was made of, under another version. */
  madeFrom: v.exactOptional(v.strictObject({ file: Text, sha256: Sha256, version: Text })),
});

/** A file of a release, where its fragment is. */
const File = v.strictObject({
  name: FileName,
  size: Size,
  sha256: Sha256,
  /** The store path that it was taken from. */
  storePath: v.nullable(Text),
  /** Of wheels and source distributions; not there in fragments of old. */
  python: v.exactOptional(Python),
});

/** What was found before a release was made of another. */
const Gate = v.strictObject({ gate: Text, detail: Text });

/** One job's part of a release: the files of one target, and where they are from. */
export const FRAGMENT = {
  what: 'fragment of a release',
  tag: 'carport-release-fragment',
  entries: {
    version: Version,
    target: Target,
    commit: v.nullable(Commit),
    /** When it was first published. */
    time: Time,
    /** When anything of it was published last. */
    changed: Time,
    /** The run that published files of it last. */
    ci: v.strictObject({ system: Text, event: v.nullable(Text), runUrl: v.nullable(Text) }),
    /** Sorted by name; one for each name. */
    files: v.pipe(
      v.array(File),
      v.minLength(1),
      v.maxLength(FRAGMENT_LIMITS.files),
      v.check((files) => isSorted(files), 'are not sorted by name, each once'),
    ),
    /** The release that it is the same as, and the gates that it has passed. */
    promotion: v.nullable(
      v.strictObject({ from: Version, gates: v.pipe(v.array(Gate), v.maxLength(FRAGMENT_LIMITS.gates)) }),
    ),
    /** What is new in the release, as Markdown; the same in each of its fragments that has any. */
    notes: v.exactOptional(v.pipe(v.string(), v.minLength(1), v.maxLength(FRAGMENT_LIMITS.notes))),
  },
} satisfies DocumentKind<v.ObjectEntries>;

/** Says that a version should not be used any more, or that this is taken back. */
export const YANK = {
  what: 'yank of a release',
  tag: 'carport-release-yank',
  entries: {
    version: Version,
    /** Nothing when it is taken back. */
    reason: v.nullable(v.pipe(Text, v.minLength(1))),
    /** When it was said. */
    time: Time,
  },
} satisfies DocumentKind<v.ObjectEntries>;

/** Says that a version is being made of another: until that is done nobody is to see it. */
export const PROMOTION = {
  what: 'promotion of a release',
  tag: 'carport-release-promotion',
  entries: { version: Version, from: Version, time: Time },
} satisfies DocumentKind<v.ObjectEntries>;

/** Says that a version is out of the index, and will be removed. */
export const PRUNING = {
  what: 'pruning of a release',
  tag: 'carport-release-pruning',
  entries: {
    version: Version,
    /** Since when it is out. */
    time: Time,
    /** Its files are being removed: there is no way back. */
    deleting: v.exactOptional(v.literal(true)),
  },
} satisfies DocumentKind<v.ObjectEntries>;

/** What a project said of itself when its index was published: settings, as they were given. */
const Project = v.strictObject({
  baseUrl: v.nullable(v.string()),
  title: v.nullable(v.string()),
  forge: v.nullable(v.string()),
  forgeKind: v.nullable(v.string()),
  stablePattern: v.nullable(v.string()),
  requiredTargets: v.array(v.string()),
  // These are there only where they were given: ledgers of old have none of them.
  logo: v.exactOptional(v.string()),
  accentColor: v.exactOptional(v.string()),
  accentColorDark: v.exactOptional(v.string()),
  indexHtml: v.exactOptional(v.string()),
  simpleIndex: v.exactOptional(v.string()),
});

export type Project = Readonly<v.InferOutput<typeof Project>>;

/** Begins a ledger. */
export const LEDGER = {
  what: 'ledger of releases',
  tag: 'carport-release-ledger',
  entries: {
    /** Of all lines below. */
    sha256: Sha256,
    /** The newest time that an index has told of. */
    updated: v.nullable(Time),
    /** Of the listing that it was made of. */
    state: v.nullable(Sha256),
    /** Not there in ledgers of old. */
    project: v.exactOptional(Project),
  },
} satisfies DocumentKind<v.ObjectEntries>;

export type Fragment = DocumentOf<typeof FRAGMENT>;
export type FragmentFile = Fragment['files'][number];
export type Yank = DocumentOf<typeof YANK>;
export type Promotion = DocumentOf<typeof PROMOTION>;
export type Pruning = DocumentOf<typeof PRUNING>;

function isNormalVersion(text: string): boolean {
  const version = tryPythonVersion(text);
  return version !== undefined && renderPythonVersion(version) === text;
}

function isSorted(files: readonly { readonly name: string }[]): boolean {
  return files.every(({ name }, index) => index === 0 || files[index - 1]!.name < name);
}

/** True for a time as releases have it: RFC 3339 in UTC, to the second. */
export function isReleaseTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && toReleaseTime(new Date(text)) === text;
}

export function toReleaseTime(date: Date): string {
  return Number.isNaN(date.getTime()) ? '' : `${date.toISOString().slice(0, 19)}Z`;
}
