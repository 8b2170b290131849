/** What the own store knows of a path, in a file. */

import { CarportError, hasCode } from '../../errors.js';
import { readSmallFile } from '../../filesystem/small-files.js';
import { parseNarInfo, renderNarInfo } from '../../nix/narinfo.js';
import type { PathInfo } from '../../nix/path-info.js';
import { plainNarInfo } from '../../nix/registered.js';
import { hashPartOf, parseStorePath } from '../../nix/store-path.js';
import { infoFile, type StoreLayout } from './layout.js';

/** Bytes of a metadata file, at most. */
const MAX_SIZE = 4 * 1024 * 1024;

/** A line that only metadata have: no narinfo of a cache brings it here. */
const FOUND = { key: 'CarportFound', value: '1' } as const;

/** What is known of a path of an own store. */
export interface Registration extends PathInfo {
  /** Its files were there already, and nothing says that carport put them there: it must not remove them. */
  readonly found?: true;
}

/** By store path. */
export type Registrations = ReadonlyMap<string, Registration>;

/** The narinfo that an own store keeps of a path. A store keeps trees, not NARs: the URL is what the plain NAR would have. */
export function renderMetadata(info: Registration): string {
  return renderNarInfo({ ...plainNarInfo(info), unknownFields: info.found ? [FOUND] : [] });
}

/** What is registered under a hash part, if anything. Throws when that cannot be read as metadata. */
export function readMetadata(layout: StoreLayout, hashPart: string): Promise<Registration | undefined> {
  return readMetadataFile(infoFile(layout, hashPart), layout, hashPart);
}

/** The metadata in a file, which must be about a path with that hash part. */
export async function readMetadataFile(
  file: string,
  layout: StoreLayout,
  hashPart: string,
): Promise<Registration | undefined> {
  const text = await readSmallFile(file, MAX_SIZE).then(
    (bytes) => bytes?.toString('latin1'),
    (error) => {
      throw error instanceof CarportError ? damaged(file, error) : error;
    },
  );
  if (text === undefined) return undefined;
  try {
    const info = parseNarInfo(text);
    if (hashPartOf(info.path) !== hashPart) throw new Error(`it is about \`${info.path}\``);
    const found = info.unknownFields.some(({ key }) => key === FOUND.key);
    return { ...info, path: parseStorePath(info.path, layout.storeDir), ...(found && { found }) };
  } catch (cause) {
    throw damaged(file, cause);
  }
}

function damaged(file: string, cause: unknown): CarportError {
  return new CarportError('E_INTEGRITY', `the metadata file \`${file}\` is damaged`, {
    cause,
    hint: '`carport store verify --repair` removes it; then pull or add its path again',
  });
}

/** Whether metadata could be read, but are no metadata. */
export function isDamage(error: unknown): error is CarportError {
  return hasCode(error, 'E_INTEGRITY');
}
