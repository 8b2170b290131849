/** Names of members of archives that lead outside, or are another name on another system. */

/** Bytes of a name, and of each of its parts. */
const MAX_NAME = 4096;
const MAX_PART = 255;

/** Directories above each other. */
const MAX_DEPTH = 64;

/** Why a member may not be called so, as a part of a sentence; `undefined` for a sound name. A directory ends with `/`. */
export function faultOfMemberName(name: string): string | undefined {
  if (name === '' || name === '/') return 'has no name';
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) return 'has an absolute name';
  if (/[\x00-\x1f\x7f\\]/.test(name)) return 'has a control character or a `\\` in its name';
  if (name.includes('\ufffd')) return 'has a name that is not UTF-8';
  const parts = name.replace(/\/$/, '').split('/');
  if (parts.includes('..')) return 'leads outside of the directory that it is unpacked in';
  if (parts.includes('.') || parts.includes('')) return 'has a name with an empty part or `.`';
  if (parts.length > MAX_DEPTH) return 'lies too deep';
  const isLong = Buffer.byteLength(name) > MAX_NAME || parts.some((part) => Buffer.byteLength(part) > MAX_PART);
  return isLong ? 'has a name that is too long' : undefined;
}
