/** Prints CHANGELOG.md, which is made of the files in `changelog/`: `npm run docs`. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHANGELOG = fileURLToPath(new URL('../../changelog', import.meta.url));

/** The kinds of changes by the first word of an entry, those that matter most first. */
const KINDS = { Security: 'Security', Change: 'Changed', Bugfix: 'Fixed', Enhancement: 'Added' } as const;

interface Entry {
  readonly kind: string;
  /** The first line without its kind. */
  readonly title: string;
  /** All between the first line and that of the issues. */
  readonly text: string;
}

process.stdout.write(
  [
    '# Changelog',
    'Made by `npm run docs` from the files in `changelog/`.',
    ...(await Promise.all((await releases()).map(sectionOf))),
  ].join('\n\n'),
);

/** Folders of entries: what is not released, then `<version>_<date>`, the newest first. */
async function releases(): Promise<readonly string[]> {
  const entries = await readdir(CHANGELOG, { withFileTypes: true });
  const released = entries.filter((entry) => entry.isDirectory() && entry.name !== 'unreleased');
  const dateOf = (name: string) => name.slice(name.lastIndexOf('_') + 1);
  const names = released.map(({ name }) => name).sort((a, b) => (dateOf(a) < dateOf(b) ? 1 : -1));
  return ['unreleased', ...names];
}

async function sectionOf(folder: string): Promise<string> {
  const files = (await readdir(join(CHANGELOG, folder))).sort();
  const entries = await Promise.all(files.map((file) => readEntry(join(CHANGELOG, folder, file))));
  const kinds = Object.entries(KINDS).map(([kind, heading]) => {
    const ofKind = entries.filter((entry) => entry.kind === kind);
    const texts = ofKind.map(({ title, text }) => `#### ${title}\n\n${text}`);
    return texts.length === 0 ? '' : `### ${heading}\n\n${texts.join('\n\n')}\n`;
  });
  const [version, date] = folder.split('_');
  const heading = date === undefined ? 'Unreleased' : `${version} (${date})`;
  return `## ${heading}\n\n${kinds.filter((part) => part !== '').join('\n')}`.trimEnd();
}

async function readEntry(file: string): Promise<Entry> {
  const paragraphs = (await readFile(file, 'utf8')).trimEnd().split('\n\n');
  const first = paragraphs[0]!;
  const colon = first.indexOf(': ');
  return { kind: first.slice(0, colon), title: first.slice(colon + 2), text: paragraphs.slice(1, -1).join('\n\n') };
}
