/** `CarportError`, its codes, and the helpers that make one. */

/** The public, stable codes of carport's errors; `bin/exit-code.ts` maps each to an exit code. */
export type ErrorCode =
  | 'E_USAGE' // the command line or a setting is wrong
  | 'E_FORMAT' // bytes that are not what their format says
  | 'E_INTEGRITY' // content that is not what its hash or size says
  | 'E_SIGNATURE' // no valid signature by a trusted key
  | 'E_GATE' // a release may not be promoted
  | 'E_NOT_FOUND' // a path, object, file or key that is not there
  | 'E_CREDENTIALS' // a key or credential that is missing, unreadable or refused
  | 'E_UNAVAILABLE' // a server does not answer, or asks to come back later
  | 'E_REMOTE' // a server refused, and trying again would not help
  | 'E_PROGRAM' // a program that carport runs failed
  | 'E_UNSUPPORTED' // a valid thing that this version does not handle
  | 'E_INTERRUPTED' // the user or the system stopped it
  | 'E_IO'; // the file system refused

export interface ErrorDetails {
  /** What the user can type or do next. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** An error meant for people: says what failed, why (`cause`), and what to do next (`hint`). */
export class CarportError extends Error {
  override readonly name = 'CarportError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
  }
}

/** The error of every parser: `what` is the thing parsed, `why` the reason that it was refused. */
export function formatError(what: string, why: string, details: ErrorDetails = {}): CarportError {
  return new CarportError('E_FORMAT', `${what}: ${why}`, details);
}

/** True for a Node file system error with the given code, such as `ENOENT`. */
export function isErrno(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** Error codes of a disk or a quota that is full. */
export const FULL = ['ENOSPC', 'EDQUOT'] as const;

/** Error codes of a process, or a machine, that can open no more files. */
export const TOO_MANY_FILES = ['EMFILE', 'ENFILE'] as const;

/** True for the error of a disk or a quota that is full, and what comes of it. */
export function isFull(error: unknown): boolean {
  return isErrno(error, ...FULL) || (error instanceof Error && error.cause !== undefined && isFull(error.cause));
}

/** True for a `CarportError` with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is CarportError {
  return error instanceof CarportError && codes.includes(error.code);
}

/** For `catch`: gives a value in place of an error with this code, and throws any other. */
export function insteadOf<T>(code: ErrorCode, value: T): (error: unknown) => T {
  return (error) => {
    if (hasCode(error, code)) return value;
    throw error;
  };
}
