import { createHash } from 'node:crypto';
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { messagesOf } from '#lib/notice.js';
import { openFileStore } from '#lib/object-store/file.js';
import { type SecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import type { TrustPolicy } from '#lib/signing/trust.js';
import { FRAGMENT, type Fragment, LEDGER, PRUNING, YANK } from '#release/documents/kinds.js';
import { fileKey, fragmentKey, LEDGER_KEY, PRUNINGS, versionKey, YANKS } from '#release/layout.js';
import type { Publication } from '#release/publish/publication.js';
import { publishIndex } from '#release/publish/publish.js';
import { isSameLedger, type Ledger, readLedger, renderLedger } from '#release/sources/ledger.js';
import { type ReleaseSources, readSources, trusted } from '#release/sources/sources.js';
import { renderSigned } from '../../support/documents.js';
import { putDocument, putRelease, TEST_TARGET } from '../../support/releases.js';
import { useSandbox } from '../../support/sandbox.js';
import { watchStore } from '../../support/watched-store.js';

const publisher = secretKeyFromSeed('publisher-1', Buffer.alloc(32, 1));
const builder = secretKeyFromSeed('builder-1', Buffer.alloc(32, 2));
const stranger = secretKeyFromSeed('stranger-1', Buffer.alloc(32, 3));
const impostor = secretKeyFromSeed('builder-1', Buffer.alloc(32, 4));

const trusting = (...keys: readonly SecretKey[]): TrustPolicy => ({
  ...{ keys: keys.map(({ publicKey }) => publicKey), allowUnsigned: false },
});
const POLICY = trusting(publisher, builder);
const FILE = fileKey('v1', TEST_TARGET, 'garage');
const FRAGMENT_FILE = fragmentKey('v1', TEST_TARGET);

const publicationOf = ({ files, updatedBefore }: ReleaseSources): Publication => ({
  ...{ entries: [], releases: files.length, warnings: [], owns: () => false },
  ...{ updated: updatedBefore ?? '2026-11-05T12:00:00Z' },
});

describe('a ledger', () => {
  const box = useSandbox();
  let bucket: string;
  beforeEach(async () => {
    bucket = box().path('bucket');
    for (const version of ['v1', 'v2']) await putRelease(bucket, { version, keys: [builder] });
  });
  const at = (key: string) => box().path('bucket', key);
  const objects = () => openFileStore(bucket);
  const publish = (policy = POLICY, keys: readonly SecretKey[] = [publisher]) =>
    publishIndex(objects(), publicationOf, { policy, keys, allowEmpty: true, dryRun: false, allowLost: true });
  const read = (policy = POLICY) => readSources(objects(), policy);
  const stripped = async (policy = POLICY) => [...(await read(policy)).strippedKeys];
  const signedVersions = async (policy = POLICY) =>
    trusted((await read(policy)).fragments).map(({ version }) => version);
  /** Documents that are read, when all is read once. */
  const documentsRead = async (policy = POLICY) => {
    const { objects: watched, calls } = watchStore(objects());
    await readSources(watched, policy);
    return calls.filter((call) => call.startsWith('read ') && call !== `read ${LEDGER_KEY}`);
  };

  it('lets fragments be believed unread that are listed as they were', async () => {
    const before = await read();
    expect(await documentsRead()).toHaveLength(2);
    await publish();
    expect(await documentsRead()).toEqual([]);
    expect(await read()).toEqual({ ...before, updatedBefore: '2026-11-05T12:00:00Z' });
    await putRelease(bucket, { version: 'v2', commit: 'a'.repeat(40), keys: [builder] });
    expect(await documentsRead()).toEqual([`read ${fragmentKey('v2', TEST_TARGET)}`]);
    expect(trusted((await read()).fragments).map(({ commit }) => commit)).toEqual([null, 'a'.repeat(40)]);
  });

  it('misses a fragment that was removed, again and again, until the release is put again or has gone', async () => {
    await publish();
    const fragment = await readFile(at(FRAGMENT_FILE));
    const damages = [
      () => rm(at(FRAGMENT_FILE)),
      () =>
        putDocument(bucket, FRAGMENT, FRAGMENT_FILE, { ...documentIn(fragment), commit: 'b'.repeat(40) }, [stranger]),
      () => putDocument(bucket, FRAGMENT, FRAGMENT_FILE, { ...documentIn(fragment), version: 'v2' }, [builder]),
      () => writeFile(at(FRAGMENT_FILE), '<html>'),
    ];
    for (const damage of damages) {
      await damage();
      await writeFile(at(FILE), 'another program');
      for (let run = 0; run < 3; run++) {
        expect(await stripped()).toEqual([FILE]);
        expect(await signedVersions()).toEqual(['v2']);
        await publish();
      }
      await putRelease(bucket, { version: 'v1', keys: [builder] });
      expect(await stripped()).toEqual([]);
      expect(await signedVersions()).toEqual(['v1', 'v2']);
      await publish();
    }
    await rm(at(FRAGMENT_FILE));
    await rm(at('_releases/v1'), { recursive: true });
    expect(await stripped()).toEqual([]);
    await publish();
    expect(await readFile(at(LEDGER_KEY), 'utf8')).not.toContain('"v1"');
  });

  it('misses those of hidden versions, too, and those files alone that were signed', async () => {
    await publish();
    const mark = { version: 'v1', time: '2026-11-05T12:00:00Z' };
    await putDocument(bucket, PRUNING, versionKey(PRUNINGS, 'v1'), mark, [publisher]);
    await rm(at(FRAGMENT_FILE));
    await writeFile(at(fileKey('v1', TEST_TARGET, 'more')), 'x');
    await publish();
    await rm(at(versionKey(PRUNINGS, 'v1')));
    expect(await stripped()).toEqual([FILE]);
  });

  it('is read for one version where that is asked for', async () => {
    await publish();
    await rm(at(FRAGMENT_FILE));
    const of = (version: string, withLedger?: boolean) =>
      readSources(objects(), POLICY, version, withLedger === undefined ? {} : { withLedger });
    expect([...(await of('v1', true)).strippedKeys]).toEqual([FILE]);
    expect([...(await of('v2', true)).strippedKeys]).toEqual([]);
    expect([...(await of('v1')).strippedKeys]).toEqual([]);
  });

  it('counts for who trusts its signer, and of it what was signed by whom one trusts', async () => {
    await publish();
    expect(await documentsRead(trusting(publisher))).toHaveLength(2);
    expect(await signedVersions(trusting(publisher))).toEqual([]);
    // A key of the same name is another key.
    expect(await signedVersions(trusting(publisher, impostor))).toEqual([]);
    const other = await read(trusting(builder));
    expect(messagesOf(other.warnings)).toEqual([expect.stringContaining('`carport/ledger.json` is not believed')]);
    expect(trusted(other.fragments)).toHaveLength(2);
    await rm(at(FRAGMENT_FILE));
    expect(await stripped(trusting(publisher))).toEqual([]);
    expect(await stripped(trusting(builder))).toEqual([]);
    // Who does not trust the builder keeps what others know of it.
    await publish(trusting(publisher));
    expect(await stripped()).toEqual([FILE]);
  });

  it('holds nothing that no trusted key has signed, and is signed itself, or is not written', async () => {
    await putRelease(bucket, { version: 'v3' });
    const lenient = { ...POLICY, allowUnsigned: true };
    await publish(lenient, []);
    await expect(stat(at(LEDGER_KEY))).rejects.toMatchObject({ code: 'ENOENT' });
    await publish(lenient);
    expect(await signedVersions(lenient)).toEqual(['v1', 'v2', 'v3']);
    expect(await signedVersions()).toEqual(['v1', 'v2']);
    expect(await documentsRead(lenient)).toEqual([`read ${fragmentKey('v3', TEST_TARGET)}`]);
    await rm(at(fragmentKey('v3', TEST_TARGET)));
    expect(await stripped(lenient)).toEqual([]);
  });

  it('that was tampered with is passed over, with a warning, and written anew', async () => {
    await publish();
    const text = await readFile(at(LEDGER_KEY), 'utf8');
    const [header = '', ...lines] = text.split('\n');
    const forged = (value: Ledger, key: SecretKey) => renderLedger(value, [key]);
    const { ledger } = await readLedger(objects(), POLICY);
    const texts = {
      'no trusted key': forged(ledger!, stranger),
      'the signature by `publisher-1` is wrong': text.replace('"updated":"2026', '"updated":"2027'),
      'another content': text.replace('"v1"', '"v7"'),
      'has another': [header, ...lines.slice(1)].join('\n'),
      'is not JSON': text.slice(0, 40),
      'is not 1': text.replace('"schema":1', '"schema":2'),
      'a line of another kind': signAnything('["else"]\n'),
      'a line that is not JSON': signAnything('nonsense\n'),
      'a line that says something else': signAnything('["file","a",1,"b"]\n'),
      'a document of no key': signAnything(
        `["yank",0,"1 1",{"version":"v1","reason":"x","time":"2026-11-05T12:00:00Z"}]\n`,
      ),
    };
    const fresh = await read(POLICY);
    for (const [why, tampered] of Object.entries(texts)) {
      await writeFile(at(LEDGER_KEY), tampered);
      const { warnings, strippedKeys, fragments } = await read();
      expect(messagesOf(warnings), why).toEqual([expect.stringContaining(why)]);
      expect([trusted(fragments), strippedKeys.size]).toEqual([trusted(fresh.fragments), 0]);
      await publish();
      expect(await readFile(at(LEDGER_KEY), 'utf8'), why).toBe(text);
    }
    await rm(at(LEDGER_KEY));
    expect((await read()).warnings).toEqual([]);
  });

  it('of an earlier time is no worse than none', async () => {
    await publish();
    const old = await readFile(at(LEDGER_KEY));
    await putRelease(bucket, { version: 'v1', files: { garage: 'new', other: 'more' }, keys: [builder] });
    await putRelease(bucket, { version: 'v3', keys: [builder] });
    await rm(at('_releases/v2'), { recursive: true });
    await rm(at(fragmentKey('v2', TEST_TARGET)));
    await publish();
    const fresh = await read();
    await writeFile(at(LEDGER_KEY), old);
    expect(await read()).toEqual(fresh);
  });

  it('is the same for the same, whatever the order, and says so', async () => {
    await putDocument(bucket, YANK, versionKey(YANKS, 'v1'), { ...MARK, version: 'v1', reason: 'bad — very' }, [
      publisher,
    ]);
    await publish();
    const text = await readFile(at(LEDGER_KEY), 'utf8');
    const { ledger } = await readLedger(objects(), POLICY);
    const { fragments, yanks } = ledger!;
    expect([fragments.length, yanks.length]).toEqual([2, 1]);
    expect(renderLedger({ ...ledger!, fragments: fragments.toReversed() }, [publisher])).toBe(text);
    expect(isSameLedger(ledger!, { ...ledger!, fragments: fragments.toReversed() })).toBe(true);
    const others: Partial<Ledger>[] = [
      { fragments: fragments.slice(1) },
      { fragments: [fragments[0]!, { ...fragments[1]!, versionTag: '1 2' }] },
      { fragments: [fragments[0]!, { ...fragments[1]!, value: { ...fragments[1]!.value } }] },
      { yanks: [] },
      { updated: null },
      { state: null },
      { published: new Map([['releases/x', { versionTag: '1 2', fingerprint: 'x' }]]) },
    ];
    for (const other of others) expect(isSameLedger(ledger!, { ...ledger!, ...other })).toBe(false);
    await utimes(at(LEDGER_KEY), 1, 1);
    await publish();
    expect((await stat(at(LEDGER_KEY))).mtimeMs).toBe(1000);
  });

  it('remembers how new an index was', async () => {
    await publish();
    expect((await read()).updatedBefore).toBe('2026-11-05T12:00:00Z');
    await publishIndex(objects(), (sources) => ({ ...publicationOf(sources), updated: '2026-11-06T12:00:00Z' }), {
      ...{ policy: POLICY, keys: [publisher], allowEmpty: true, dryRun: false, allowLost: false },
    });
    expect((await read()).updatedBefore).toBe('2026-11-06T12:00:00Z');
  });
});

const MARK = { time: '2026-11-05T12:00:00Z' } as const;

function documentIn(document: Buffer): Fragment {
  const { schema: _, signatures: __, ...value } = JSON.parse(document.toString());
  return value;
}

/** A ledger of lines that are none. */
function signAnything(body: string): string {
  const sha256 = createHash('sha256').update(body).digest('hex');
  const header = JSON.parse(renderSigned(LEDGER, { sha256, updated: null, state: null }, [publisher]));
  return `${JSON.stringify(header)}\n${body}`;
}
