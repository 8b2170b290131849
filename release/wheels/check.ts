/** Checks files that are to be published, where they are called as wheels and source distributions are. */

import { CarportError, hasCode } from '../../lib/errors.js';
import { isWheelFile } from '../../lib/python/file-name.js';
import { checkSdist } from './check-sdist.js';
import { checkWheel } from './check-wheel.js';
import type { CheckedPython } from './facts.js';

/**
 * What the file at a path is, which is to be called `fileName`; `undefined` for what is neither. Throws `E_FORMAT` or `E_INTEGRITY` for one that is not what it says;
 * where that is `allowed`, `tell` gets what is wrong, and the file is as any other.
 */
export async function checkPython(
  path: string,
  fileName: string,
  { allowed, tell }: { readonly allowed: boolean; readonly tell: (fault: string) => void },
): Promise<CheckedPython | undefined> {
  try {
    return await (isWheelFile(fileName) ? checkWheel(path, fileName) : checkSdist(path, fileName));
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT', 'E_INTEGRITY')) throw error;
    if (!allowed) throw withWayOut(error);
    tell(error.message);
    return undefined;
  }
}

function withWayOut({ code, message, cause, hint = 'build it again' }: CarportError): CarportError {
  const way = '`--allow-faulty-packages` puts it as it is, and no simple index has it then';
  return new CarportError(code, message, { cause, hint: `${hint}; ${way}` });
}
