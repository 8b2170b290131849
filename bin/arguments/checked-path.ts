/** The parser of paths that are to be made. */

import { CarportError } from '../../lib/errors.js';
import { mistakeInPath } from '../../lib/mistaken-place.js';

/** The path as it is; throws `E_USAGE` where it was meant otherwise. `place` is where it is from. */
export function checkPath(path: string, place: string): string {
  const mistake = mistakeInPath(path);
  if (mistake === undefined) return path;
  throw new CarportError('E_USAGE', `${path.trim() === '' ? 'a path' : `\`${path}\``} (${place}) ${mistake.reason}`, {
    hint: mistake.hint,
  });
}
