import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '#bin/commands.js';

const MAN = fileURLToPath(new URL('../../dist/tools/man.js', import.meta.url));

describe('the pages of the manual', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'carport-man-'));
    expect(spawnSync(process.execPath, [MAN, directory], { encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    });
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('are one for each command', async () => {
    const names = COMMANDS.flatMap(({ name, commands = [] }) => [name, ...commands.map((child) => `${name}-${child}`)]);
    expect((await readdir(directory)).sort()).toEqual(
      ['carport.1', ...names.map((name) => `carport-${name}.1`)].sort(),
    );
  });

  it('have what a page has, and are proper roff', async () => {
    const pages = (await readdir(directory)).map((name) => join(directory, name));
    for (const page of pages) {
      const text = await readFile(page, 'utf8');
      expect(text).toMatch(/^\.TH [^\n]+\n\.SH NAME\n[^\n]+ \\- [^\n]+\n\.SH SYNOPSIS\n(.*\n)*\.SH EXIT STATUS\n/);
      expect(text, page).toMatch(/^[\x20-\x7e\n]*$/);
      for (const line of text.split('\n')) expect(line).toMatch(/^(\.(TH|SH|SS|TP|PP|nf|fi)( |$)|[^.'])|^$/);
    }
    expect(await readFile(join(directory, 'carport-push.1'), 'utf8')).toContain('\\fB\\-\\-to <cache>\\fR');
    if (spawnSync('mandoc', ['-h']).error) return;
    const linted = spawnSync('mandoc', ['-Tlint', '-Wwarning', ...pages], { encoding: 'utf8' });
    expect([linted.stdout, linted.stderr]).toEqual(['', '']);
  });
});
