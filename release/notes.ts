/** Release notes: what of a text is about one version. */

import { CarportError } from '../lib/errors.js';
import { hasSecretKey } from '../lib/signing/secret-form.js';
import { splitComponent } from './component.js';
import { FRAGMENT_LIMITS } from './documents/kinds.js';

/** Notes of a version, or why there are none. */
export type FoundNotes =
  | { readonly notes: string; readonly why?: undefined }
  | { readonly notes?: undefined; readonly why: string };

/** A heading, and the lines behind it up to the next of its level or a higher one. */
interface Section {
  readonly title: string;
  readonly text: string;
}

/**
 * What a text says of a version: its section, where headings of the text name versions, as those of a changelog do; else the
 * whole. Of a candidate (`v1.2.0-rc1`) that is its own section, or that of `1.2.0`, or what is `Unreleased`. `origin` is where
 * the text is from, for errors. Throws `E_USAGE` for notes that are too long, and for those with a secret key in them.
 */
export function notesOf(version: string, text: string, origin: string): FoundNotes {
  const whole = text.replace(/^\u{feff}/u, '').replaceAll(/\r\n?/g, '\n');
  const sections = sectionsOf(whole);
  const isOfVersions = sections.some(({ title }) => versionIn(title) !== undefined);
  const found = isOfVersions ? sectionOf(version, sections) : whole;
  if (found === undefined) return { why: `${origin} has no section of \`${version}\`` };
  const notes = isOfVersions ? withReferences(found, whole) : found.trim();
  if (notes === '') return { why: `${origin} says nothing of \`${version}\`` };
  checkNotes(notes, origin);
  return { notes };
}

/** Whether headings of a text name versions, as those of a changelog do. */
export function namesVersions(text: string): boolean {
  return sectionsOf(text.replaceAll(/\r\n?/g, '\n')).some(({ title }) => versionIn(title) !== undefined);
}

/** Throws `E_USAGE` for notes that are too long, and for those with a secret key in them. `origin` is where they are from. */
export function checkNotes(notes: string, origin: string): void {
  if (notes.length > FRAGMENT_LIMITS.notes) {
    throw new CarportError(
      'E_USAGE',
      `the notes in ${origin} have ${notes.length.toLocaleString('en-US')} characters`,
      {
        hint: `a release has at most ${FRAGMENT_LIMITS.notes.toLocaleString('en-US')}: say what is new in short, with a link to the rest`,
      },
    );
  }
  if (hasSecretKey(notes)) {
    throw new CarportError('E_USAGE', `the notes in ${origin} have a secret key in them`, {
      hint: 'everybody will read them: see which file it is',
    });
  }
}

function sectionOf(version: string, sections: readonly Section[]): string | undefined {
  const { proper } = splitComponent(version);
  const [base = ''] = proper.split('-');
  for (const wanted of [proper, base]) {
    const found = sections.find(({ title }) => title.split(/[\s()[\],:]+/).some((word) => isSameVersion(word, wanted)));
    if (found) return found.text;
  }
  return sections.find(({ title }) => /^\W*unreleased\W*$/i.test(title))?.text;
}

function isSameVersion(word: string, version: string): boolean {
  const plain = (text: string) => splitComponent(text).proper.replace(/^v(?=\d)/i, '');
  return word !== '' && plain(word) === plain(version);
}

/** `[1.2.0] - 2026-11-01`, `v1.2.0`, `Version 1.2`, `tool v1.2.0`: behind one word at most. */
function versionIn(title: string): string | undefined {
  return /^[[(*_]*(?:[A-Za-z][\w@/.-]*\s+[[(*_]*)?(v?\d+(?:\.\d+)+)/.exec(title)?.[1];
}

/** All sections by their headings, be they `## Title` or underlined; what is in a block of code is no heading. */
function sectionsOf(text: string): readonly Section[] {
  const lines = text.split('\n');
  const headings: { readonly line: number; readonly behind: number; readonly level: number; readonly title: string }[] =
    [];
  let fence: string | undefined;
  for (const [line, content] of lines.entries()) {
    const [, mark] = /^ {0,3}(`{3,}|~{3,})/.exec(content) ?? [];
    if (mark !== undefined && (fence === undefined || mark.startsWith(fence))) {
      fence = fence === undefined ? mark : undefined;
      continue;
    }
    if (fence !== undefined) continue;
    const [, marks, title] = /^ {0,3}(#{1,6})[ \t]+(.*)$/.exec(content) ?? [];
    if (marks !== undefined)
      headings.push({ line, behind: line + 1, level: marks.length, title: withoutMarks(title!) });
    const [, under] = /^ {0,3}(=+|-{2,})[ \t]*$/.exec(lines[line + 1] ?? '') ?? [];
    if (marks === undefined && under !== undefined && /^ {0,3}[^\s>|-]/.test(content)) {
      headings.push({ line, behind: line + 2, level: under.startsWith('=') ? 1 : 2, title: content.trim() });
    }
  }
  return headings.map(({ behind, level, title }, index) => {
    let next = index + 1;
    while ((headings[next]?.level ?? 0) > level) next++;
    return { title, text: lines.slice(behind, headings[next]?.line).join('\n') };
  });
}

function withoutMarks(title: string): string {
  const text = title.trim();
  let end = text.length;
  while (text[end - 1] === '#') end--;
  return /[ \t]/.test(text[end - 1] ?? '') ? text.slice(0, end).trim() : text;
}

const REFERENCE = /^ {0,3}\[([^\]^][^\]]{0,200})\]:[ \t]+\S/;

/** A section with the addresses of the links that it has by name, which are at the end of a changelog, and with no others. */
function withReferences(section: string, whole: string): string {
  const isReference = (line: string) => REFERENCE.test(line);
  const text = section
    .split('\n')
    .filter((line) => !isReference(line))
    .join('\n')
    .trim();
  const wanted = whole.split('\n').filter((line) => {
    const label = REFERENCE.exec(line)?.[1];
    return label !== undefined && text.includes(`[${label}]`);
  });
  return text === '' || wanted.length === 0 ? text : `${text}\n\n${wanted.join('\n')}`;
}
