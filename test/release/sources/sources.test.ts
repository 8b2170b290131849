import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import { FRAGMENT, type Fragment, PROMOTION, PRUNING, YANK } from '#release/documents/kinds.js';
import { fileKey, fragmentKey, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '#release/layout.js';
import { readSources, trusted } from '#release/sources/sources.js';
import { renderSigned } from '../../support/documents.js';
import { useSandbox } from '../../support/sandbox.js';

const key = secretKeyFromSeed('release-1', Buffer.alloc(32, 1));
const stranger = secretKeyFromSeed('stranger-1', Buffer.alloc(32, 2));
const policy = { keys: [key.publicKey], allowUnsigned: false };
const time = '2026-11-01T12:00:00Z';

const fragmentOf = (version: string, target: string): Fragment => ({
  ...{ version, target, commit: null, time, changed: time, promotion: null },
  ci: { system: 'none', event: null, runUrl: null },
  files: [{ name: 'app', size: 3, sha256: 'a'.repeat(64), storePath: null }],
});

describe('what a bucket says of releases', () => {
  const box = useSandbox();
  const put = async (at: string, content: string) => {
    await mkdir(dirname(box().path('bucket', at)), { recursive: true });
    await writeFile(box().path('bucket', at), content);
  };
  const read = (version?: string) => readSources(openFileStore(box().path('bucket')), policy, version);
  const putFragment = (version: string, target: string, keys = [key], at = fragmentKey(version, target)) =>
    put(at, renderSigned(FRAGMENT, fragmentOf(version, target), keys));

  it('is nothing where nothing is', async () => {
    expect(await read()).toEqual({
      ...{ files: [], fragments: [], yanks: [], promotions: [], prunings: [], damaged: [], doubts: [], warnings: [] },
      strippedKeys: new Set(),
    });
  });

  it('is files, and documents that a trusted key signed', async () => {
    await put(fileKey('v1', 'x', 'app'), 'abc');
    await putFragment('v1', 'x');
    await put(versionKey(YANKS, 'v1'), renderSigned(YANK, { version: 'v1', reason: 'bad', time }, [key]));
    await put(versionKey(PROMOTIONS, 'v2'), renderSigned(PROMOTION, { version: 'v2', from: 'v1', time }, [key]));
    await put(versionKey(PRUNINGS, 'v0'), renderSigned(PRUNING, { version: 'v0', time }, [key]));
    const { files, fragments, yanks, promotions, prunings, warnings } = await read();
    expect(files).toEqual([{ key: '_releases/v1/x/app', size: 3, time: expect.stringMatching(/^\d{4}-.*:\d\dZ$/) }]);
    expect(trusted(fragments)).toEqual([fragmentOf('v1', 'x')]);
    expect([yanks, promotions, prunings].map((found) => trusted<object>(found).length)).toEqual([1, 1, 1]);
    expect(warnings).toEqual([]);
  });

  it('is told with a doubt where nobody who is trusted signed, or it belongs elsewhere', async () => {
    await putFragment('v1', 'unsigned', []);
    await putFragment('v1', 'foreign', [stranger]);
    await putFragment('v1', 'moved', [key], fragmentKey('v2', 'moved'));
    await put(fragmentKey('v3', 'x'), '<html>');
    await put(fragmentKey('v4', 'x'), 'x'.repeat(2 * 1024 * 1024));
    const { fragments, damaged, warnings } = await read();
    expect(fragments.map(({ key, trusted }) => [key, trusted])).toEqual([
      ['carport/releases/v1/foreign.json', false],
      ['carport/releases/v1/unsigned.json', false],
      ['carport/releases/v2/moved.json', false],
    ]);
    expect(damaged).toEqual(['carport/releases/v3/x.json', 'carport/releases/v4/x.json']);
    expect(warnings.length).toBe(5);
    for (const warning of warnings) expect(warning.message).toContain('is not believed');
  });

  it('of one version is nothing of another whose name begins alike', async () => {
    for (const version of ['v1', 'v1.2']) {
      await put(fileKey(version, 'x', 'app'), 'abc');
      await putFragment(version, 'x');
      await put(versionKey(YANKS, version), renderSigned(YANK, { version, reason: 'bad', time }, [key]));
    }
    const { files, fragments, yanks } = await read('v1');
    expect(files.map((file) => file.key)).toEqual(['_releases/v1/x/app']);
    expect(fragments.map(({ value }) => value.version)).toEqual(['v1']);
    expect(yanks.map(({ value }) => value.version)).toEqual(['v1']);
  });
});
