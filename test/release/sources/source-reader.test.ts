import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import { YANK } from '#release/documents/kinds.js';
import { fragmentKey, LEDGER_KEY, versionKey, YANKS } from '#release/layout.js';
import { readSources, sourceReader } from '#release/sources/sources.js';
import { putDocument, putRelease, TEST_TARGET } from '../../support/releases.js';
import { useSandbox } from '../../support/sandbox.js';
import { watchStore } from '../../support/watched-store.js';

const key = secretKeyFromSeed('release-1', Buffer.alloc(32, 1));
const policy = { keys: [key.publicKey], allowUnsigned: false };
const time = '2026-11-01T12:00:00Z';

describe('who reads sources twice', () => {
  const box = useSandbox();
  const bucket = () => box().path('bucket');
  const put = (version: string, commit: string | null = null) => putRelease(bucket(), { version, commit, keys: [key] });

  const open = () => {
    const watched = watchStore(openFileStore(bucket()));
    const { list, read } = sourceReader(watched.objects, policy);
    const look = async () => {
      watched.calls.length = 0;
      const { sources } = await read(await list());
      expect(sources).toEqual(await readSources(openFileStore(bucket()), policy));
      return watched.calls.filter((call) => call.startsWith('read ') && call !== `read ${LEDGER_KEY}`).sort();
    };
    return { list, look };
  };

  it('reads those documents again that were written since, and forgets what has gone', async () => {
    for (const version of ['v1', 'v2', 'v3']) await put(version);
    await putRelease(bucket(), { version: 'v4' });
    const { look } = open();
    expect((await look()).length).toBe(4);
    expect(await look()).toEqual([]);
    await put('v2', 'a'.repeat(40));
    await putDocument(bucket(), YANK, versionKey(YANKS, 'v1'), { version: 'v1', reason: 'bad', time }, [key]);
    await rm(box().path('bucket', fragmentKey('v3', TEST_TARGET)));
    expect(await look()).toEqual([`read ${fragmentKey('v2', TEST_TARGET)}`, `read ${versionKey(YANKS, 'v1')}`]);
    await put('v3');
    expect(await look()).toEqual([`read ${fragmentKey('v3', TEST_TARGET)}`]);
  });

  it('sees that something was written, be it the same, or has gone', async () => {
    const { list } = open();
    const states = [(await list()).state];
    const changed = async (change: () => Promise<unknown>) => {
      await change();
      const [{ state }, { state: again }] = [await list(), await list()];
      expect(state).toBe(again);
      expect(states).not.toContain(state);
      states.push(state);
    };
    await changed(() => put('v1'));
    await changed(() => put('v1'));
    await changed(() => putRelease(bucket(), { version: 'v1', target: 'x', keys: [key] }));
    await changed(() =>
      putDocument(bucket(), YANK, versionKey(YANKS, 'v1'), { version: 'v1', reason: 'bad', time }, [key]),
    );
    await rm(box().path('bucket', versionKey(YANKS, 'v1')));
    expect((await list()).state).toBe(states.at(-2));
  });
});
