/** The members of a wheel under another version. */

import { createHash } from 'node:crypto';
import { escapeVersion } from '../../lib/python/file-name.js';
import { withVersion } from '../../lib/python/metadata.js';
import { type RecordRow, recordHash, renderRecord } from '../../lib/python/record.js';
import type { ZipMember } from '../../lib/zip/member.js';
import type { NewMember } from '../../lib/zip/write.js';
import type { Wheel } from './read-wheel.js';
import { ORIGIN_FILE, type RetagOrigin, renderOrigin } from './retag-origin.js';

/** Signatures of the old `RECORD`. */
const SIGNATURES = ['RECORD.jws', 'RECORD.p7s'];

/**
 * What a wheel consists of under a version, in normal form: what it was, in its order, but for `METADATA`, `RECORD` and the file that says
 * what it was made of. A signature of the old `RECORD` is left out.
 */
export function retaggedMembers(wheel: Wheel, version: string, madeFrom: RetagOrigin): readonly NewMember[] {
  const { what, distInfo, archive, metadataBytes, record } = wheel;
  const rename = renamer(distInfo, version);
  const own = (name: string) => `${distInfo}/${name}`;
  const changed = new Map<string, Uint8Array>([
    [own('METADATA'), withVersion(`${what}, \`METADATA\``, metadataBytes, version)],
    [own(ORIGIN_FILE), Buffer.from(renderOrigin(madeFrom))],
  ]);
  const isOwn = ({ path }: RecordRow) => path === own('RECORD');
  const rows = record.filter((row) => !isOwn(row) && row.path !== own(ORIGIN_FILE));
  const all = [...rows, { path: own(ORIGIN_FILE), hash: '', size: '' }].map((row) => {
    const bytes = changed.get(row.path);
    return { ...(bytes ? rowOf(bytes) : row), path: rename(row.path) };
  });
  const last = record.find(isOwn) ?? { path: own('RECORD'), hash: '', size: '' };
  changed.set(own('RECORD'), Buffer.from(renderRecord([...all, { path: rename(last.path), hash: '', size: '' }])));
  const left = new Set([own(ORIGIN_FILE), ...SIGNATURES.map(own)]);
  return archive.members.flatMap((like) => {
    if (left.has(like.name)) return [];
    const bytes = changed.get(like.name);
    const member = { name: rename(like.name), like, ...(bytes && { bytes }) };
    return like.name === own('RECORD')
      ? [originMember(rename(own(ORIGIN_FILE)), like, changed.get(own(ORIGIN_FILE))!), member]
      : [member];
  });
}

/** Dated as the `RECORD` is, before which it stands. */
function originMember(name: string, like: ZipMember, bytes: Uint8Array): NewMember {
  return { name, like, bytes };
}

function rowOf(bytes: Uint8Array): Omit<RecordRow, 'path'> {
  return { hash: recordHash('sha256', createHash('sha256').update(bytes).digest()), size: String(bytes.length) };
}

/** The directories of the wheel itself under their new names; everything else as it is called. */
function renamer(distInfo: string, version: string): (name: string) => string {
  const project = /^(.+)-[^-]+\.dist-info$/.exec(distInfo)?.[1] ?? '';
  return (name) => {
    const [top = '', ...rest] = name.split('/');
    const ending = rest.length === 0 ? undefined : /\.(dist-info|data)$/.exec(top)?.[0];
    return ending === undefined ? name : [`${project}-${escapeVersion(version)}${ending}`, ...rest].join('/');
  };
}
