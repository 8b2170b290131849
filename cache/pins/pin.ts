/** A pin: what its signed document says, and what its name may be. */

import * as v from 'valibot';
import { isHashPart, isStorePath, storeDirOf } from '../../lib/nix/store-path.js';
import { type DocumentPlace, documentKey } from '../../lib/object-store/documents.js';
import { isKey } from '../../lib/object-store/object-store.js';
import type { DocumentKind, DocumentOf, SignedDocument } from '../../lib/signing/document.js';
import { PINS } from '../layout.js';

/** What a pin's name stood for from some time on. */
export interface PinValue {
  /** When the name began to stand for this; UTC with milliseconds, as `Date.toISOString` gives it. */
  readonly since: string;
  /** What `pull` fetches: at least one, in the order of whoever set them. */
  readonly storePaths: readonly string[];
  /** Derivations whose build closure was pushed with it, and is to be kept with it. */
  readonly derivations: readonly string[];
}

/** A name for store paths of a cache, signed over every field but the signatures. */
export interface Pin extends PinValue {
  readonly name: string;
  /** Which line of pins it is in: drawn at random for the first, and carried on. 32 characters of nix32. */
  readonly id: string;
  /** When it was written; a pin that is written again is always later than it was. */
  readonly updatedAt: string;
  /** From then on readers refuse it. */
  readonly expiresAt: string | null;
  /** What it stood for before, the newest first. */
  readonly history: readonly PinValue[];
  /** `<key name>:<base 64>`, one a key. */
  readonly signatures: readonly string[];
}

/** Bounds of what is read: a pin is a short document. */
export const PIN_LIMITS = { bytes: 4 * 1024 * 1024, paths: 1000, history: 1000 } as const;

/** A time as pins have it. */
export const TimeText = v.pipe(v.string(), v.check(isPinTime, 'is not a time as `2026-11-01T12:00:00.000Z`'));
/** A store path of any store dir. */
export const StorePathText = v.pipe(
  v.string(),
  v.check((text) => isStorePath(text, storeDirOf(text)) && isPlain(storeDirOf(text)), 'is not a store path'),
);
const VALUE = {
  since: TimeText,
  storePaths: v.pipe(v.array(StorePathText), v.minLength(1), v.maxLength(PIN_LIMITS.paths), v.readonly()),
  derivations: v.pipe(v.array(StorePathText), v.maxLength(PIN_LIMITS.paths), v.readonly()),
};
/** The kind of document that a pin is. Its format has its number in `version`, as releases need that name for themselves. */
export const PIN = {
  what: 'pin',
  tag: 'carport-pin',
  formatField: 'version',
  maxBytes: PIN_LIMITS.bytes,
  entries: {
    name: v.pipe(v.string(), v.check(isPinName, 'is not one that a pin may have')),
    id: v.pipe(v.string(), v.check(isHashPart, 'is not 32 characters of nix32')),
    updatedAt: TimeText,
    expiresAt: v.nullable(TimeText),
    ...VALUE,
    history: v.pipe(v.array(v.strictObject(VALUE)), v.maxLength(PIN_LIMITS.history), v.readonly()),
  },
} satisfies DocumentKind<v.ObjectEntries>;

/** Where a pin belongs. */
export const PIN_PLACE: DocumentPlace<typeof PIN.entries> = {
  kind: PIN,
  keyOf: ({ name }) => documentKey(PINS, name),
};

type PinDocument = SignedDocument<DocumentOf<typeof PIN>>;

/** The pin that a document is. */
export function toPin({ value, signatures }: PinDocument): Pin {
  return { ...value, signatures };
}

/** The document that a pin is, its fields in their order. */
export function toDocument({ signatures, name, id, updatedAt, expiresAt, history, ...value }: Pin): PinDocument {
  const fields = { name, id, updatedAt, expiresAt, ...toValue(value), history: history.map(toValue) };
  return { value: fields, signatures };
}

/** The value alone, its fields in their order. */
export function toValue({ since, storePaths, derivations }: PinValue): PinValue {
  return { since, storePaths, derivations };
}

/**
 * True for a name that a pin may have. It is part of a key and of file names, and is no store path's base name nor hash
 * part, so that `pull` can tell them apart.
 */
export function isPinName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/.test(text) && !/^[a-z0-9]{32}(-|$)/.test(text);
}

/** True for an absolute path without detours. */
function isPlain(directory: string): boolean {
  return directory.startsWith('/') && isKey(directory.slice(1));
}

/** True for a time as pins have it: UTC with milliseconds. */
export function isPinTime(text: string): boolean {
  const time = new Date(text);
  return !Number.isNaN(time.getTime()) && time.toISOString() === text;
}
