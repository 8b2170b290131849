import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { listed } from '../index-generator/listings.js';
import { codeBlocks, readDocument } from '../support/markdown.js';
import { useSandbox } from '../support/sandbox.js';

describe('docs/releases.md', () => {
  const blocks = codeBlocks(readDocument('docs/releases.md'));
  const box = useSandbox();

  it('has a command that makes the JSON that it shows', async () => {
    const shown = JSON.parse(blocks.find(({ language }) => language === 'json')!.text);
    const command = blocks.find(({ language }) => language === 'sh')!.text.split('\n')[1]!;
    const [program, ...args] = command.split(' ');
    expect([program, ...args.slice(0, 2)]).toEqual(['carport', 'index', 'build']);
    const input = listed({ key: shown.path, date: shown.date, time: shown.time, size: shown.size });
    const { lines } = await box().succeed(args.with(args.indexOf('aws-list.txt'), '-'), { input });
    expect(lines).toEqual(['public/_releases.json', 'public/_releases.html']);
    const [stable] = JSON.parse(await readFile(box().path('work', lines[0]!), 'utf8'));
    expect(stable.builds[0].builds).toEqual([shown]);
  });
});
