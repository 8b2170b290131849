/** What a check of a cache finds, and what a repair has done about it. */

/**
 * How bad each kind of finding is. `broken`: a reader, or a garbage collection, is refused or led astray. `leftover`: it takes room and
 * harms nobody. `note`: it is said, and left alone.
 */
export const FINDINGS = {
  'narinfo-damaged': 'broken',
  'narinfo-store-dir': 'broken',
  'reference-missing': 'broken',
  'reference-cycle': 'broken',
  'nar-outside': 'broken',
  'nar-missing': 'broken',
  'nar-size': 'broken',
  'nar-file-hash': 'broken',
  'nar-damaged': 'broken',
  'nar-unsupported': 'broken',
  'content-address': 'broken',
  'signature-wrong': 'broken',
  'signature-missing': 'broken',
  'signature-untrusted': 'broken',
  'listing-damaged': 'broken',
  'realisation-damaged': 'broken',
  'realisation-dangling': 'broken',
  'debug-damaged': 'broken',
  'debug-dangling': 'broken',
  'cache-info-missing': 'broken',
  'cache-info-damaged': 'broken',
  'cache-info-store-dir': 'broken',
  'pin-damaged': 'broken',
  'pin-misplaced': 'broken',
  'pin-untrusted': 'broken',
  'pin-wrong-signature': 'broken',
  'pin-dangling': 'broken',
  'keys-damaged': 'broken',
  'pin-list-damaged': 'broken',
  'lease-damaged': 'broken',
  'sweep-damaged': 'broken',
  'record-damaged': 'broken',
  'batch-damaged': 'broken',
  'not-a-file': 'broken',
  unreadable: 'broken',
  'nar-orphaned': 'leftover',
  'listing-orphaned': 'leftover',
  'log-orphaned': 'leftover',
  'batch-orphaned': 'leftover',
  'lease-expired': 'leftover',
  'sweep-expired': 'leftover',
  temporary: 'leftover',
  'upload-unfinished': 'leftover',
  'reference-elsewhere': 'note',
  'pin-history': 'note',
  link: 'note',
  foreign: 'note',
} as const;

/** What is the matter. */
export type FindingKind = keyof typeof FINDINGS;

/** One thing that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind;
  /** The object, or the directory, that it is about. */
  readonly key: string;
  /** The store path, where one is known. */
  readonly path?: string;
  /** What it refers to that is not there: a store path, its hash part, or a key. */
  readonly missing?: string;
  /** The key whose signature is wrong. */
  readonly keyName?: string;
  /** A sentence without its full stop. */
  readonly message: string;
  /** What to do where `--repair` leaves it. */
  readonly hint?: string;
}

/** How bad a finding is. */
export function levelOf({ kind }: Pick<Finding, 'kind'>): 'broken' | 'leftover' | 'note' {
  return FINDINGS[kind];
}

/** What a repair has done about one object. */
export interface Repair {
  /** `refused`: it could not be mended, and stays. */
  readonly did: 'mended' | 'removed' | 'refused';
  readonly key: string;
  readonly path?: string;
  /** A sentence without its full stop. */
  readonly message: string;
}

/** What a check tells as it goes. */
export interface FsckReport {
  found(finding: Finding): void;
  repaired(repair: Repair): void;
}
