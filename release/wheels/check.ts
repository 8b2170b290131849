/** Checks files that are to be published, where they are called as wheels and source distributions are. */

import { CarportError, hasCode } from '../../lib/errors.js';
import { isWheelFile } from '../../lib/python/file-name.js';
import { checkSdist } from './check-sdist.js';
import { checkWheel } from './check-wheel.js';
import type { CheckedPython } from './facts.js';

export interface PythonChecking {
  readonly allowed?: boolean;
  readonly wayOut?: string;
  readonly tell?: (fault: string) => void;
}

/**
 * What the file at a path is, which is to be called `fileName`; `undefined` for what is neither. Throws `E_FORMAT` or `E_INTEGRITY`
 * for one that is not what it says; where that is `allowed`, `tell` gets what is wrong, and the file is as any other. `wayOut` is
 * an option that allows it.
 */
export async function checkPython(
  path: string,
  fileName: string,
  { allowed = false, wayOut, tell }: PythonChecking = {},
): Promise<CheckedPython | undefined> {
  try {
    return await (isWheelFile(fileName) ? checkWheel(path, fileName) : checkSdist(path, fileName));
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT', 'E_INTEGRITY')) throw error;
    if (!allowed) throw wayOut === undefined ? error : withWayOut(error, wayOut);
    tell?.(error.message);
    return undefined;
  }
}

function withWayOut({ code, message, cause, hint = 'build it again' }: CarportError, way: string): CarportError {
  return new CarportError(code, message, { cause, hint: `${hint}; ${way}` });
}
