/** What is wrong with a zip archive, in our words. */

import { CarportError, formatError } from '../errors.js';

/** What yauzl says of an archive is a fault of the archive; what the system says is not. */
export function explainedError(what: string, error: unknown): unknown {
  if (error instanceof CarportError || !(error instanceof Error)) return error;
  const isSystem = 'syscall' in error;
  return isSystem ? error : formatError(what, 'is no sound zip archive', { cause: error });
}

/** Throws it so. */
export function explained(what: string): (error: unknown) => never {
  return (error) => {
    throw explainedError(what, error);
  };
}
