/** What pins stood for when they were pulled. */

import { createHash } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { CarportError } from '../../errors.js';
import { namesIn } from '../../filesystem/exists.js';
import { makeDirectory } from '../../filesystem/make-directory.js';
import { readSmallFile, writeFileAtomic } from '../../filesystem/small-files.js';
import { createTemporaryNames, isTemporaryName, removeLeftovers } from '../../filesystem/temporary.js';
import { encodeNix32 } from '../../nix/base32.js';
import { isStorePath } from '../../nix/store-path.js';

/** What a pin stood for when it was pulled: a name that works without a network, and a root of the store. */
export interface PulledPin {
  /** As it was asked for: `toolchain`, `toolchain@previous`, `toolchain@2026-11-01T12:00:00Z`. */
  readonly reference: string;
  readonly storePaths: readonly string[];
  /** The cache; without secrets. */
  readonly from: string;
  /** ISO 8601. */
  readonly updatedAt: string;
}

/** Where records of pins are: those of carport's own store, or of what was pulled into the system's Nix. */
export interface PinStore {
  readonly storeDir: string;
  readonly layout: { readonly pinsDir: string };
}

/** Fits into a file name, and is no hidden one. */
const REFERENCE = /^[A-Za-z0-9][A-Za-z0-9._+:@-]{0,199}$/;
const ENDING = '.json';
const MAX_SIZE = 1024 * 1024;

/** `<reference>~<cache>.json`: pins of the same name in two caches are two. */
const FILE = /^(?<reference>[^~]+)~[0-9a-z]{12}\.json$/;

const PinJson = v.strictObject({
  version: v.literal(1),
  reference: v.string(),
  storePaths: v.pipe(v.array(v.string()), v.minLength(1)),
  from: v.string(),
  updatedAt: v.pipe(v.string(), v.isoTimestamp()),
});

/** Whether a pin may be called so here. */
export function isPinReference(text: string): boolean {
  return REFERENCE.test(text);
}

/** Writes down what a pin of a cache stands for, in the place of what was there. Do this within `withStoreWrite`. */
export async function writePulledPin(store: PinStore, pin: PulledPin): Promise<void> {
  if (!isPinReference(pin.reference)) {
    throw new CarportError('E_USAGE', `\`${pin.reference}\` cannot be the name of a pin`, {
      hint: 'use letters, digits and `._+-`, with a letter or digit first',
    });
  }
  const { pinsDir } = store.layout;
  const { reference, storePaths, from, updatedAt } = pin;
  const file = join(pinsDir, pinFileName(pin));
  const text = `${JSON.stringify({ version: 1, reference, storePaths, from, updatedAt }, undefined, 2)}\n`;
  // What could not be read again would stop garbage collection.
  parsePin(text, file, store);
  await makeDirectory(pinsDir);
  await removeLeftovers(pinsDir);
  await writeFileAtomic(file, (await createTemporaryNames(pinsDir))(), text);
}

/**
 * What a pin stood for when it was pulled last, from one of these caches if any are given; `undefined` when it was not
 * pulled.
 */
export async function readPulledPin(
  store: PinStore,
  reference: string,
  caches?: readonly string[],
): Promise<PulledPin | undefined> {
  const found: { readonly pin: PulledPin; readonly pulledAt: number }[] = [];
  for (const file of await filesOf(store, reference)) {
    const pin = await readFile(store, file);
    if (pin === undefined || (caches && !caches.includes(pin.from))) continue;
    found.push({ pin, pulledAt: (await stat(file)).mtimeMs });
  }
  return found.sort((a, b) => b.pulledAt - a.pulledAt)[0]?.pin;
}

/** Every pin that was pulled, by name. Throws when one cannot be read: its paths may be in use. */
export async function listPulledPins(store: PinStore): Promise<readonly PulledPin[]> {
  const { pinsDir } = store.layout;
  const files = (await namesIn(pinsDir)).filter((name) => name.endsWith(ENDING) && !isTemporaryName(name)).sort();
  const pins = await Promise.all(files.map((name) => readFile(store, join(pinsDir, name))));
  return pins.filter((pin) => pin !== undefined);
}

/** Forgets a pin, of whichever cache. Tells whether it was there. */
export async function removePulledPin(store: PinStore, reference: string): Promise<boolean> {
  const files = await filesOf(store, reference);
  for (const file of files) await rm(file, { force: true });
  return files.length > 0;
}

/** Name of a pin's record: for its cache's too. */
export function pinFileName({ reference, from }: Pick<PulledPin, 'reference' | 'from'>): string {
  const cache = encodeNix32(createHash('sha256').update(from).digest()).slice(0, 12);
  return `${reference}~${cache}${ENDING}`;
}

async function filesOf({ layout: { pinsDir } }: PinStore, reference: string): Promise<readonly string[]> {
  const names = (await namesIn(pinsDir)).filter((name) => FILE.exec(name)?.groups?.reference === reference);
  return names.map((name) => join(pinsDir, name));
}

async function readFile(store: PinStore, file: string): Promise<PulledPin | undefined> {
  const text = (await readSmallFile(file, MAX_SIZE))?.toString('utf8');
  return text === undefined ? undefined : parsePin(text, file, store);
}

function parsePin(text: string, file: string, { storeDir }: PinStore): PulledPin {
  try {
    const { version: _, ...pin } = v.parse(PinJson, JSON.parse(text));
    if (pinFileName(pin) !== basename(file)) throw new Error(`it is about \`${pin.reference}\` of \`${pin.from}\``);
    const wrong = pin.storePaths.find((path) => !isStorePath(path, storeDir));
    if (wrong !== undefined) throw new Error(`\`${wrong}\` is no store path`);
    return pin;
  } catch (cause) {
    const reference = FILE.exec(basename(file))?.groups?.reference;
    throw new CarportError('E_INTEGRITY', `the record \`${file}\` of a pulled pin is damaged`, {
      cause,
      hint: reference
        ? `pull \`${reference}\` again, or drop it with \`carport store forget ${reference}\``
        : 'remove it if carport did not write it',
    });
  }
}
