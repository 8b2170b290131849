import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { CarportError } from '../../lib/errors.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { readSmallFile, writeFileAtomic } from '../../lib/filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';
import { encodeNix32 } from '../../lib/nix/base32.js';
import type { PublicKey } from '../../lib/signing/key.js';

/**
 * When the newest pin of a name and a key that this machine has seen was written. Whoever serves an older one hides what
 * came after, such as the repair of a compiler, though its signature is right.
 */
export interface SeenPins {
  /** `updatedAt` of the newest pin of this name by one of these keys. */
  newest(name: string, keys: readonly PublicKey[]): Promise<string | undefined>;
  /** Notes what was accepted, be it newer or older. */
  note(name: string, keys: readonly PublicKey[], updatedAt: string): Promise<void>;
}

const MAX_SIZE = 64 * 1024;
const SeenJson = v.object({ version: v.literal(1), updatedAt: v.pipe(v.string(), v.isoTimestamp()) });

/** Keeps one small file for each key and name in a directory. */
export function openSeenPins(directory: string): SeenPins {
  const fileOf = (name: string, key: PublicKey) => join(directory, keyId(key), `${name}.json`);
  const read = async (file: string): Promise<string | undefined> => {
    const bytes = await readSmallFile(file, MAX_SIZE);
    if (bytes === undefined) return undefined;
    try {
      return v.parse(SeenJson, JSON.parse(bytes.toString('utf8'))).updatedAt;
    } catch (cause) {
      throw new CarportError('E_INTEGRITY', `\`${file}\`, which tells how old a pin may be, is damaged`, {
        cause,
        hint: 'remove it: the next pin of that name is then taken as if it was the first',
      });
    }
  };
  return {
    async newest(name, keys) {
      const times = await Promise.all(keys.map((key) => read(fileOf(name, key))));
      return times
        .filter((time) => time !== undefined)
        .sort()
        .at(-1);
    },
    async note(name, keys, updatedAt) {
      for (const key of keys) {
        const file = fileOf(name, key);
        const parent = join(directory, keyId(key));
        await makeDirectory(parent);
        await removeLeftovers(parent);
        const text = `${JSON.stringify({ version: 1, name, keyName: key.name, updatedAt })}\n`;
        await writeFileAtomic(file, (await createTemporaryNames(parent))(), text);
      }
    },
  };
}

/** Names a key by its bytes: another key of the same name is another authority. */
function keyId({ bytes }: PublicKey): string {
  return encodeNix32(createHash('sha256').update(bytes).digest().subarray(0, 20));
}
