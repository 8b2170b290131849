import { expect } from 'vitest';
import { CarportError, type ErrorCode } from '#lib/errors.js';

/** Runs `action`, which must throw carport's error with a code and a message that names the reason. Gives the error. */
export function expectError(code: ErrorCode, reason: string | RegExp, action: () => unknown): CarportError {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, 'nothing was thrown').toBeInstanceOf(CarportError);
  const error = thrown as CarportError;
  expect(error.code).toBe(code);
  expect(error.message).toMatch(reason instanceof RegExp ? reason : new RegExp(escapeRegExp(reason)));
  return error;
}

/** As `expectError`, for the parsers: `E_FORMAT`. */
export function expectFormatError(reason: string | RegExp, action: () => unknown): CarportError {
  return expectError('E_FORMAT', reason, action);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
