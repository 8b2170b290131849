import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeBlocks, readDocument, TOP } from '../support/markdown.js';
import { describeWithNix } from '../support/nix.js';

const blocks = codeBlocks(readDocument('README.md'));

let temporary: string;

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'carport-readme-'));
});

afterAll(async () => {
  await execa('chmod', ['-R', 'u+rwX', temporary]);
  await rm(temporary, { recursive: true, force: true });
});

/** Pastes the commands below these headings into one shell, in an environment where carport has seen nothing yet. */
async function paste(...headings: readonly string[]): Promise<string> {
  const home = await mkdtemp(join(temporary, 'home-'));
  const chosen = blocks.filter(({ heading, language }) => headings.includes(heading) && language === 'sh');
  const script = chosen.map(({ text }) => text).join('');
  const { all } = await execa('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: TOP,
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: home, NIX_CONF_DIR: home, NIX_USER_CONF_FILES: '' },
    extendEnv: false,
    all: true,
  });
  return all;
}

describe('the README', () => {
  it('names the two commands', () => {
    const lines = blocks.map(({ text }) => text.trim());
    expect(lines).toContain('npm ci && npm run demo');
    expect(lines).toContain('npm ci && npm test');
  });

  it('has a start without Nix that can be pasted', async () => {
    const output = await paste('Five minutes');
    expect(output).toMatch(/^`-- \/nix\/store\/[0-9a-z]{32}-greeting-1\.0$/m);
    expect(output).toContain('2 paths: 0 already cached, 2 to upload');
    expect(output).toContain('2 paths: 2 already cached, 0 to upload');
    expect(output).toContain('2 paths: 0 already here, 2 to fetch');
    expect(output).toContain('2 paths checked, all whole');
  });

  it('leaves nothing outside the temporary directory', async () => {
    const home = (await readdir(temporary)).find((name) => name.startsWith('home-'))!;
    const [directory, ...others] = await readdir(join(temporary, home));
    expect(others).toEqual([]);
    expect(directory).toMatch(/^tmp\./);
  });
});

describeWithNix('the README with Nix', () => {
  it('has a start that real Nix takes part in', async () => {
    const output = await paste('Five minutes', 'With Nix');
    expect(output).toContain('2 paths checked, all whole');
    expect(output).toMatch(/^extra-trusted-public-keys = my-cache-1:/m);
    expect(output).not.toContain('error');
  });
});
