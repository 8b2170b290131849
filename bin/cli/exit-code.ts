/** Exit codes. */

import type { ErrorCode } from '../../lib/errors.js';

/** What each exit code means, for help and documentation. An unknown code is a failure. */
export const EXIT_CODES = {
  0: 'done',
  1: 'failed',
  2: 'wrong usage: a command, an option or a setting',
  4: 'a key or credential is missing, unreadable or refused',
  5: 'not found',
  6: 'integrity: wrong hash, signature or format',
  75: 'try again: a server does not answer, or a store is busy; what was finished is kept',
  130: 'interrupted',
} as const;

const BY_ERROR: Readonly<Record<ErrorCode, keyof typeof EXIT_CODES>> = {
  E_USAGE: 2,
  E_FORMAT: 6,
  E_INTEGRITY: 6,
  E_SIGNATURE: 6,
  E_NOT_FOUND: 5,
  E_CREDENTIALS: 4,
  E_UNAVAILABLE: 75,
  E_REMOTE: 1,
  E_PROGRAM: 1,
  E_GATE: 1,
  E_UNSUPPORTED: 1,
  E_INTERRUPTED: 130,
  E_IO: 1,
};

export function exitCodeOf(code: ErrorCode): number {
  return BY_ERROR[code];
}

/** The end of a command that ends as another program did: nothing has gone wrong here. */
export class ExitWith extends Error {
  constructor(readonly exitCode: number) {
    super(`exit code ${exitCode}`);
  }
}
