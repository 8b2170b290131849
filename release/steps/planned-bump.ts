/** A bump: which files change, and how. */

import { CarportError } from '../../lib/errors.js';
import { unifiedDiff } from './diff.js';
import { type Edit, type ProjectFile, readProjectText } from './edit.js';
import { replaceKeyed } from './keyed.js';
import { type FoundPlace, findPlace, type Place, standingAt, versionOf } from './places.js';

/** What is to become of the version: it, or what makes it of the one that is there. */
export type NextVersion = { readonly to: string } | { of(version: string): string };

/** A bump that is planned. */
export interface PlannedBump {
  readonly from: string;
  readonly to: string;
  /** Files that change, in the order of their first place. */
  readonly edits: readonly Edit[];
}

/** A place in its file. */
interface Here extends FoundPlace {
  readonly file: ProjectFile;
}

/**
 * Reads the files of a project, and plans. Nothing is written. Places that have the version already, as after a bump that was
 * killed, stay as they are. Throws `E_USAGE` for a place where the version does not stand as often as it should, and as
 * `readProjectText` does.
 */
export async function planBump(directory: string, places: readonly Place[], next: NextVersion): Promise<PlannedBump> {
  const here = await readPlaces(directory, places);
  const wanted = 'to' in next ? likeOthers(next.to, here) : undefined;
  const from = versionOf(here, wanted);
  const to = wanted ?? ('of' in next ? next.of(from) : from);
  const texts = new Map<ProjectFile, string>(here.map(({ file }) => [file, file.text]));
  for (const { place, file } of here) {
    // Earlier places of the same file may have moved it.
    const text = texts.get(file)!;
    const found = findPlace(place, text, file.codec);
    const standing = standingAt(found, from, to);
    if (from !== to) texts.set(file, replaced(place, file, { text, standing }, [from, to]));
  }
  const edits = [...texts].filter(([file, text]) => text !== file.text).map(([file, text]) => ({ file, text }));
  return { from, to, edits };
}

/** The version that the places of a project say. Throws as `planBump` does. */
export async function projectVersion(directory: string, places: readonly Place[]): Promise<string> {
  const { from } = await planBump(directory, places, { of: (version) => version });
  return from;
}

/** What changes in a file, as a unified diff. Bytes as they are in the file, unless that is UTF-16. */
export function diffOf({ file, text }: Edit): Buffer {
  const diff = unifiedDiff(file.codec.encodeText(file.name), file.text, text);
  return Buffer.from(diff, file.codec.isWide ? 'utf8' : 'latin1');
}

/** With a `v` where the files have one. */
function likeOthers(version: string, here: readonly Here[]): string {
  const isWithV = here.every(({ standing }) => standing.some((each) => /^v[0-9]/.test(each.version)));
  return isWithV ? `v${version}` : version;
}

async function readPlaces(directory: string, places: readonly Place[]): Promise<readonly Here[]> {
  if (places.length === 0) {
    throw new CarportError('E_USAGE', 'it is not said where the version stands', {
      hint: 'write `[bump]` and `files = ["VERSION"]` into carport.toml',
    });
  }
  const files = new Map<string, ProjectFile>();
  const here: Here[] = [];
  for (const place of places) {
    const file =
      files.get(place.file) ?? (await readProjectText(directory, place.file, 'correct `[bump]` in carport.toml'));
    files.set(place.file, file);
    here.push({ ...findPlace(place, file.text, file.codec), file });
  }
  const links = [...files.values()].find((file, index, all) => all.findIndex(({ path }) => path === file.path) < index);
  if (!links) return here;
  throw new CarportError('E_USAGE', `\`${links.name}\` is a file that \`[bump]\` names by another name, too`, {
    hint: 'name it once',
  });
}

interface Stands {
  readonly text: string;
  readonly standing: FoundPlace['standing'];
}

function replaced(
  place: Place,
  { codec }: ProjectFile,
  { text, standing }: Stands,
  change: readonly [string, string],
): string {
  if (standing.length === 0) return text;
  if (place.kind === 'key') return replaceKeyed(place, text, codec, change);
  const [from, to] = change;
  let result = text;
  for (const { start } of standing.toReversed())
    result = result.slice(0, start) + to + result.slice(start + from.length);
  return result;
}
