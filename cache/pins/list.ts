/**
 * The list of a cache's pins as one object, for web servers, which cannot be listed. Pins are the truth: the list has their names and
 * nothing else, is written after them, and made anew from them; what a pin says, and whether to believe it, the pin tells.
 */

import * as v from 'valibot';
import { CarportError, hasCode } from '../../lib/errors.js';
import { type DocumentPlace, putSigned, readTrusted } from '../../lib/object-store/documents.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { DocumentKind } from '../../lib/signing/document.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { PIN_LIST } from '../layout.js';
import { isPinName } from './pin.js';
import { listPinNames } from './pins.js';

/** Names that are read. */
const MAX_NAMES = 10_000;

/** How often a list is made again since pins have come or gone meanwhile. */
const ROUNDS = 4;

const LIST = {
  what: 'list of pins',
  tag: 'carport-pin-list',
  formatField: 'version',
  maxBytes: 2 * 1024 * 1024,
  entries: {
    pins: v.pipe(
      v.array(v.pipe(v.string(), v.check(isPinName, 'is not a name that a pin may have'))),
      v.maxLength(MAX_NAMES),
      v.readonly(),
    ),
  },
} satisfies DocumentKind<v.ObjectEntries>;

const PLACE: DocumentPlace<typeof LIST.entries> = { kind: LIST, keyOf: () => PIN_LIST };

/** The names that a list has. */
export interface PinNames {
  readonly names: readonly string[];
  /** Whether a trusted key has signed that these are all. */
  readonly isTrusted: boolean;
  /** Whether anybody has. */
  readonly isSigned: boolean;
}

const NOBODY: TrustPolicy = { keys: [], allowUnsigned: false };

/** The list of a cache; `undefined` where there is none. Throws `E_INTEGRITY` for one that is damaged. */
export async function readPinList(objects: ObjectStore, trust: TrustPolicy = NOBODY): Promise<PinNames | undefined> {
  const stored = await readTrusted(objects, PLACE, PIN_LIST, trust);
  switch (stored.state) {
    case 'absent':
      return undefined;
    case 'damaged':
      throw new CarportError('E_INTEGRITY', `\`${PIN_LIST}\` in \`${objects.url}\` is damaged`, {
        ...(stored.doubt.kind === 'damaged' && { cause: stored.doubt.cause }),
        hint: 'name the pins that are wanted; the next one that is set writes the list anew',
      });
    default:
      return {
        names: [...new Set(stored.value.pins)].sort(),
        isTrusted: stored.state === 'trusted',
        isSigned: stored.state === 'trusted' || stored.doubt.kind !== 'unsigned',
      };
  }
}

/** Names of the pins of a cache: by a listing, or of a web server by its list. Throws `E_UNSUPPORTED` where there is neither. */
export async function findPinNames(objects: ObjectStore, trust: TrustPolicy): Promise<PinNames> {
  const list = isListable(objects) ? undefined : await readPinList(objects, trust);
  return list ?? { names: await listPinNames(objects), isTrusted: true, isSigned: true };
}

/**
 * Makes the list what the pins are, after some have come or gone; writes nothing where it is that already. Keys sign it, if there
 * are any. `changed` are names of which is known what has become of them, for servers that cannot be listed.
 */
export async function renewPinList(
  objects: ObjectStore,
  keys: readonly SecretKey[],
  changed: { readonly added?: readonly string[]; readonly removed?: readonly string[] } = {},
): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const before = await readPinList(objects).catch((error) => {
      if (hasCode(error, 'E_INTEGRITY')) return undefined;
      throw error;
    });
    const listed = isListable(objects) ? await listPinNames(objects).catch(ignoreRefusal) : undefined;
    const names = listed ?? merged(before?.names ?? [], changed);
    const pins = names.filter(isPinName).slice(0, MAX_NAMES);
    const isSame = (before?.names ?? []).join() === pins.join();
    if (isSame && (before === undefined || before.isSigned || keys.length === 0)) return;
    await putSigned(objects, PLACE, { pins }, keys);
    // Who sets another pin meanwhile may have listed before this one was there, or after.
    if (listed === undefined) return;
  }
}

/** The same, where what it is for is done: that it fails is told, and nothing else. */
export async function renewPinListQuietly(
  objects: ObjectStore,
  keys: readonly SecretKey[],
  changed: Parameters<typeof renewPinList>[2],
  emit: Emit<WarningEvent> | undefined,
): Promise<void> {
  try {
    await renewPinList(objects, keys, changed);
  } catch (error) {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
    const message = `\`${PIN_LIST}\`, which shows the pins to readers of web servers, could not be written: ${error.message}`;
    emit?.({ type: 'warning', message });
  }
}

/** A key may write and not list. */
function ignoreRefusal(error: unknown): undefined {
  if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
}

function merged(
  names: readonly string[],
  { added = [], removed = [] }: NonNullable<Parameters<typeof renewPinList>[2]>,
): readonly string[] {
  return [...new Set([...names, ...added])].filter((name) => !removed.includes(name)).sort();
}
