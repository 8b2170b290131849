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

/**
 * Keeps a directory for each line of a pin and for each cache and name, with one file in it that is named by the time. The
 * newest name counts, and only older ones are ever removed, so that runs at the same time cannot set it back.
 */
export function openSeenPins(directory: string): SeenPins {
  const placesOf = ({ id, name }: Pick<Pin, 'id' | 'name'>, cache: string) =>
    [`line ${id}`, `${name} in ${cache}`].map((what) => ({
      what,
      place: join(directory, encodeNix32(createHash('sha256').update(what).digest().subarray(0, 20))),
    }));
  return {
    async newest(pin, cache) {
      const times = await Promise.all(placesOf(pin, cache).map(({ place }) => timesIn(place)));
      return times.flat().sort().at(-1);
    },
    async note(pin, cache) {
      for (const { what, place } of placesOf(pin, cache)) {
        await makeDirectory(place);
        await writeFile(join(place, pin.updatedAt), `${what}\n`);
        const older = (await timesIn(place)).filter((time, _, all) => all.some((other) => other > time));
        for (const time of older) await rm(join(place, time), { force: true });
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
