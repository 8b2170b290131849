/** Checks that a wheel is what its name, its metadata and its `RECORD` say. */

import { createHash } from 'node:crypto';
import { CarportError, formatError } from '../../lib/errors.js';
import { expandTags, isPlatformTag, normalizeProject } from '../../lib/python/file-name.js';
import { parseRecordHash, type RecordRow } from '../../lib/python/record.js';
import { comparePythonVersions, renderPythonVersion } from '../../lib/python/version.js';
import type { ZipMember } from '../../lib/zip/member.js';
import type { CheckedPython } from './facts.js';
import { openWheel, RETAG_HINT, type Wheel } from './read-wheel.js';
import { readOrigin } from './retag-origin.js';

/**
 * Checks the wheel at a path, which is to be called `fileName`: name and version in the file name against `METADATA`, tags
 * against `WHEEL`, every file against `RECORD`. Throws `E_FORMAT`, and `E_INTEGRITY` for a file that is not what `RECORD`
 * says; the error names the member.
 */
export async function checkWheel(path: string, fileName: string): Promise<CheckedPython> {
  const wheel = await openWheel(path, fileName);
  try {
    checkNames(wheel);
    checkTags(wheel);
    await checkRecord(wheel);
    const { metadata, metadataBytes } = wheel;
    const origin = await readOrigin(wheel);
    const facts = {
      name: metadata.name,
      version: renderPythonVersion(metadata.version),
      requiresPython: metadata.requiresPython ?? null,
      metadataSha256: createHash('sha256').update(metadataBytes).digest('hex'),
      ...(origin && { madeFrom: origin }),
    };
    return { facts, document: metadataBytes };
  } finally {
    await wheel.archive.close();
  }
}

/** Throws where the metadata is of another project or version than the name says. */
function checkNames({ what, name, metadata }: Wheel): void {
  if (normalizeProject(metadata.name) !== normalizeProject(name.project)) {
    throw formatError(
      what,
      `is of the project \`${metadata.name}\` by its \`METADATA\`, and its name says \`${name.project}\``,
    );
  }
  if (comparePythonVersions(metadata.version, name.version) === 0) return;
  throw formatError(
    what,
    `is of version ${metadata.versionText} by its \`METADATA\`, and its name says ${name.versionText}`,
    {
      hint: RETAG_HINT,
    },
  );
}

/** Words that are no platforms, such as `nightly`, may stand in a name in addition. */
function checkTags({ what, name, info }: Wheel): void {
  const named = expandTags({ ...name, platform: name.platform.filter(isPlatformTag) });
  const missing = info.tags.find((tag) => !named.includes(tag));
  const added = named.find((tag) => !info.tags.includes(tag));
  if (missing !== undefined || added !== undefined) {
    const says = `its \`WHEEL\` says ${list(info.tags)}, and its name ${list(named)}`;
    throw formatError(what, `has other tags in its name: ${says}`, {
      hint: '`python -m wheel tags --platform-tag TAG FILE` changes both; `auditwheel repair` looks whether it runs there, too',
    });
  }
  const build = info.build?.replaceAll('-', '_');
  if (build !== undefined && build !== name.build) {
    throw formatError(what, `has the build tag ${build} by its \`WHEEL\`, and its name says ${name.build ?? 'none'}`);
  }
}

/** Files that sign the `RECORD`, and so are not in it. */
const SIGNATURES = ['RECORD.jws', 'RECORD.p7s'];

/** Reads every file, and throws for the first that is not what `RECORD` says, or is not listed, or is missing. */
async function checkRecord(wheel: Wheel): Promise<void> {
  const { what, distInfo, record, members, archive } = wheel;
  const rows = new Map(record.map((row) => [row.path, row]));
  const own = `${distInfo}/RECORD`;
  const unlisted = new Set([own, ...SIGNATURES.map((name) => `${distInfo}/${name}`)]);
  const missing = record.find(({ path }) => !members.has(path) && path !== own);
  if (missing) throw integrity(what, `its \`RECORD\` lists \`${missing.path}\`, which is not there`);
  for (const member of archive.members) {
    if (member.isDirectory || unlisted.has(member.name)) continue;
    const row = rows.get(member.name);
    if (!row) throw integrity(what, `\`${member.name}\` is not in its \`RECORD\``);
    await checkMember(wheel, member, row);
  }
}

async function checkMember({ archive, what }: Wheel, member: ZipMember, { hash, size }: RecordRow): Promise<void> {
  const expected = parseRecordHash(hash);
  if (!expected) {
    throw integrity(
      what,
      `its \`RECORD\` has ${hash === '' ? 'no hash' : 'no hash that counts'} of \`${member.name}\``,
    );
  }
  if (size !== '' && size !== String(member.size)) {
    throw integrity(what, `\`${member.name}\` has ${member.size} bytes, and its \`RECORD\` says ${size.slice(0, 30)}`);
  }
  const hasher = createHash(expected.algorithm);
  for await (const piece of archive.read(member)) hasher.update(piece);
  if (hasher.digest().equals(expected.digest)) return;
  throw integrity(what, `\`${member.name}\` has other bytes than its \`RECORD\` says`);
}

function integrity(what: string, why: string): CarportError {
  return new CarportError('E_INTEGRITY', `${what}: ${why}`, {
    hint: 'build the wheel again: a file in it was changed after its `RECORD` was written, or the `RECORD` by hand',
  });
}

function list(tags: readonly string[]): string {
  const told = tags.slice(0, 5).join(', ');
  return tags.length > 5 ? `${told} and ${tags.length - 5} more` : told;
}
