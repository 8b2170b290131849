/** The end of a zip archive, behind its directory. */

import { formatError } from '../errors.js';
import { explained } from './fault.js';
import type { ReadAt } from './window.js';

const END = 22;
const END_SIGNATURE = 0x06054b50;
const END_64 = 56 + 20;
const END_64_SIGNATURE = 0x06064b50;

/** Behind the directory stands what closes the archive, which says the same of it, and nothing else. */
export async function refuseTail(
  readAt: ReadAt,
  directory: { readonly start: number; readonly end: number; readonly size: number; readonly entries: number },
  what: string,
): Promise<void> {
  const { start, end, size, entries } = directory;
  const tail = size - end;
  const isLong = tail === END + END_64;
  if (tail !== END && !isLong) throw formatError(what, 'has bytes behind its directory, or a comment');
  const bytes = await readAt(end, tail).catch(explained(what));
  const last = bytes.subarray(tail - END);
  const is = (value: number, expected: number, unknown: number) => value === expected || (isLong && value === unknown);
  const isSound =
    last.readUInt32LE(0) === END_SIGNATURE &&
    (!isLong || bytes.readUInt32LE(0) === END_64_SIGNATURE) &&
    is(last.readUInt16LE(8), entries, 0xffff) &&
    is(last.readUInt16LE(10), entries, 0xffff) &&
    is(last.readUInt32LE(12), end - start, 0xffff_ffff) &&
    is(last.readUInt32LE(16), start, 0xffff_ffff) &&
    (!isLong || (bytes.readBigUInt64LE(40) === BigInt(end - start) && bytes.readBigUInt64LE(48) === BigInt(start)));
  if (!isSound) throw formatError(what, 'has an end that says something else of its directory than is there');
}
