import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { CarportError, isErrno } from '../errors.js';
import { makeDirectory } from '../filesystem/make-directory.js';
import { namesIn } from '../filesystem/presence.js';
import { readSmallFile, writeFileAtomic } from '../filesystem/small-files.js';
import { createTemporaryNames, isTemporaryName, removeLeftovers } from '../filesystem/temporary.js';
import { isStorePath } from '../nix/store-path.js';
import type { OwnStore } from './own-store.js';

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

type PinStore = Pick<OwnStore, 'layout' | 'storeDir'>;

/** Fits into a file name, and is no hidden one. */
const REFERENCE = /^[A-Za-z0-9][A-Za-z0-9._+:@-]{0,199}$/;
const ENDING = '.json';
const MAX_SIZE = 1024 * 1024;

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

/** Writes down what a pin stands for, in the place of what was there. Do this within `withStoreWrite`. */
export async function writePulledPin({ layout }: PinStore, pin: PulledPin): Promise<void> {
  if (!isPinReference(pin.reference)) {
    throw new CarportError('E_USAGE', `\`${pin.reference}\` cannot be the name of a pin`, {
      hint: 'use letters, digits and `._+-`, with a letter or digit first',
    });
  }
  await makeDirectory(layout.pinsDir);
  await removeLeftovers(layout.pinsDir);
  const temporaryName = await createTemporaryNames(layout.pinsDir);
  const { reference, storePaths, from, updatedAt } = pin;
  const text = JSON.stringify({ version: 1, reference, storePaths, from, updatedAt }, undefined, 2);
  await writeFileAtomic(pinFile(layout, reference), temporaryName(), `${text}\n`);
}

/** What a pin stood for when it was pulled last; `undefined` when it was not pulled. */
export async function readPulledPin({ layout, storeDir }: PinStore, reference: string): Promise<PulledPin | undefined> {
  if (!isPinReference(reference)) return undefined;
  const file = pinFile(layout, reference);
  const text = (await readSmallFile(file, MAX_SIZE))?.toString('utf8');
  return text === undefined ? undefined : parsePin(text, { file, reference, storeDir });
}

/** Every pin that was pulled, by name. */
export async function listPulledPins(store: PinStore): Promise<readonly PulledPin[]> {
  const names = await namesIn(store.layout.pinsDir);
  const files = names.filter((name) => name.endsWith(ENDING) && !isTemporaryName(name));
  const pins = await Promise.all(files.map((name) => readPulledPin(store, name.slice(0, -ENDING.length))));
  return pins.filter((pin) => pin !== undefined);
}

/** Forgets a pin. Tells whether it was there. */
export async function removePulledPin({ layout }: Pick<OwnStore, 'layout'>, reference: string): Promise<boolean> {
  if (!isPinReference(reference)) return false;
  try {
    await rm(pinFile(layout, reference));
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function pinFile({ pinsDir }: OwnStore['layout'], reference: string): string {
  return join(pinsDir, `${reference}${ENDING}`);
}

function parsePin(
  text: string,
  { file, reference, storeDir }: { readonly file: string; readonly reference: string; readonly storeDir: string },
): PulledPin {
  try {
    const { version: _, ...pin } = v.parse(PinJson, JSON.parse(text));
    if (pin.reference !== reference) throw new Error(`it is about \`${pin.reference}\``);
    const wrong = pin.storePaths.find((path) => !isStorePath(path, storeDir));
    if (wrong !== undefined) throw new Error(`\`${wrong}\` is no store path`);
    return pin;
  } catch (cause) {
    throw new CarportError('E_INTEGRITY', `the record \`${file}\` of a pulled pin is damaged`, {
      cause,
      hint: `pull \`${reference}\` again, or drop it with \`carport store forget ${reference}\``,
    });
  }
}
