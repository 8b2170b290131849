import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { EXIT_CODES, exitCodeOf } from '#bin/cli/exit-code.js';
import { SETTINGS } from '#bin/settings/table.js';
import { parseCacheUrl } from '#cache/cache-url.js';
import { COMPRESSION_LEVELS } from '#lib/compression/compressor.js';
import { CarportError, type ErrorCode } from '#lib/errors.js';
import { readDocument, TOP } from '../support/markdown.js';

/** What pages say in tables, compared with the code. */

describe('pages that are made', () => {
  it.each([
    ['docs/commands.md', 'reference'],
    ['docs/modules.md', 'modules'],
    ['CHANGELOG.md', 'changelog'],
  ])('are what `npm run docs` makes: %s', async (page, maker) => {
    const { stdout } = await execa('node', [`dist/tools/${maker}.js`], { cwd: TOP, stripFinalNewline: false });
    expect(readDocument(page)).toBe(stdout);
  });
});

describe('docs/errors.md', () => {
  const page = readDocument('docs/errors.md');

  it('has every code, and its exit code', () => {
    const documented = tableUnder(page, '## Codes').map(([code, exitCode]) => [code, Number(exitCode)]);
    const codes = codesInSource().map((code) => [code, exitCodeOf(code)]);
    expect(documented.filter(([code]) => code !== 'E_BUG').sort()).toEqual(codes.sort());
    expect(documented).toContainEqual(['E_BUG', 1]);
  });

  it('has every exit code', () => {
    expect(tableUnder(page, '## Exit codes')).toEqual(Object.entries(EXIT_CODES).map(([code, text]) => [code, text]));
  });
});

describe('docs/troubleshooting.md', () => {
  const entries = new Map(
    readDocument('docs/troubleshooting.md')
      .split(/^## /m)
      .slice(1)
      .map((entry) => [entry.slice(0, entry.indexOf('\n')), entry]),
  );

  it('has an entry for every code', () => {
    expect([...entries.keys()].sort()).toEqual([...codesInSource(), 'E_BUG'].sort());
  });

  it('says of each what it means, how scripts see it, why it happens, and what to do', () => {
    for (const [code, entry] of entries) {
      expect(entry).toMatch(new RegExp(`Exit code ${code === 'E_BUG' ? 1 : exitCodeOf(code as ErrorCode)}\\.`));
      expect(entry).toMatch(/\n\*\*Usual causes\*\*\n\n\* [\s\S]*\n\*\*What to do\*\*\n\n\* /);
    }
  });
});

describe('docs/settings.md', () => {
  it('has every setting', () => {
    const rows = tableUnder(readDocument('docs/settings.md'), '# Settings');
    expect(rows.map(([key, option, env]) => [key, option, env])).toEqual(
      Object.entries(SETTINGS).map(([key, { option, env }]) => [key, option, env]),
    );
    const lists = rows.filter(([, , , meaning]) => meaning!.startsWith('list: ')).map(([key]) => key);
    expect(lists).toEqual(Object.entries(SETTINGS).flatMap(([key, { list }]) => (list ? [key] : [])));
  });

  it('names what a project may not set', () => {
    const personal = Object.entries(SETTINGS).flatMap(([key, each]) => (each.personal ? [`\`${key}\``] : []));
    const section = readDocument('docs/settings.md').split('## What a project may set')[1]!;
    const sentence = /It may not set ([^.]*),? nor/.exec(section)![1]!;
    expect(sentence.match(/`[^`]+`/g)!.sort()).toEqual(personal.sort());
  });
});

describe('docs/caches.md', () => {
  const page = readDocument('docs/caches.md');

  it('has every parameter of a URL', () => {
    const names = tableUnder(page, '## URLs').map(([name]) => name!);
    const hint = hintOf(() => parseCacheUrl('s3://bucket?aParameterThatIsNotThereAtAll=1'));
    expect(names.sort()).toEqual([...hint.matchAll(/`([^`]+)`/g)].map(([, name]) => name!).sort());
  });

  it('has every compression that is written, and its levels', () => {
    const written = tableUnder(page, '## Compressions').filter(([, write]) => write !== 'no');
    const levels = Object.entries(COMPRESSION_LEVELS).map(([name, { min, max, default: usual }]) => [
      name,
      max === 0 ? '' : `${min} to ${max}, default ${usual}`,
    ]);
    expect(written.map(([name, , , text]) => [name, text])).toEqual(levels);
  });
});

/** The rows of the first table after a heading, without back quotes. */
function tableUnder(page: string, heading: string): readonly (readonly string[])[] {
  const section = page.slice(page.indexOf(`${heading}\n`));
  const [, , ...rows] = /(?:^\|.*\n)+/m.exec(section)![0].trimEnd().split('\n');
  return rows.map((row) => {
    const cells = row.split('|').slice(1, -1);
    return cells.map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1'));
  });
}

/** The codes of the type, which is gone when the tests run. */
function codesInSource(): readonly ErrorCode[] {
  const type = /export type ErrorCode =([^;]*);/.exec(readDocument('lib/errors.ts'))![1]!;
  return [...type.matchAll(/'(E_\w+)'/g)].map(([, code]) => code as ErrorCode);
}

function hintOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof CarportError) return error.hint!;
  }
  throw new Error('nothing was thrown');
}
