import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { codeBlocks, readDocument } from '../support/markdown.js';
import { useSandbox } from '../support/sandbox.js';

describe('docs/ci.md', () => {
  const page = readDocument('docs/ci.md');
  const box = useSandbox('all');

  it('shows what is printed', async () => {
    const example = /\$ carport ci env\n([^`]*)/.exec(page)![1]!;
    const shown = [...example.matchAll(/^(\w+): (.*) {2}\((\w+)\)$/gm)];
    expect(shown).toHaveLength(8);
    const env = Object.fromEntries(shown.map(([, , value, name]) => [name, value]));
    const { stdout } = await box().succeed(['ci', 'env'], { env: { ...env, CI: 'woodpecker' } });
    expect(stdout).toBe(example);
  });

  it('has an example by hand that works', async () => {
    const { text } = codeBlocks(page).find(({ language }) => language === 'sh')!;
    const [, assignments, args] = /^(.*) carport (.*)\n$/.exec(text)!;
    const env = Object.fromEntries(assignments!.split(' ').map((each) => each.split('=')));
    const { lines } = await box().succeed(args!.split(' '), { env });
    expect(lines).toContain('version: handcrafted-1.0.0  (DRONE_TAG)');
  });

  it('has a pattern that takes a fourth number', async () => {
    const { text } = codeBlocks(page).find(({ language }) => language === 'toml')!;
    await writeFile(box().path('work/carport.toml'), text);
    for (const tag of ['v0.3.0', 'v0.3.0.1', 'v0.3.0-1']) {
      const { stdout } = await box().succeed(['ci', 'env', '--tag', tag]);
      expect(stdout).toContain(`channel: ${tag.includes('-') ? 'extra' : 'stable'}  (--tag, `);
    }
  });

  it('names every variable that is looked at', () => {
    const source = readDocument('release/ci/detect.ts');
    const names = new Set(source.match(/(?<=['`])(?:CI|DRONE|FORGEJO|GITEA|GITHUB|GITLAB)_[A-Z_]+(?=')/g));
    expect(names.size).toBeGreaterThan(20);
    expect([...names].filter((name) => !page.includes(`\`${name}\``) && !page.includes(`\`${name}=`))).toEqual([]);
  });
});
