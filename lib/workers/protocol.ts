import { CarportError, type ErrorCode, type FileFound } from '../errors.js';
import type { Job } from './jobs.js';

/** From the pool to a worker; `id` tells jobs apart. Bytes are moved, not copied. */
export type ToWorker =
  | { readonly type: 'job'; readonly id: number; readonly job: Job }
  | { readonly type: 'bytes'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly id: number }
  | { readonly type: 'source-failed'; readonly id: number };

/** From a worker to the pool. */
export type FromWorker =
  | { readonly type: 'progress'; readonly id: number; readonly bytes: number }
  /** One piece of the source was taken: another may be sent. */
  | { readonly type: 'taken'; readonly id: number }
  | { readonly type: 'done'; readonly id: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly error: SerializedError };

/** Pieces of a source that may be under way to a worker. */
export const SOURCE_WINDOW = 8;

/** An error with its causes: an `Error` loses its class and fields on the way between threads. */
export interface SerializedError {
  readonly message: string;
  readonly code?: string;
  /** What the file system refused, and where. */
  readonly syscall?: string;
  readonly path?: string;
  readonly hint?: string;
  readonly file?: FileFound;
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
    ...(error instanceof CarportError && error.file !== undefined && { file: error.file }),
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: serializeError(error.cause) }),
  };
}

export function deserializeError(serialized: SerializedError): Error {
  const { message, code, syscall, path, hint, file, stack, expected, cause } = serialized;
  const reason = cause && deserializeError(cause);
  const error = expected
    ? new CarportError(code as ErrorCode, message, { ...(hint && { hint }), ...(file && { file }), cause: reason })
    : Object.assign(new Error(message, { cause: reason }), code && { code }, syscall && { syscall }, path && { path });
  if (stack !== undefined) error.stack = stack;
  return error;
}
