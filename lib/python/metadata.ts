/** Core metadata of Python packages, and `WHEEL`: headers in the form of mail (PEP 314, 345, 427, 566, 643, 639). */

import { formatError } from '../errors.js';
import { isProjectName } from './file-name.js';
import { type PythonVersion, parsePythonVersion } from './version.js';

/** Bytes of a file of metadata. Descriptions are whole manuals. */
export const MAX_METADATA = 8 * 1024 * 1024;

const MAX_FIELDS = 20_000;

/** A field as it stands there; lines that go on are joined by newlines, without their indentation. */
export interface MetadataField {
  readonly name: string;
  readonly value: string;
}

/** What is known of a distribution by its own metadata. */
export interface CoreMetadata {
  /** `2.1`. */
  readonly metadataVersion: string;
  /** As the project spells it. */
  readonly name: string;
  readonly version: PythonVersion;
  readonly versionText: string;
  /** `>=3.8`, where it says so. */
  readonly requiresPython?: string;
  /** All fields but the body, in their order. */
  readonly fields: readonly MetadataField[];
  /** What stands below the fields: the description, since metadata 2.1. */
  readonly body: string;
}

/** What `WHEEL` says. */
export interface WheelInfo {
  /** `1.0`. */
  readonly wheelVersion: string;
  /** Lower case, sorted, each once. */
  readonly tags: readonly string[];
  readonly build?: string;
}

/** Fields, and what follows the first empty line. Throws `E_FORMAT`. */
function parseFields(
  what: string,
  bytes: Uint8Array,
): { readonly fields: readonly MetadataField[]; readonly body: string } {
  const text = utf8(what, bytes);
  const [, head = '', body = ''] = /^([\s\S]*?)(?:\r?\n\r?\n([\s\S]*))?$/.exec(text) ?? [];
  const fields: { name: string; value: string }[] = [];
  for (const line of head.split(/\r\n|\n|\r/)) {
    if (line === '') continue;
    const last = fields.at(-1);
    if (/^[ \t]/.test(line) && last) {
      last.value += `\n${line.replace(/^(?: {7}\||[ \t]+)/, '')}`;
      continue;
    }
    const groups = /^(?<name>[!-9;-~]+):[ \t]*(?<value>.*)$/.exec(line)?.groups;
    if (!groups) throw formatError(what, `has a line that is no field: \`${line.slice(0, 60)}\``);
    fields.push({ name: groups.name!, value: groups.value!.trimEnd() });
    if (fields.length > MAX_FIELDS) throw formatError(what, `has more than ${MAX_FIELDS} fields`);
  }
  return { fields, body };
}

/** Reads `METADATA` or `PKG-INFO`; `what` is its name in messages. Throws `E_FORMAT`. */
export function parseMetadata(what: string, bytes: Uint8Array): CoreMetadata {
  const { fields, body } = parseFields(what, bytes);
  const metadataVersion = single(what, fields, 'Metadata-Version');
  const name = single(what, fields, 'Name');
  const versionText = single(what, fields, 'Version');
  if (!/^[0-9]+\.[0-9]+$/.test(metadataVersion))
    throw formatError(what, `has \`Metadata-Version: ${metadataVersion}\``);
  if (!isProjectName(name)) throw formatError(what, `has the name \`${name.slice(0, 60)}\`, which no project can have`);
  const requiresPython = valuesOf(fields, 'Requires-Python')[0];
  if (requiresPython !== undefined && !/^[ !-~]{1,500}$/.test(requiresPython)) {
    throw formatError(what, 'has a `Requires-Python` that is no list of versions');
  }
  return {
    ...{ metadataVersion, name, versionText, version: versionOf(what, versionText) },
    ...(requiresPython !== undefined && { requiresPython }),
    ...{ fields, body },
  };
}

/** Reads `WHEEL`. Throws `E_FORMAT`. */
export function parseWheelInfo(what: string, bytes: Uint8Array): WheelInfo {
  const { fields } = parseFields(what, bytes);
  const wheelVersion = single(what, fields, 'Wheel-Version');
  if (!/^1\.[0-9]+$/.test(wheelVersion)) throw formatError(what, `is of version ${wheelVersion}, and 1 is known`);
  const tags = [...new Set(valuesOf(fields, 'Tag').map((tag) => tag.toLowerCase()))].sort();
  if (tags.length === 0) throw formatError(what, 'has no `Tag`');
  const build = valuesOf(fields, 'Build')[0];
  return { wheelVersion, tags, ...(build !== undefined && { build }) };
}

/** All values of a field, whatever the case of its name. */
export function valuesOf(fields: readonly MetadataField[], name: string): readonly string[] {
  const wanted = name.toLowerCase();
  return fields.flatMap((field) => (field.name.toLowerCase() === wanted ? [field.value] : []));
}

/** The same metadata with another version, every other byte as it is. */
export function withVersion(what: string, bytes: Uint8Array, version: string): Buffer {
  // One character a byte: nothing is decoded that stays.
  const text = Buffer.from(bytes).toString('latin1');
  const replaced = text.replace(/^(version:[ \t]*)[^\r\n]*/im, (_, field: string) => `${field}${version}`);
  const result = Buffer.from(replaced, 'latin1');
  if (parseMetadata(what, result).versionText === version) return result;
  throw formatError(what, 'has no field `Version` that could be changed');
}

function single(what: string, fields: readonly MetadataField[], name: string): string {
  const [value, ...more] = valuesOf(fields, name);
  if (value === undefined || value === '') throw formatError(what, `has no \`${name}\``);
  if (more.length > 0) throw formatError(what, `has \`${name}\` more than once`);
  return value;
}

function versionOf(what: string, text: string): PythonVersion {
  try {
    return parsePythonVersion(text);
  } catch (cause) {
    throw formatError(what, 'has a version that is none', { cause });
  }
}

function utf8(what: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw formatError(what, 'is not UTF-8');
  }
}
