/** Counts a cache: one survey, its pins, and what lies beside. */

import { insteadOf } from '../../lib/errors.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { asListable, type ObjectStore, type WriteStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '../../lib/work.js';
import type { Root } from '../gc/mark.js';
import { readSurvey, type SurveyWork } from '../gc/read-survey.js';
import type { Survey } from '../gc/survey.js';
import type { Pin } from '../pins/pin.js';
import { listPinNames, readPin } from '../pins/pins.js';
import type { BesideObject } from './stats.js';

/** All that is known of a bucket. */
export interface CountedBucket {
  readonly survey: Survey;
  /** Objects that belong to no path. */
  readonly beside: readonly BesideObject[];
  /** Pins as they are, whoever signed them: this is for looking. */
  readonly pins: readonly Pin[];
}

/** Reads what a bucket holds. One that cannot be listed is `E_UNSUPPORTED`. */
export async function countBucket(objects: ObjectStore, work: SurveyWork): Promise<CountedBucket> {
  asListable(objects);
  const beside: BesideObject[] = [];
  const onOther = ({ key, size }: BesideObject) => void beside.push({ key, size });
  const survey = await readSurvey(objects as WriteStore, { ...work, onOther });
  return { survey, beside, pins: await readPins(objects, work.emit) };
}

async function readPins(objects: ObjectStore, emit: Emit<ActivityEvent>): Promise<readonly Pin[]> {
  const pins: Pin[] = [];
  for (const name of await listPinNames(objects)) {
    const pin = await readPin(objects, name).catch(insteadOf('E_INTEGRITY', 'damaged' as const));
    if (pin === 'damaged') emit({ type: 'warning', message: `the pin \`${name}\` is damaged, and is not counted` });
    else if (pin) pins.push(pin);
  }
  return pins;
}

/** What pins keep: what they stand for now, and all that they remember. */
export function rootsOfPins(pins: readonly Pin[]): readonly Root[] {
  return pins.map((pin) => {
    const paths = [pin, ...pin.history].flatMap(({ storePaths, derivations }) => [...storePaths, ...derivations]);
    return { kind: 'pin', name: pin.name, hashParts: new Set(paths.map(hashPartOf)) };
  });
}
