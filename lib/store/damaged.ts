/** The error for a path of a store that is not what the store has on record. */

import { CarportError, isErrno } from '../errors.js';
import type { PathInfo } from '../nix/path-info.js';

/** `what` is what comes of it; `cause`, what was found. */
export function damagedInStore({ path }: Pick<PathInfo, 'path'>, what: string, cause: Error): CarportError {
  return new CarportError('E_INTEGRITY', `\`${path}\` is damaged in the store${what}`, {
    cause,
    hint: `\`nix-store --verify-path ${path}\` or \`carport store verify\` read it again, and tell more`,
  });
}

/** What reading a path that a store has on record, at `realPath`, failed with: where its files are gone, the store is damaged. */
export function explainReading(error: unknown, info: Pick<PathInfo, 'path'>, realPath: string, what: string): unknown {
  if (!isErrno(error, 'ENOENT') || error.path === undefined) return error;
  if (error.path !== realPath && !error.path.startsWith(`${realPath}/`)) return error;
  return damagedInStore(info, what, new Error(`\`${error.path}\` is gone, and the store has it on record`));
}
