import { type IndexOptions, makeIndex } from '#index-generator/index-files.js';
import { readListing } from '#index-generator/listing.js';
import type { Fragment, Promotion, Pruning, Yank } from '#release/documents/kinds.js';
import { fileKey, fragmentKey, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '#release/layout.js';
import type { Publication, PublishedCopy, PublishedFile } from '#release/publish/publication.js';
import type { ListedFile } from '#release/sources/listed.js';
import { type ReleaseSources, sourcesOfFiles } from '#release/sources/sources.js';

/** The index of what `aws s3 ls --recursive` printed. */
export function makeIndexOf(listing: string, options: IndexOptions = {}): Publication {
  return makeIndex(readListing(listing), { ...options, ...(options.compat && { listing }) });
}

/** The files of an index by their keys, in their order. */
export function filesOf({ entries }: Publication): ReadonlyMap<string, string> {
  return new Map([...entries].flatMap((entry) => (isFile(entry) ? [[entry.key, entry.content] as const] : [])));
}

/** The file of an index at a key. */
export function fileOf(publication: Publication, key: string): string {
  const content = filesOf(publication).get(key);
  if (content === undefined) throw new Error(`the index has no ${key}`);
  return content;
}

/** What an index copies, by the keys of the copies. */
export function copiesOf({ entries }: Publication): ReadonlyMap<string, string> {
  return new Map([...entries].flatMap((entry) => (isFile(entry) ? [] : [[entry.key, entry.source] as const])));
}

/** All that an index would put into a bucket. */
export function allOf({ entries }: Publication): readonly (readonly [string, string])[] {
  return [...entries].map((entry) => [entry.key, isFile(entry) ? entry.content : `-> ${entry.source}`]);
}

function isFile(entry: PublishedFile | PublishedCopy): entry is PublishedFile {
  return 'content' in entry;
}

export const SHA256 = '0123456789abcdef'.repeat(4);
export const SIZE = 1000;

/** What one job signs of a release with one file. */
export function fragmentOf(version: string, target: string, more: Partial<Fragment> = {}): Fragment {
  return {
    ...{ version, target, commit: null, time: '2026-03-04T05:06:07Z' },
    changed: more.time ?? '2026-03-04T05:06:07Z',
    ci: { system: 'none', event: null, runUrl: null },
    files: [{ name: 'garage', size: SIZE, sha256: SHA256, storePath: null }],
    promotion: null,
    ...more,
  };
}

/** The files that a fragment tells of, written later than that. */
export function filesOfFragment({ version, target, files }: Fragment): readonly ListedFile[] {
  return files.map(({ name, size }) => ({ key: fileKey(version, target, name), size, time: '2026-05-05T05:05:05Z' }));
}

export interface TestDocuments {
  readonly files?: readonly ListedFile[];
  readonly fragments?: readonly Fragment[];
  readonly yanks?: readonly Yank[];
  readonly promotions?: readonly Promotion[];
  readonly prunings?: readonly Pruning[];
  readonly strippedKeys?: readonly string[];
  readonly updatedBefore?: string;
}

/** What a bucket says with these documents, which are believed, and the files of the fragments unless others are given. */
export function sourcesOf({ fragments = [], ...more }: TestDocuments, trusted = true): ReleaseSources {
  const { files = fragments.flatMap(filesOfFragment), yanks = [], promotions = [], prunings = [] } = more;
  const { strippedKeys = [], updatedBefore } = more;
  const marks = <T extends { readonly version: string }>(directory: string, values: readonly T[]) =>
    values.map((value) => ({ key: versionKey(directory, value.version), value, trusted }));
  return {
    ...sourcesOfFiles(files),
    ...{ strippedKeys: new Set(strippedKeys), ...(updatedBefore !== undefined && { updatedBefore }) },
    fragments: fragments.map((value) => ({ key: fragmentKey(value.version, value.target), value, trusted })),
    yanks: marks(YANKS, yanks),
    promotions: marks(PROMOTIONS, promotions),
    prunings: marks(PRUNINGS, prunings),
  };
}
