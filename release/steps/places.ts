/** Where a version stands in files, and the files with another one there. Pure: texts in, texts out, all else stays as it is. */

import { CarportError } from '../../lib/errors.js';
import { type Codec, parseKeyed } from './keyed.js';
import { isFileVersion } from './version-parts.js';

/** A place of a file. `file` is relative to the project. */
export type Place =
  /** All of the file, but white space around it, is the version. */
  | { readonly kind: 'whole'; readonly file: string }
  /** The text with the version in the place of `{version}` is there so many times, by the letter. */
  | { readonly kind: 'match'; readonly file: string; readonly template: string; readonly count: number }
  /** A value of a TOML, JSON or YAML file. */
  | { readonly kind: 'key'; readonly file: string; readonly keys: readonly string[] };

/** A version that stands in a text. */
export interface Standing {
  readonly start: number;
  readonly version: string;
}

/** What was found at a place: every version that its text may mean. */
export interface FoundPlace {
  readonly place: Place;
  readonly standing: readonly Standing[];
}

/** Characters of a version, and what does not stand beside one. */
const RUN = /[0-9A-Za-z.+_-]+/y;
const BESIDE = /[0-9A-Za-z.+_-]/;

/** All that a place may mean in the text of its file. Throws `E_USAGE` for a key that is not there, or is no text. */
export function findPlace(place: Place, text: string, codec: Codec): FoundPlace {
  switch (place.kind) {
    case 'whole': {
      const version = text.replace(/^(\u{feff}|\xef\xbb\xbf)/u, '').trim();
      return { place, standing: isFileVersion(version) ? [{ start: text.indexOf(version), version }] : [] };
    }
    case 'match': {
      const template = codec.encodeText(place.template);
      const found = matchesOf(template, text);
      const isLines = found.length === 0 && template.includes('\n');
      return { place, standing: isLines ? matchesOf(template.replaceAll(/\r?\n/g, '\r\n'), text) : found };
    }
    case 'key': {
      const version = parseKeyed(place, text, codec);
      return { place, standing: [{ start: -1, version: version.value }] };
    }
  }
}

/** By the letter: a dot is a dot. Of several readings of one place the longest counts. */
function matchesOf(template: string, text: string): readonly Standing[] {
  const [before, behind] = template.split('{version}') as [string, string];
  const found: Standing[] = [];
  for (let at = start(text, before, 0); at >= 0; at = start(text, before, at + 1)) {
    const begin = at + before.length;
    if (before === '' && begin > 0 && BESIDE.test(text[begin - 1]!)) continue;
    RUN.lastIndex = begin;
    const run = RUN.exec(text)?.[0] ?? '';
    const version = longest(run, (length) => text.startsWith(behind, begin + length), behind === '');
    if (version !== undefined) found.push({ start: begin, version });
    if (before === '') at = begin + Math.max(run.length - 1, 0);
  }
  return found;
}

function start(text: string, before: string, from: number): number {
  return from > text.length || (before === '' && from === text.length) ? -1 : text.indexOf(before, from);
}

/** Characters of the longest version. */
const MOST = 128;

function longest(run: string, fits: (length: number) => boolean, isWhole: boolean): string | undefined {
  if (isWhole) {
    // The end of a sentence is no part of it.
    const version = run.replace(/[.+_-]+$/, '');
    return isFileVersion(version) ? version : undefined;
  }
  for (let length = Math.min(run.length, MOST); length > 0; length--) {
    const version = run.slice(0, length);
    if (fits(length) && isFileVersion(version)) return version;
  }
  return undefined;
}

/**
 * The version of a project: what those places say that say one thing only. Throws `E_USAGE` where none does, or they do not agree.
 * Where `next` is given, places that have that one already count as done.
 */
export function versionOf(found: readonly FoundPlace[], next?: string): string {
  const certain = found.filter(({ standing }) => new Set(standing.map(({ version }) => version)).size === 1);
  const versions = [...new Set(certain.map(({ standing }) => standing[0]!.version))];
  const before = versions.filter((version) => version !== next);
  if (before.length === 1) return before[0]!;
  if (versions.length === 1) return versions[0]!;
  for (const each of found) checkFound(each);
  const said = certain.map(({ place, standing }) => `\`${place.file}\` has ${standing[0]!.version}`).join(', ');
  if (versions.length === 0) {
    throw new CarportError('E_USAGE', 'no place says which version it is: each text stands beside several', {
      hint: 'give one of them more of the text around the version',
    });
  }
  throw new CarportError('E_USAGE', `the version is not the same everywhere: ${said}`, {
    hint: 'make it the same by hand, or give `--to` the newer one of two',
  });
}

function checkFound({ place, standing }: FoundPlace): void {
  if (standing.length > 0) return;
  const what = place.kind === 'match' ? `the text \`${place.template}\`` : 'a version, and nothing else';
  throw new CarportError('E_USAGE', `\`${place.file}\` does not have ${what}`, {
    hint: 'each place of `[bump]` must be there: the text around `{version}` is taken by the letter',
  });
}

/**
 * Where the version stands at a place, and is to be exchanged: nowhere where the next one is there already. Throws `E_USAGE` where
 * it does not stand there as often as it should.
 */
export function standingAt(found: FoundPlace, version: string, next: string): readonly Standing[] {
  checkFound(found);
  const { place } = found;
  const wanted = place.kind === 'match' ? place.count : 1;
  const standing = found.standing.filter((each) => each.version === version);
  const isDone =
    standing.length < wanted &&
    found.standing.filter((each) => [version, next].includes(each.version)).length === wanted;
  if (standing.length === wanted || isDone) return standing;
  if (standing.length === 0) {
    const other = [...new Set(found.standing.map((each) => each.version))].join(', ');
    throw new CarportError('E_USAGE', `\`${place.file}\` has the version ${other}, and not ${version}`, {
      hint: 'make it the same by hand first',
    });
  }
  const text = place.kind === 'match' ? place.template.replace('{version}', version) : version;
  const often = wanted === 1 ? 'once' : `${wanted} times`;
  throw new CarportError('E_USAGE', `\`${place.file}\` has \`${text}\` ${standing.length} times, and not ${often}`, {
    hint: 'write more of the text around `{version}`, or `count` where all of them are meant',
  });
}
