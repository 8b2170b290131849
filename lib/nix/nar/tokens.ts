/** What stands between the names and the contents of a NAR, in the form that Nix writes: tokens that always come together. */

import { wireTokens } from './encode.js';
import { NAR_MAGIC } from './event.js';

export const MAGIC = wireTokens(NAR_MAGIC);
export const DIRECTORY = wireTokens('(', 'type', 'directory');
export const ENTRY = wireTokens('entry', '(', 'name');
export const NODE = wireTokens('node');
export const REGULAR = wireTokens('(', 'type', 'regular', 'contents');
export const EXECUTABLE = wireTokens('(', 'type', 'regular', 'executable', '', 'contents');
export const SYMLINK = wireTokens('(', 'type', 'symlink', 'target');
export const CLOSE = wireTokens(')');
