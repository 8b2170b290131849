/** How new the pins were that this machine has seen. */

import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../lib/errors.js';
import { namesIn } from '../../lib/filesystem/exists.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { encodeNix32 } from '../../lib/nix/base32.js';
import { isPinTime, type Pin } from './pin.js';

/**
 * How new the pins were that this machine has seen. Whoever serves an older one hides what came after, such as the repair
 * of a compiler, though its signature is right.
 */
export interface SeenPins {
  /** When the newest pin was written that was seen of the same line, in any cache, or of the same name in this cache. */
  newest(pin: Pick<Pin, 'id' | 'name'>, cache: string): Promise<string | undefined>;
  /** Notes a pin of a cache that a trusted key has signed. What is noted never becomes older. */
  note(pin: Pick<Pin, 'id' | 'name' | 'updatedAt'>, cache: string): Promise<void>;
}

/** How new things were that this machine has seen, by what they are called. */
export interface SeenTimes {
  /** The newest time that was noted of any of these; times as `Date.toISOString` gives them. */
  newest(what: readonly string[]): Promise<string | undefined>;
  /** Notes a time of each of these. What is noted never becomes older. */
  note(what: readonly string[], time: string): Promise<void>;
}

/** Keeps how new pins were in a directory. */
export function openSeenPins(directory: string): SeenPins {
  const times = openSeenTimes(directory);
  const namesOf = ({ id, name }: Pick<Pin, 'id' | 'name'>, cache: string) => [`line ${id}`, `${name} in ${cache}`];
  return {
    newest: (pin, cache) => times.newest(namesOf(pin, cache)),
    note: (pin, cache) => times.note(namesOf(pin, cache), pin.updatedAt),
  };
}

/**
 * Keeps a directory for each thing, with one file in it that is named by the time. The newest name counts, and only older ones
 * are ever removed, so that runs at the same time cannot set it back.
 */
export function openSeenTimes(directory: string): SeenTimes {
  const placeOf = (what: string) =>
    join(directory, encodeNix32(createHash('sha256').update(what).digest().subarray(0, 20)));
  return {
    async newest(what) {
      const times = await Promise.all(what.map((each) => timesIn(placeOf(each))));
      return times.flat().sort().at(-1);
    },
    async note(what, time) {
      for (const each of what) {
        const place = placeOf(each);
        await makeDirectory(place);
        await writeFile(join(place, time), `${each}\n`);
        const older = (await timesIn(place)).filter((one, _, all) => all.some((other) => other > one));
        for (const one of older) await rm(join(place, one), { force: true });
      }
    },
  };
}

async function timesIn(place: string): Promise<readonly string[]> {
  try {
    return (await namesIn(place)).filter(isPinTime);
  } catch (error) {
    if (isErrno(error, 'ENOTDIR')) return [];
    throw error;
  }
}
