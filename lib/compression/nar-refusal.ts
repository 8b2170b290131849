/** The error of a NAR that is refused, and what is known of its file. */

import { CarportError, type ErrorCode, type ErrorDetails } from '../errors.js';

/** Whether a file has the hash and size that are told of it, as its writer left it; if not, its NAR may be right. */
export type FileFound = 'as told' | 'another' | 'another with the NAR' | 'nothing told';

/** The error of a NAR whose content is refused. What goes wrong with its source, as a connection that breaks, is none. */
export class NarRefusal extends CarportError {
  readonly found: FileFound;

  constructor(code: ErrorCode, message: string, found: FileFound, details: ErrorDetails = {}) {
    super(code, message, details);
    this.found = found;
  }
}
