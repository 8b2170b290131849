/** The events of a NAR that is in memory as a whole: the short way for small ones, of the form that Nix writes. */

import { hasCode } from '../../errors.js';
import { paddedLength } from './encode.js';
import { checkDepth, checkEntryName, checkEntryOrder, checkSymlinkTarget, NAR_LIMITS, type NarEvent } from './event.js';
import { CLOSE, DIRECTORY, ENTRY, EXECUTABLE, MAGIC, NODE, REGULAR, SYMLINK } from './tokens.js';

const END: NarEvent = { type: 'end' };

/**
 * Gives the events of a NAR to `take`, in the order of `createNarDecoder`, which is as strict and tells what is wrong. False
 * when this is no NAR, or not in the form that Nix writes: then some events may have been given, and the decoder decides.
 */
export function readWholeNar(bytes: Buffer, take: (event: NarEvent) => void): boolean {
  const { skip, demand, takeString, isAtEnd } = createTokens(bytes);
  const readFile = (executable: boolean): void => {
    const contents = takeString(bytes.length);
    take({ type: 'regular', executable, size: contents.length });
    if (contents.length > 0) take({ type: 'contents', bytes: contents });
    demand(CLOSE);
    take(END);
  };
  const readDirectory = (depth: number): void => {
    take({ type: 'directory' });
    let previous: Buffer | undefined;
    while (skip(ENTRY)) {
      const name = takeString(NAR_LIMITS.name);
      checkEntryName(name);
      checkEntryOrder(previous, name);
      previous = name;
      take({ type: 'entry', name });
      demand(NODE);
      readNode(depth + 1);
      demand(CLOSE);
    }
    demand(CLOSE);
    take(END);
  };
  const readNode = (depth: number): void => {
    checkDepth(depth);
    if (skip(REGULAR)) readFile(false);
    else if (skip(DIRECTORY)) readDirectory(depth);
    else if (skip(EXECUTABLE)) readFile(true);
    else {
      demand(SYMLINK);
      take({ type: 'symlink', target: checkSymlinkTarget(takeString(NAR_LIMITS.target)) });
      demand(CLOSE);
    }
  };
  try {
    demand(MAGIC);
    readNode(0);
    return isAtEnd();
  } catch (error) {
    if (error === OTHER_FORM || hasCode(error, 'E_FORMAT')) return false;
    throw error;
  }
}

const OTHER_FORM = new Error('not in the form that Nix writes');

/** What comes next; what does not is `OTHER_FORM`. */
function createTokens(bytes: Buffer) {
  let at = 0;
  const skip = (tokens: Buffer): boolean => {
    const end = at + tokens.length;
    const isHere = end <= bytes.length && bytes.compare(tokens, 0, tokens.length, at, end) === 0;
    if (isHere) at = end;
    return isHere;
  };
  return {
    skip,
    demand(tokens: Buffer): void {
      if (!skip(tokens)) throw OTHER_FORM;
    },
    takeString(limit: number): Buffer {
      if (bytes.length - at < 8) throw OTHER_FORM;
      const [start, length] = [at + 8, bytes.readUInt32LE(at)];
      const end = start + paddedLength(length);
      if (bytes.readUInt32LE(at + 4) !== 0 || length > limit || end > bytes.length) throw OTHER_FORM;
      for (let index = start + length; index < end; index++) if (bytes[index] !== 0) throw OTHER_FORM;
      at = end;
      return bytes.subarray(start, start + length);
    },
    isAtEnd: () => at === bytes.length,
  };
}
