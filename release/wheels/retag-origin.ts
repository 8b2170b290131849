/** What a wheel that was made of another says of that, in a file of its `.dist-info`. */

import * as v from 'valibot';
import { formatError } from '../../lib/errors.js';
import { readSmallMember, type Wheel } from './read-wheel.js';

/** The file in a wheel that says what it was made of. */
export const ORIGIN_FILE = 'carport-retag.json';

const MAX_ORIGIN = 64 * 1024;

const Origin = v.object({
  version: v.literal(1),
  madeFrom: v.object({
    file: v.pipe(v.string(), v.minLength(1), v.maxLength(300)),
    sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    version: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  }),
});

/** The wheel that another was made of: its name, the SHA-256 of its bytes, its version. */
export type RetagOrigin = v.InferOutput<typeof Origin>['madeFrom'];

/** The text of the file, the same for the same origin. */
export function renderOrigin({ file, sha256, version }: RetagOrigin): string {
  return `${JSON.stringify({ version: 1, madeFrom: { file, sha256, version } })}\n`;
}

/** What a wheel says that it was made of; `undefined` for one as it was built. Throws `E_FORMAT` for what is no such file. */
export async function readOrigin({ archive, members, distInfo, what }: Wheel): Promise<RetagOrigin | undefined> {
  const member = members.get(`${distInfo}/${ORIGIN_FILE}`);
  if (!member) return undefined;
  const text = (await readSmallMember(archive, member, MAX_ORIGIN, what)).toString();
  try {
    return v.parse(Origin, JSON.parse(text)).madeFrom;
  } catch (cause) {
    throw formatError(what, `has a \`${ORIGIN_FILE}\` that cannot be read`, { cause });
  }
}
