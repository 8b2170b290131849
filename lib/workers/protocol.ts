/** The messages between them; errors cross with their causes. */

import { type FileFound, NarRefusal } from '../compression/nar-refusal.js';
import { CarportError, type ErrorCode } from '../errors.js';
import type { Job, NarPiece } from './jobs.js';

/** From the pool to a worker; `id` tells jobs apart. */
export type ToWorker =
  /** Several at once: a message costs more than a small job. */
  | { readonly type: 'jobs'; readonly jobs: readonly { readonly id: number; readonly job: Job }[] }
  /** Memory that threads share, in which the pieces of a source will lie. */
  | { readonly type: 'source'; readonly id: number; readonly memory: SharedArrayBuffer }
  /** A piece, which stays there until it is said to be taken. */
  | { readonly type: 'piece'; readonly id: number; readonly offset: number; readonly size: number }
  | { readonly type: 'end'; readonly id: number }
  | { readonly type: 'source-failed'; readonly id: number }
  /** A piece of what the job gives was used: there is room for one more. */
  | { readonly type: 'more'; readonly id: number }
  /** Nobody wants what the job gives. */
  | { readonly type: 'stop'; readonly id: number };

/** From a worker to the pool. */
export type FromWorker =
  | { readonly type: 'progress'; readonly id: number; readonly bytes: number }
  /** Nobody looks at the oldest piece of the source any more. */
  | { readonly type: 'taken'; readonly id: number }
  /** A piece of what a job gives, moved and not copied. */
  | { readonly type: 'output'; readonly id: number; readonly piece: NarPiece }
  /** What became of jobs that ended in one turn. */
  | { readonly type: 'ended'; readonly jobs: readonly Outcome[] };

/** How a job has ended. */
export type Outcome =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SerializedError };

/** Pieces of a source that may be under way to a worker. */
export const SOURCE_WINDOW = 4;

/** Bytes of a piece, but for the last: a message costs as much as copying some hundred KiB. */
export const PIECE_SIZE = 512 * 1024;

/** Pieces that a job may give before the first of them is used. */
export const OUTPUT_WINDOW = 4;

/** An error with its causes: an `Error` loses its class and fields on the way between threads. */
export interface SerializedError {
  readonly message: string;
  readonly code?: string;
  /** What the file system refused, and where. */
  readonly syscall?: string;
  readonly path?: string;
  readonly hint?: string;
  /** Of a NAR that was refused. */
  readonly found?: FileFound;
  readonly stack?: string;
  readonly expected: boolean;
  readonly cause?: SerializedError;
}

export function serializeError(error: unknown): SerializedError {
  if (!(error instanceof Error)) return { message: String(error), expected: false };
  return {
    message: error.message,
    expected: error instanceof CarportError,
    ...('code' in error && { code: String(error.code) }),
    ...('syscall' in error && { syscall: String(error.syscall) }),
    ...('path' in error && { path: String(error.path) }),
    ...(error instanceof CarportError && error.hint !== undefined && { hint: error.hint }),
    ...(error instanceof NarRefusal && { found: error.found }),
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: serializeError(error.cause) }),
  };
}

export function deserializeError(serialized: SerializedError): Error {
  const error = reviveError(serialized);
  if (serialized.stack !== undefined) error.stack = serialized.stack;
  return error;
}

function reviveError({ message, code, syscall, path, hint, found, expected, cause }: SerializedError): Error {
  const reason = cause && deserializeError(cause);
  if (!expected) {
    return Object.assign(
      new Error(message, { cause: reason }),
      code && { code },
      syscall && { syscall },
      path && { path },
    );
  }
  const details = { hint, cause: reason };
  if (found) return new NarRefusal(code as ErrorCode, message, found, details);
  return new CarportError(code as ErrorCode, message, details);
}
