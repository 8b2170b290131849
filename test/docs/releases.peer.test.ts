import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '#bin/settings/table.js';
import { MAX_DOCUMENT, parseDocument } from '#lib/signing/document.js';
import { FRAGMENT, FRAGMENT_LIMITS, LEDGER, PROMOTION, PRUNING, YANK } from '#release/documents/kinds.js';
import { renderLedger } from '#release/sources/ledger.js';
import { listed } from '../index-generator/listings.js';
import { program } from '../samples/project.js';
import { renderSigned } from '../support/documents.js';
import { codeBlocks, readDocument, TOP } from '../support/markdown.js';
import { describeWithPeer } from '../support/peers.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

const page = readDocument('docs/releases.md');
const blocks = codeBlocks(page);
const blocksBelow = (heading: string, language: string) =>
  blocks.filter((block) => block.heading === heading && block.language === language).map(({ text }) => text);

const found = await execa('sh', ['-c', 'command -v minisign && command -v curl'], { reject: false });

describeWithPeer(
  found.failed ? 'minisign or curl is missing' : undefined,
  'docs/releases.md from top to bottom',
  () => {
    const box = useSandbox();

    it('has commands that can be pasted', async () => {
      await program(box().path('bin/carport'), [`exec ${process.execPath} ${CARPORT} "$@"`]);
      const headings = ['Publish', 'Say what is new', 'Promote', 'Yank', 'Prune', 'Check what you got'];
      const commands = headings.flatMap((heading) => [`echo '== ${heading}'\n`, ...blocksBelow(heading, 'sh')]);
      expect(commands).toHaveLength(14);
      const served = `file://${box().path('work/bucket')}/`;
      const script = commands
        .join('')
        .replaceAll(/^curl .*$/gm, (line) => line.replace('https://releases.example.org/', served));
      const { all, exitCode } = await execa('bash', ['-euo', 'pipefail', '-c', script], {
        ...{ cwd: box().path('work'), extendEnv: false, reject: false, all: true },
        env: { ...box().env, PATH: `${box().path('bin')}:${process.env.PATH}` },
      });
      expect(exitCode, all).toBe(0);
      const said = Object.fromEntries(all.split(/^== /m).map((part) => [part.split('\n', 1)[0], part]));
      expect(said.Publish).toMatch(/^v1\.2\.0-rc1 {2}extra {2}\S+ {2}available {2}aarch64-\S+ x86_64-\S+$/m);
      expect(said.Promote).toMatch(/^passed {2}required-targets: 1 of 1 are there$/m);
      expect(said.Promote).toContain('_releases/v1.2.0/aarch64-unknown-linux-musl/tool\n');
      expect(said.Promote).toContain('releases/latest/stable.json\n');
      expect(said.Prune).toContain('nothing was changed');
      const index = await readFile(box().path('work/bucket/releases/index.json'), 'utf8');
      expect(index).toContain('"notes":"* Copies twice as fast\\n* `--json` for **every** command"');
      expect(said['Check what you got']).toContain('\tversion:v1.2.0\ttarget:');
      expect(said['Check what you got']).toContain('tool: OK');
      expect(all).not.toMatch(/^(error|warning)/im);
      const latest = box().path('work/bucket/releases/latest/stable/x86_64-unknown-linux-musl/tool');
      expect(await readFile(latest, 'utf8')).toBe('stands for a program\n');
    });
  },
);

describe('docs/releases.md', () => {
  const box = useSandbox();

  it('has a command that makes the JSON that it shows', async () => {
    const shown = JSON.parse(blocksBelow('`_releases.json`', 'json')[0]!);
    const lines = blocks.flatMap(({ language, text }) => (language === 'sh' ? text.split('\n') : []));
    const command = lines.find((line) => line.includes('--from-listing'))!;
    const [name, ...args] = command.split(' ');
    expect([name, ...args.slice(0, 2)]).toEqual(['carport', 'index', 'build']);
    const input = listed({ key: shown.path, date: shown.date, time: shown.time, size: shown.size });
    await box().succeed(args.with(args.indexOf('aws-list.txt'), '-'), { input });
    const [stable] = JSON.parse(await readFile(box().path('work/public/_releases.json'), 'utf8'));
    expect(stable.builds[0].builds).toEqual([shown]);
  });

  it('has a table of all gates and their settings', () => {
    const directory = join(TOP, 'release/promote/gates');
    const sources = readdirSync(directory).map((file) => readFileSync(join(directory, file), 'utf8'));
    const names = sources.flatMap((text) => text.match(/(?<=GATE = '|(?:passed|failed)\(')[a-z-]+/g) ?? []);
    const rows = rowsBelow('Promote');
    expect(rows.map(([gate]) => gate).sort()).toEqual([...new Set(names)].map((gate) => `\`${gate}\``).sort());
    const settings = rows.map(([, , setting]) => setting!).filter((setting) => setting.startsWith('`'));
    expect(settings.filter((setting) => !(setting.slice(1, -1) in SETTINGS))).toEqual([]);
    expect(settings).toHaveLength(4);
  });

  it('has settings that carport takes', async () => {
    const [text] = blocksBelow('Promote', 'toml');
    await writeFile(box().path('work/carport.toml'), text!);
    const { settings } = JSON.parse((await box().succeed(['config', 'show', '--json'])).stdout);
    const set = settings.filter(({ origin }: { origin: string }) => origin !== 'default');
    expect(set.map(({ key }: { key: string }) => key)).toHaveLength(text!.trim().split('\n').length);
  });

  it('leads to every sample, or another page does', () => {
    const samples = readdirSync(join(TOP, 'samples'), { recursive: true, withFileTypes: true });
    const files = samples.filter((entry) => entry.isFile()).map(({ name }) => name);
    expect(files.length).toBeGreaterThan(8);
    const pages = readdirSync(join(TOP, 'docs')).filter((name) => name.endsWith('.md'));
    const text = pages.map((name) => readDocument(`docs/${name}`)).join();
    const linked = [...text.matchAll(/\(\.\.\/samples\/(?:[\w.]+\/)*([\w.-]+)\)/g)].map(([, name]) => name);
    const beside = ['index.yaml', 'refresh.yaml', 'promote.yaml'];
    expect(files.filter((name) => !linked.includes(name) && !beside.includes(name))).toEqual([]);
  });

  it.each([
    ['Fragments', FRAGMENT],
    ['Yanks', YANK],
    ['Promotions', PROMOTION],
    ['Prunings', PRUNING],
    ['The ledger', LEDGER],
  ] as const)('has every field of a document in its order: %s', (heading, { entries, tag }) => {
    const [, section] = page.split(`### ${heading}\n`);
    expect(section!.split('\n##', 1)[0]).toContain(`\`${tag}\``);
    expect(rowsBelow(heading).map(([field]) => field!.slice(1, -1))).toEqual(fieldsOf(entries));
  });

  it('shows every line of a ledger, in the order in which they are', () => {
    const { value } = parseDocument(FRAGMENT, blocksBelow('Fragments', 'json')[0]!);
    const known = { versionTag: '1 2', signer: 'releases.example.org-1:AAAA' };
    const yank = { version: 'v1.2.0', reason: null, time: value.time };
    const text = renderLedger(
      {
        ...{ fragments: [{ ...known, value }], yanks: [{ ...known, value: yank }], updated: null, state: null },
        published: new Map([['releases/index.json', { versionTag: '1 2', fingerprint: 'of its content' }]]),
      },
      [],
    );
    const lines = text.trimEnd().split('\n').slice(1);
    const shapes = lines.map((line) => {
      const row: readonly unknown[] = JSON.parse(line);
      return [row[0], row.length];
    });
    const shown = blocksBelow('The ledger', 'text')[0]!.matchAll(/^\["(\w+)", (.*?)\] {2,}/gm);
    expect([...shown].map(([, kind, more]) => [kind, 1 + more!.split(', ').length])).toEqual(shapes);
  });

  it('shows a fragment as it is written, and names the limits', () => {
    const [example] = blocksBelow('Fragments', 'json');
    const { value, signatures } = parseDocument(FRAGMENT, example!);
    expect(signatures).toHaveLength(1);
    const unsigned = JSON.parse(renderSigned(FRAGMENT, value, []));
    expect(JSON.stringify({ ...unsigned, signatures })).toBe(JSON.stringify(JSON.parse(example!)));
    const text = page.replaceAll(/\s+/g, ' ');
    expect(text).toContain(`up to ${FRAGMENT_LIMITS.files} files`);
    expect(text).toContain(`more than ${MAX_DOCUMENT / 1024 / 1024} MiB`);
  });
});

/** Cells of the rows of the tables below a heading, without the heads. */
function rowsBelow(heading: string): readonly (readonly string[])[] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => line.replace(/^#+ /, '') === heading && line.startsWith('#'));
  const end = lines.findIndex((line, index) => index > start && line.startsWith('#'));
  const rows = lines.slice(start, end).filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) => row.slice(2, -2).split(' | '));
}

/** What schemas have below them, as much as documents need. */
interface Schema {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly wrapped?: Schema;
  readonly item?: Schema;
}

/** Fields with those inside of them: `ci.system`, `files[].name`. One that may be `null` is named itself, too. */
function fieldsOf(entries: v.ObjectEntries, prefix = ''): readonly string[] {
  return Object.entries(entries as unknown as Readonly<Record<string, Schema>>).flatMap(([name, schema]) => {
    const field = prefix + name;
    const { wrapped } = schema;
    const inner = wrapped?.entries ? wrapped : schema;
    const below = inner.entries ?? inner.item?.entries;
    if (!below) return [field];
    const nested = fieldsOf(below as unknown as v.ObjectEntries, `${field}${inner.item ? '[]' : ''}.`);
    return wrapped ? [field, ...nested] : nested;
  });
}
