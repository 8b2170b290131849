/** What a wheel is by what lies in it: its members, and the documents of its `.dist-info` (PEP 427, 491). */

import { formatError } from '../../lib/errors.js';
import { escapeProject, normalizeProject, parseWheelName, type WheelName } from '../../lib/python/file-name.js';
import {
  type CoreMetadata,
  MAX_METADATA,
  parseMetadata,
  parseWheelInfo,
  type WheelInfo,
} from '../../lib/python/metadata.js';
import { MAX_RECORD, parseRecord, type RecordRow } from '../../lib/python/record.js';
import { comparePythonVersions, tryPythonVersion } from '../../lib/python/version.js';
import { openZip, type ZipArchive } from '../../lib/zip/archive.js';
import type { ZipMember } from '../../lib/zip/member.js';

/** A wheel that is open. */
export interface Wheel {
  /** How messages call it. */
  readonly what: string;
  readonly fileName: string;
  readonly name: WheelName;
  readonly archive: ZipArchive;
  /** `my_project-1.0.dist-info`. */
  readonly distInfo: string;
  readonly members: ReadonlyMap<string, ZipMember>;
  readonly metadata: CoreMetadata;
  readonly metadataBytes: Buffer;
  readonly info: WheelInfo;
  readonly record: readonly RecordRow[];
}

/** What to do where a file was renamed to another version. */
export const RETAG_HINT =
  '`carport release wheel-retag FILE --version VERSION` makes the wheel of a version of that of another';

const DIST_INFO = '.dist-info';
const DATA = '.data';
const MAX_WHEEL = 1024 * 1024;

/** Opens the wheel at a path, which is called `fileName`. Throws `E_FORMAT` for what is none. The caller closes its archive. */
export async function openWheel(path: string, fileName: string): Promise<Wheel> {
  const what = `wheel \`${fileName}\``;
  const name = parseWheelName(fileName);
  const archive = await openZip(path, what);
  try {
    const members = new Map(archive.members.map((member) => [member.name, member]));
    const distInfo = directoryOf(archive, name, what);
    const read = (file: string, limit: number) => readDocument(archive, members, `${distInfo}/${file}`, limit, what);
    const metadataBytes = await read('METADATA', MAX_METADATA);
    const metadata = parseMetadata(`${what}, \`METADATA\``, metadataBytes);
    const info = parseWheelInfo(`${what}, \`WHEEL\``, await read('WHEEL', MAX_WHEEL));
    const recordText = (await read('RECORD', MAX_RECORD)).toString();
    const record = parseRecord(`${what}, \`RECORD\``, recordText);
    return { what, fileName, name, archive, distInfo, members, metadata, metadataBytes, info, record };
  } catch (error) {
    await archive.close();
    throw error;
  }
}

/** The bytes of a member that is small. */
export async function readSmallMember(
  archive: ZipArchive,
  member: ZipMember,
  limit: number,
  what: string,
): Promise<Buffer> {
  if (member.size > limit) throw formatError(what, `has a \`${member.name}\` of more than ${limit} bytes`);
  const pieces: Buffer[] = [];
  for await (const piece of archive.read(member)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function readDocument(
  archive: ZipArchive,
  members: ReadonlyMap<string, ZipMember>,
  name: string,
  limit: number,
  what: string,
): Promise<Buffer> {
  const member = members.get(name);
  if (!member) throw formatError(what, `has no \`${name}\``);
  return readSmallMember(archive, member, limit, what);
}

/** The one directory that tells of the wheel; that, and the one for data, must be of its name and version. */
function directoryOf({ members }: ZipArchive, name: WheelName, what: string): string {
  const tops = [...new Set(members.map((member) => member.name.split('/', 1)[0]!))];
  const found = tops.filter((top) => top.endsWith(DIST_INFO));
  const [distInfo, ...more] = found;
  const wanted = `${escapeProject(name.project)}-${name.versionText}${DIST_INFO}`;
  if (distInfo === undefined) throw formatError(what, `has no directory \`${wanted}\``);
  if (more.length > 0) throw formatError(what, `has ${found.length} directories \`…${DIST_INFO}\`, and may have one`);
  for (const top of [distInfo, ...tops.filter((each) => each.endsWith(DATA))]) {
    if (!isOf(top.replace(/\.[^.]+$/, ''), name))
      throw formatError(what, `has \`${top}\`, which is of another name or version than its file`, {
        hint: RETAG_HINT,
      });
  }
  return distInfo;
}

/** Whether a directory is of the wheel's name and version, be they spelled in another way. */
function isOf(stem: string, { project, version }: WheelName): boolean {
  const at = stem.lastIndexOf('-');
  const its = tryPythonVersion(stem.slice(at + 1).replaceAll('_', '-'));
  const isSameProject = normalizeProject(stem.slice(0, Math.max(at, 0))) === normalizeProject(project);
  return isSameProject && its !== undefined && comparePythonVersions(its, version) === 0;
}
