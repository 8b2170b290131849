import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createWholeProgram } from '#bin/program.js';
import { anchorsOf } from '../../tools/site/outline.js';
import { linksIn } from '../../tools/site/pages.js';
import { codeBlocks, readDocument, TOP, withoutCode } from '../support/markdown.js';

const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownIn('docs'), ...markdownIn('changelog')];
const program = await createWholeProgram({
  env: {},
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  cwd: () => TOP,
});

describe('the documents', () => {
  it('are all in docs/README.md, which is the navigation of the site', () => {
    expect(documents.length).toBeGreaterThanOrEqual(11);
    const lists = ['docs/README.md', 'docs/decisions/README.md'];
    const linked = lists.flatMap((path) =>
      localLinksIn(readDocument(path)).map((link) => normalize(join(dirname(path), link.replace(/#.*/, '')))),
    );
    expect(markdownIn('docs').filter((path) => ![...lists, ...linked].includes(path))).toEqual([]);
  });

  it('give each decision a number of its own', () => {
    const numbers = readdirSync(join(TOP, 'docs/decisions')).flatMap((name) => /^[0-9]+/.exec(name) ?? []);
    expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
  });

  it.each(documents)('have links that lead somewhere: %s', (path) => {
    expect(localLinksIn(readDocument(path)).filter((link) => !leadsSomewhere(path, link))).toEqual([]);
  });

  it.each(documents)('name commands and options that exist: %s', (path) => {
    expect(commandLinesIn(readDocument(path)).flatMap(mistakesIn)).toEqual([]);
  });
});

describe('the checks of documents', () => {
  it('find dead links', () => {
    expect(leadsSomewhere('README.md', 'docs/caches.md#trust')).toBe(true);
    expect(leadsSomewhere('docs/store.md', 'caches.md')).toBe(true);
    expect(leadsSomewhere('README.md', 'docs/nothing.md')).toBe(false);
    expect(leadsSomewhere('README.md', 'docs/caches.md#no-such-heading')).toBe(false);
    expect(localLinksIn('See [a](b.md), ![c](d.png) and\n```sh\n[no](e.md)\n```\n')).toEqual(['b.md', 'd.png']);
  });

  it('find commands and options that do not exist', () => {
    const mistakes = (line: string) => commandLinesIn(`\`${line}\``).flatMap(mistakesIn).length;
    expect(mistakes('carport push ./result --to file:///srv/cache')).toBe(0);
    expect(mistakes('carport --version --json')).toBe(0);
    expect(mistakes('x=$(carport store add out --name "$(carport hash path out --format nix32)")')).toBe(0);
    expect(mistakes('carport run toolchain -- gcc --no-such-option')).toBe(0);
    expect(mistakes('carport run toolchain --no-such-option -- gcc')).toBe(1);
    expect(mistakes('carport publish ./result')).toBe(1);
    expect(mistakes('carport store')).toBe(1);
    expect(mistakes('carport store remove')).toBe(1);
    expect(mistakes('carport push ./result --too file:///srv/cache')).toBe(1);
    expect(mistakes('nix-store -qR x | carport push - --closures none')).toBe(1);
    expect(mistakes('carport pull x --trusted-key "$(carport key pubic cache.sec)"')).toBe(1);
  });
});

function markdownIn(folder: string): readonly string[] {
  const names = readdirSync(join(TOP, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name.replaceAll('\\', '/')}`);
}

/** Links to other files and places, as they are written. */
function localLinksIn(markdown: string): readonly string[] {
  return linksIn(markdown).filter((target) => !/^[a-z]+:/.test(target));
}

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), file));
  if (path.startsWith('..') || !existsSync(join(TOP, path))) return false;
  return anchor === undefined || anchorsIn(path).includes(anchor);
}

const known = new Map<string, readonly string[]>();

function anchorsIn(path: string): readonly string[] {
  const anchors = known.get(path) ?? anchorsOf(readDocument(path));
  known.set(path, anchors);
  return anchors;
}

/** What begins with `carport ` in code, with what is nested in it apart. */
function commandLinesIn(markdown: string): readonly string[] {
  const blocks = codeBlocks(markdown).flatMap(({ text }) => text.split('\n'));
  const spans = [...withoutCode(markdown).matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
  return [...blocks, ...spans].flatMap(simpleCommands).filter((line) => line.startsWith('carport '));
}

/** The commands of a line of shell. */
function simpleCommands(line: string): readonly string[] {
  const nested: string[] = [];
  let outer = line;
  for (let match = NESTED.exec(outer); match; match = NESTED.exec(outer)) {
    nested.push(match[1]!);
    outer = outer.replace(match[0], 'NESTED');
  }
  const parts = [outer, ...nested].flatMap((text) => text.split(/\|\|?|&&|;|\s#\s/));
  return parts.map((part) => part.trim().replace(/^\$ /, ''));
}

const NESTED = /[$<]\(([^()]*)\)/;

function mistakesIn(line: string): readonly string[] {
  // What comes after `--` is another program's.
  const [own = ''] = line.split(/\s--(?:\s|$)/);
  const words = own.split(/\s+/).slice(1);
  if (words[0]!.startsWith('--version') || /^[A-Z]/.test(words[0]!)) return [];
  let command: Command = program;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const child = command.commands.find((each) => each.name() === word);
    if (child) command = child;
    else if (command.commands.length > 0) return [`${line}: there is no \`${word}\``];
    else words.push(word);
    if (!child) break;
  }
  if (command.commands.length > 0) return [`${line}: names no command`];
  const known = ['--help', ...command.options.flatMap(({ long, short }) => [long, short])];
  const options = words.map((word) => word.replace(/[^-a-z].*$/s, '')).filter((word) => /^--?[a-z]/.test(word));
  return options.filter((option) => !known.includes(option)).map((option) => `${line}: there is no \`${option}\``);
}
