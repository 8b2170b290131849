import { readFile, stat, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { LEDGER_KEY } from '#release/layout.js';
import { readLedger, renderLedger } from '#release/sources/ledger.js';
import { hashesIn, putRelease } from '../support/releases.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const BASE = 'https://releases.example.org/';
const SAID = [
  ...['--base-url', BASE, '--title', 'A tool', '--forge', 'https://github.com/acme/tool'],
  ...['--stable-pattern', 'tool-[0-9.]+', '--required-target', 'x', '--required-target', 'y'],
];

describe('what a project said of itself', () => {
  const box = useSandbox();
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: string;
  beforeEach(async () => {
    keyFile = await box().makeKey('release-1');
    key = parseSecretKey(await readFile(keyFile.file, 'utf8'));
    bucket = box().path('bucket');
    for (const target of ['x', 'y']) await putRelease(bucket, { version: 'tool-1.0', target, keys: [key] });
    await putRelease(bucket, { version: 'tool-1.1', target: 'x', keys: [key] });
  });
  const run = (...more: readonly string[]) => box().carport(['index', 'publish', '--to', bucket, ...more]);
  const publish = async (...more: readonly string[]) => {
    const ran = await run('--secret-key', keyFile.file, ...more);
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const read = (at: string) => readFile(`${bucket}/${at}`, 'utf8');

  it('is remembered by the ledger, replaced by what is said anew, and forgotten when that is said', async () => {
    await publish(...SAID);
    const before = await hashesIn(bucket);
    const again = await publish();
    expect(again.stdout).toBe('');
    expect(again.stderr).toBe(
      [
        `as in the run before (\`carport/ledger.json\`): base-url \`${BASE}\`, title \`A tool\`, forge \`https://github.com/acme/tool\`, `,
        'stable-pattern `tool-[0-9.]+`, required-targets `x` `y`; `index publish --forget NAME` takes one back\n',
        'nothing has changed\n',
      ].join(''),
    );
    expect(await hashesIn(bucket)).toEqual(before);
    expect(await read('releases/latest/stable.json')).toContain('"tool-1.0"');
    // Also by a new key, and by those who read; by nobody who does not trust it.
    const list = (...more: readonly string[]) =>
      box().carport(['release', 'show', 'tool-1.0', '--from', bucket, ...more]);
    const trusted = ['--trusted-key', keyFile.publicKey];
    expect((await list(...trusted)).stdout).toMatch(new RegExp(`channel: +stable\n(.*\n)+url: +${BASE}_releases/`));
    expect((await list()).stdout).toMatch(/channel: +extra\n/);
    const out = box().path('work/public');
    const built = await box().succeed(['index', 'build', '--from', bucket, '--out', out, ...trusted]);
    expect(built.lines).toContain(`${out}/releases/feed.atom`);
    await publish('--title', 'B', '--forge', 'https://git.example.org/acme/tool', '--required-target', 'x');
    const page = await read('_releases.html');
    expect(page).toContain('<title>B</title>');
    expect(page).toContain('https://git.example.org/acme/tool/src/tag/');
    expect(await read('releases/latest/stable.json')).toContain('"tool-1.1"');
    const forgotten = await publish('--forget', 'base-url', '--forget', 'stable-pattern');
    expect(forgotten.stderr).toContain('removed: releases/all.atom\nremoved: releases/feed.atom\n');
    expect(JSON.parse(await read('releases/index.json'))).toMatchObject({ title: 'B', baseUrl: null });
    await expect(stat(`${bucket}/releases/latest/stable.json`)).rejects.toThrow('ENOENT');
    expect((await publish()).stderr).not.toContain('base-url `');
  });

  it('holds where a release is promoted or pruned', async () => {
    await publish(...SAID);
    await putRelease(bucket, { version: 'build-7', target: 'x', keys: [key] });
    const promote = (...more: readonly string[]) =>
      box().carport([
        ...['release', 'promote', 'build-7', '--to', 'stable', '--as', 'tool-2.0'],
        ...['--cache', bucket, '--secret-key', keyFile.file, ...more],
      ]);
    const lacking = await promote();
    expect([lacking.exitCode, lacking.stderr]).toEqual([
      1,
      expect.stringContaining('FAILED  required-targets: 1 of 2 are there; missing'),
    ]);
    expect(lacking.stderr).toContain(
      'as in the run before (`carport/ledger.json`): stable-pattern `tool-[0-9.]+`, req',
    );
    expect(lacking.stderr).not.toContain('base-url');
    expect(await promote('--stable-pattern', 'v[0-9.]+')).toMatchObject({
      ...{ exitCode: 2, stderr: expect.stringContaining('`tool-2.0` would be extra, not stable') },
    });
    expect(await promote('--required-target', 'x')).toMatchObject({
      exitCode: 0,
      stdout: '_releases/tool-2.0/x/garage\n',
    });
    const pruned = await box().succeed([
      ...[
        'release',
        'prune',
        '--channel',
        'extra',
        '--keep',
        '1',
        '--to',
        bucket,
        '--secret-key',
        keyFile.file,
        '--json',
      ],
    ]);
    const { kept } = JSON.parse(pruned.stdout) as { kept: readonly { readonly version: string }[] };
    expect(kept.map(({ version }) => version)).toEqual(['build-7']);
  });

  it('is forgotten by that alone: what is said of it is no empty text, nor said at once', async () => {
    await publish(...SAID);
    const refused = async (message: string, ...more: readonly string[]) => {
      expect(await run('--secret-key', keyFile.file, ...more)).toMatchObject({
        ...{ exitCode: 2, stdout: '', stderr: expect.stringContaining(message) },
      });
    };
    await refused('--forget base-url', '--base-url', '');
    await refused('is set by --title', '--forget', 'title', '--title', 'x');
    await refused('`to` (--forget) is no setting that is remembered', '--forget', 'to');
  });

  it('is checked like what is given', async () => {
    await publish(...SAID);
    const objects = openFileStore(bucket);
    const { ledger } = await readLedger(objects, { keys: [key.publicKey], allowUnsigned: false });
    const before = await hashesIn(bucket);
    for (const baseUrl of ['javascript:alert(1)', 'https://user:secret@example.org/', '']) {
      const forged = renderLedger({ ...ledger!, project: { ...ledger!.project!, baseUrl } }, [key]);
      await writeFile(`${bucket}/${LEDGER_KEY}`, forged);
      const ran = await run('--secret-key', keyFile.file);
      expect([ran.exitCode, ran.stdout]).toEqual([2, '']);
      expect(ran.stderr).toContain('(`carport/ledger.json`) is not that of a web site');
      await publish('--base-url', BASE);
      expect(await hashesIn(bucket)).toEqual(before);
    }
    // A ledger of old says nothing of it.
    const { project: _, ...old } = ledger!;
    await writeFile(`${bucket}/${LEDGER_KEY}`, renderLedger(old, [key]));
    expect((await publish('--dry-run')).stderr).toContain('no address is set for users');
  });

  it('leaves the feeds where nobody signs, and nothing is remembered', async () => {
    for (const target of ['x', 'y']) await putRelease(bucket, { version: 'tool-1.0', target });
    await putRelease(bucket, { version: 'tool-1.1', target: 'x' });
    const unsigned = (...more: readonly string[]) => run('--allow-unsigned', ...more);
    await unsigned('--base-url', BASE);
    const before = await read('releases/all.atom');
    const later = await unsigned();
    expect(later.stderr).toContain('those that are there stay as they are, and `--forget base-url` removes them\n');
    expect(await read('releases/all.atom')).toBe(before);
    expect((await unsigned('--forget', 'base-url')).stderr).toContain('removed: releases/feed.atom\n');
  });
});
