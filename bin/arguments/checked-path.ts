/** Paths that are to be made. */

import { CarportError } from '../../lib/errors.js';
import { mistakeInPath } from '../../lib/mistaken-place.js';

/** Reads an option, or an argument, that names what is to be made. */
export function newPath(origin: string): (text: string) => string {
  return (text) => checkPath(text, origin);
}

/** Throws where a path was meant otherwise; `origin` is the option or variable that has it. */
export function checkPath(path: string, origin: string): string {
  const mistake = mistakeInPath(path);
  if (mistake === undefined) return path;
  throw new CarportError('E_USAGE', `${path.trim() === '' ? 'a path' : `\`${path}\``} (${origin}) ${mistake.reason}`, {
    hint: mistake.hint,
  });
}
