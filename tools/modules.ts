/** Prints docs/modules.md, a line a module, which is made of the comments at their heads: `npm run docs`. */

import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const TOP = fileURLToPath(new URL('../../', import.meta.url));

/** The upper layers first, as docs/architecture.md has them. */
const FOLDERS = ['bin', 'index-generator', 'release', 'cache', 'image', 'lib', 'dev', 'bench', 'tools'];

const modules = await Promise.all((await Promise.all(FOLDERS.map(modulesIn))).flat().map(describeModule));
const folders = [...new Set(modules.map(({ path }) => dirname(path)))];
process.stdout.write(
  [
    '# Modules',
    'Made by `npm run docs` from the comment at the head of each module. [Architecture](architecture.md) says what a folder may import.',
    ...folders.map((folder) => sectionOf(folder)),
  ].join('\n\n'),
);

/** Paths of modules, those of a folder before those of the folders in it. */
async function modulesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(TOP + folder, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory() && entry.name.endsWith('.ts')).map(({ name }) => name);
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${folder}/${name}`);
  return [
    ...names.sort().map((name) => `${folder}/${name}`),
    ...(await Promise.all(below.sort().map(modulesIn))).flat(),
  ];
}

async function describeModule(path: string): Promise<{ readonly path: string; readonly head: string }> {
  const text = await readFile(TOP + path, 'utf8');
  const comment = /^(?:#!.*\n)?\/\*\*\s(?<text>.*?)\s\*\/\n\n/s.exec(text)?.groups?.text;
  if (comment === undefined) throw new Error(`\`${path}\` does not begin with a comment that says what it is`);
  const head = comment.replace(/(^|\n) \*( |$)/g, ' ').trim();
  return { path, head };
}

function sectionOf(folder: string): string {
  const rows = modules.filter(({ path }) => dirname(path) === folder);
  const lines = rows.map(({ path, head }) => `| \`${basename(path)}\` | ${head.replaceAll('|', '\\|')} |\n`);
  return `## \`${folder}/\`\n\n| module | what it is |\n| --- | --- |\n${lines.join('')}`.trimEnd();
}
