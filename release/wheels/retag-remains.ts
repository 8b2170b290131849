/** Where the old version still stands in a wheel that gets another. */

import type { ZipMember } from '../../lib/zip/member.js';
import { readSmallMember, type Wheel } from './read-wheel.js';

/** Files in which projects keep their version; bytes of one that is looked at. */
const VERSION_FILE = /(^|\/)(_?version|__about__|__init__|__version__)\.(py|txt|json)$/;
const MAX_FILE = 1024 * 1024;

/** Files that are looked at, and told of. */
const LOOKED_AT = 200;
const TOLD = 5;

/**
 * What a user of the wheel may still read of its old version: files that projects keep it in, whose text stays, and requirements of
 * just that version. Sentences.
 */
export async function remainsOf(wheel: Wheel, version: string): Promise<readonly string[]> {
  const { archive, distInfo, metadata, what } = wheel;
  const files = archive.members.filter(
    ({ name, size }) => VERSION_FILE.test(name) && !name.startsWith(`${distInfo}/`) && size <= MAX_FILE,
  );
  const found: ZipMember[] = [];
  for (const member of files.slice(0, LOOKED_AT)) {
    if ((await readSmallMember(archive, member, MAX_FILE, what)).includes(version)) found.push(member);
  }
  const requirements = metadata.fields.filter(
    ({ name, value }) => name.toLowerCase() === 'requires-dist' && value.includes(version),
  );
  return [
    ...told(found.map(({ name }) => name)).map((name) => `\`${name}\` still says ${version}: what is in files stays`),
    ...told(requirements.map(({ value }) => value)).map((value) => `it still requires \`${value}\``),
  ];
}

function told(texts: readonly string[]): readonly string[] {
  return texts.slice(0, TOLD);
}
