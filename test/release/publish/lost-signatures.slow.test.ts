import { readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { type IndexOptions, makeIndex } from '#index-generator/index-files.js';
import { openFileStore } from '#lib/object-store/file.js';
import { type SecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { FRAGMENT, PROMOTION, PRUNING, YANK } from '#release/documents/kinds.js';
import { fragmentKey, LEDGER_KEY, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '#release/layout.js';
import { type PublishOptions, publishIndex } from '#release/publish/publish.js';
import { readSources } from '#release/sources/sources.js';
import { hashesIn, latestStable, putDocument, putRelease, TEST_TARGET } from '../../support/releases.js';
import { useSandbox } from '../../support/sandbox.js';

const old = secretKeyFromSeed('releases-1', Buffer.alloc(32, 1));
const fresh = secretKeyFromSeed('releases-2', Buffer.alloc(32, 2));
/** Of the same name, and another key. */
const namesake = secretKeyFromSeed('releases-1', Buffer.alloc(32, 3));
const builder = secretKeyFromSeed('builder-1', Buffer.alloc(32, 4));

const time = '2026-11-02T12:00:00Z';
const VERSIONS = ['v1.0.0', 'v1.1.0', 'v1.2.0'];
const NEWEST = 'v1.2.0';
const YANK_KEY = versionKey(YANKS, NEWEST);
const FRAGMENT_KEY = fragmentKey(NEWEST, TEST_TARGET);

const trusting = (...keys: readonly SecretKey[]) => ({
  keys: keys.map(({ publicKey }) => publicKey),
  allowUnsigned: false,
});

describe('what keys have signed that are not trusted', () => {
  const box = useSandbox();
  let bucket: string;
  beforeEach(async () => {
    bucket = box().path('bucket');
    for (const version of VERSIONS) {
      await putRelease(bucket, { version, keys: [old], files: { garage: version, tool: `tool ${version}` } });
    }
  });
  const at = (key: string) => box().path('bucket', key);
  const publish = (
    keys: readonly SecretKey[],
    {
      trusted = [],
      unsigned = false,
      ...more
    }: Partial<PublishOptions> & { readonly trusted?: readonly SecretKey[]; readonly unsigned?: boolean } = {},
    indexOptions: IndexOptions = {},
  ) => {
    const policy = { ...trusting(...keys, ...trusted), allowUnsigned: unsigned };
    const [key] = keys;
    return publishIndex(
      openFileStore(bucket),
      (sources) => makeIndex(sources, { ...indexOptions, ...(key && { key }) }),
      {
        ...{ policy, keys, allowEmpty: false, dryRun: false, allowLost: false, ...more },
      },
    );
  };
  const hashes = () => hashesIn(bucket);
  const yank = (reason: string | null, keys: readonly SecretKey[], when = time) =>
    putDocument(bucket, YANK, YANK_KEY, { version: NEWEST, reason, time: when }, keys);
  const states = async () => {
    const { releases } = JSON.parse(await readFile(at('releases/index.json'), 'utf8'));
    return releases.map(({ version, state }: { version: string; state: string }) => `${version} ${state}`);
  };
  const latest = () => latestStable(bucket, trusting(old));
  /** Nothing is changed by a run or a dry run. */
  const expectRefused = async (
    run: (more: Partial<PublishOptions>) => Promise<unknown>,
    ...told: readonly string[]
  ) => {
    const before = await hashes();
    for (const dryRun of [true, false]) {
      const error = await run({ dryRun }).then(
        () => expect.fail('it was not refused'),
        (refusal) => refusal,
      );
      expect(error).toMatchObject({ code: 'E_SIGNATURE', hint: expect.stringContaining('--allow-lost-signatures') });
      for (const text of told) expect(error.cause.message).toContain(text);
      expect(await hashes()).toEqual(before);
    }
  };

  it.each([
    ['another key', [fresh], 'signed by `releases-1`: `carport/ledger.json`'],
    ['another key of the same name', [namesake], 'with a wrong signature by `releases-1`: `carport/ledger.json`'],
  ] as const)('is not lost to a run with %s', async (_, keys, told) => {
    await yank('loses data', [old]);
    await publish([old]);
    await expectRefused((more) => publish(keys, more), told, 'and 2 more', '`releases/index.json.minisig`');
    const { warnings, removed } = await publish(keys, { allowLost: true });
    // A ledger, three fragments, a yank, and seven signatures of the index.
    expect(warnings[0]?.message).toContain('12 documents and signatures');
    expect(removed.filter((key) => key.includes('SHA256SUMS'))).toHaveLength(12);
    // What is not believed hides all the same.
    expect(await states()).toEqual(['v1.2.0 yanked', 'v1.1.0 available', 'v1.0.0 available']);
    expect(await readFile(at('_releases.html'), 'utf8')).not.toContain('loses data');
  });

  it.each([
    ['a fragment', FRAGMENT_KEY, () => putRelease(bucket, { version: NEWEST, keys: [builder] })],
    ['a yank', YANK_KEY, () => yank('bad', [builder])],
    [
      'the mark of a promotion',
      versionKey(PROMOTIONS, NEWEST),
      () =>
        putDocument(bucket, PROMOTION, versionKey(PROMOTIONS, NEWEST), { version: NEWEST, from: 'x', time }, [builder]),
    ],
    [
      'the mark of a pruning',
      versionKey(PRUNINGS, NEWEST),
      () => putDocument(bucket, PRUNING, versionKey(PRUNINGS, NEWEST), { version: NEWEST, time }, [builder]),
    ],
  ])('stops the index where it is %s, until the key is trusted, it goes, or that is meant', async (_, key, put) => {
    await publish([old]);
    await put();
    await expectRefused((more) => publish([old], more), `signed by \`builder-1\`: \`${key}\``);
    expect((await publish([old], { dryRun: true, allowLost: true })).warnings[0]?.message).toContain(
      '1 document or signature',
    );
    await publish([old], { trusted: [builder], dryRun: true });
    await rm(at(key));
    await publish([old]);
  });

  it('stops it where it is damaged, of nobody or a copy, too', async () => {
    await publish([old]);
    const fragment = { ...JSON.parse(await readFile(at(FRAGMENT_KEY), 'utf8')), version: 'v9' };
    const { schema: _, signatures: __, ...value } = fragment;
    const spoil: readonly (readonly [string, () => Promise<void>])[] = [
      [`damaged: \`${FRAGMENT_KEY}\``, () => writeFile(at(FRAGMENT_KEY), '<html>')],
      [
        `signed by nobody: \`${FRAGMENT_KEY}\``,
        () => putDocument(bucket, FRAGMENT, FRAGMENT_KEY, { ...value, version: NEWEST }),
      ],
      [`of another version: \`${FRAGMENT_KEY}\``, () => putDocument(bucket, FRAGMENT, FRAGMENT_KEY, value, [old])],
      [`damaged: \`${LEDGER_KEY}\``, () => writeFile(at(LEDGER_KEY), '{}\n')],
    ];
    for (const [told, damage] of spoil) {
      await damage();
      await expectRefused((more) => publish([old], more), told);
    }
  });

  describe('is refused with what helps', () => {
    const unsigned = () => putRelease(bucket, { version: NEWEST });
    it.each([
      ['a fragment of nobody', unsigned, /nobody has signed/, ['--allow-unsigned', 'release put --replace']],
      ['a yank of nobody', () => yank('bad', []), /nobody has signed/, ['--allow-unsigned', 'release yank']],
      ['a damaged fragment', () => writeFile(at(FRAGMENT_KEY), '{'), /cannot be read/, ['release put --replace']],
      ['a damaged yank', () => yank('bad', []).then(() => writeFile(at(YANK_KEY), '{')), /cannot be read/, ['unyank']],
      ['a damaged ledger', () => writeFile(at(LEDGER_KEY), '{'), /cannot be read/, ['remove `carport/ledger.json`']],
      [
        'a mark of nobody',
        () => putDocument(bucket, PRUNING, versionKey(PRUNINGS, NEWEST), { version: NEWEST, time }),
        /nobody has signed/,
        ['--allow-unsigned', 'remove a mark'],
      ],
      ['a yank by another', () => yank('bad', [builder]), /no trusted key has made/, ['--trusted-key NAME:BASE64']],
      ['a yank by a namesake', () => yank('bad', [namesake]), /no trusted key has made/, ['--trusted-key NAME:BASE64']],
    ] as const)('for %s', async (_, spoil, message, helps) => {
      await publish([old]);
      await spoil();
      const refusal = await publish([old]).catch((error) => error);
      expect(refusal).toMatchObject({ code: 'E_SIGNATURE', message: expect.stringMatching(message) });
      const hint: string = refusal.hint;
      for (const help of [...helps, '--allow-lost-signatures']) expect(hint).toContain(help);
      for (const other of ['--allow-unsigned', '--trusted-key', '--secret-key', 'remove', 'yank', 'put']) {
        if (!helps.some((help) => help.includes(other))) expect(hint).not.toContain(other);
      }
    });

    it('where nobody would sign any more', async () => {
      await publish([old]);
      for (const trusted of [[old], [old, fresh]]) {
        const refusal = await publish([], { trusted, unsigned: true }).catch((error) => error);
        expect(refusal.message).toContain('that nobody would sign any more');
        expect(refusal.hint).toBe(
          'give the key with `--secret-key FILE`; `--allow-lost-signatures` publishes without them',
        );
      }
    });

    it('and that does it for who begins to sign', async () => {
      await unsigned();
      await expectRefused((more) => publish([old], more), 'signed by nobody: ');
      await publish([old], { unsigned: true });
      await expectRefused((more) => publish([old], more), 'signed by nobody: ');
      await putRelease(bucket, { version: NEWEST, keys: [old] });
      await publish([old]);
      expect(await states()).toEqual(VERSIONS.toReversed().map((version) => `${version} available`));
    });
  });

  it('is not lost where all that told of it has gone, and the key is right', async () => {
    await publish([old]);
    await rm(at('carport'), { recursive: true });
    await expectRefused(
      (more) => publish([old], more),
      `signed by \`releases-1\`: \`releases/v1.0.0/SHA256SUMS.minisig\`, \`releases/v1.0.0/${TEST_TARGET}/SHA256SUMS.minisig\`, `,
    );
    await putRelease(bucket, { version: NEWEST, keys: [old] });
    const { removed } = await publish([old], { allowLost: true });
    expect(removed.filter((key) => key.endsWith('SHA256SUMS.minisig'))).toHaveLength(4);
  });

  it('is told by names that cannot be taken for something else', async () => {
    await yank('bad', []);
    const signatures = [`x\`\u001b[31m\n${'y'.repeat(100)}:AAAA`, ...['a', 'b', 'c'].map((name) => `${name}:AAAA`)];
    await writeFile(at(YANK_KEY), JSON.stringify({ ...JSON.parse(await readFile(at(YANK_KEY), 'utf8')), signatures }));
    await expectRefused(
      (more) => publish([old], more),
      `signed by \`x??[31m?${'y'.repeat(52)}\`, \`a\`, \`b\` and others: `,
    );
  });

  it('is missed where it has gone, and a ledger that is believed tells of it', async () => {
    await putRelease(bucket, { version: NEWEST, target: 'other', keys: [builder] });
    await yank('bad', [builder]);
    await publish([old], { trusted: [builder] });
    await rm(at(fragmentKey(NEWEST, 'other')));
    await rm(at(YANK_KEY));
    const gone = `signed by \`builder-1\`: \`${fragmentKey(NEWEST, 'other')}\`, \`${YANK_KEY}\``;
    await expectRefused((more) => publish([old], more), gone);
    await publish([old], { allowLost: true });
    expect(await states()).toContain('v1.2.0 yanked');
    // It is not forgotten by that.
    await expectRefused((more) => publish([old], more), gone);
    await yank(null, [old], '2026-11-03T12:00:00Z');
    await putRelease(bucket, { version: NEWEST, target: 'other', keys: [old] });
    await publish([old]);
    expect(await states()).toContain('v1.2.0 available');
  });

  describe('as the signature of a file of the index', () => {
    const SIGNATURE = 'releases/v1.0.0/SHA256SUMS.minisig';

    it('is lost neither to another key nor to none, also without a ledger', async () => {
      await publish([old]);
      await rm(at(LEDGER_KEY));
      for (const version of VERSIONS) await putRelease(bucket, { version, keys: [fresh] });
      await expectRefused((more) => publish([fresh], more), '`releases/index.json.minisig`', 'and 4 more');
      await expectRefused(
        (more) => publish([], { unsigned: true, trusted: [old], ...more }),
        'signed by `releases-1`: ',
      );
      await publish([fresh], { trusted: [old] });
      expect(await readFile(at(SIGNATURE), 'utf8')).toContain('signature by releases-2');
    });

    it('is nothing to lose where it is none', async () => {
      await publish([old]);
      await writeFile(at(SIGNATURE), 'nonsense');
      expect((await publish([old])).written).toEqual([SIGNATURE]);
    });

    it('is not read where the ledger knows it', async () => {
      await publish([old]);
      const objects = openFileStore(bucket);
      const read: string[] = [];
      const reading = (key: string, limit: number) => {
        read.push(key);
        return objects.read(key, limit);
      };
      const watched = { ...objects, read: reading };
      const options = { policy: trusting(old), keys: [old], allowEmpty: false, dryRun: false, allowLost: false };
      await publishIndex(watched, (sources) => makeIndex(sources, { key: old }), options);
      expect(read).toEqual([LEDGER_KEY]);
    });
  });

  it('stays what it is when the key is changed', async () => {
    await yank('loses data', [old]);
    await publish([old]);
    const before = await states();
    const { removed, written, warnings } = await publish([fresh], { trusted: [old] });
    expect([removed, warnings]).toEqual([[], []]);
    expect(written.filter((key) => key.endsWith('.minisig'))).toHaveLength(7);
    expect(await states()).toEqual(before);
    for (const version of VERSIONS) {
      const signature = await readFile(at(`releases/${version}/SHA256SUMS.minisig`), 'utf8');
      expect(signature).toContain('signature by releases-2');
    }
    expect(await publish([fresh], { trusted: [old] })).toMatchObject({ removed: [], written: [] });
    // The old key alone would take that back.
    await expectRefused((more) => publish([old], more), 'signed by `releases-2`: `carport/ledger.json`');
  });

  it('is no matter for who has never signed', async () => {
    await rm(bucket, { recursive: true });
    await putRelease(bucket, { version: 'v1.0.0' });
    await publish([], { unsigned: true });
    expect((await publish([], { unsigned: true })).written).toEqual([]);
    // Nor does the first key lose what nobody signed without a word.
    await expectRefused((more) => publish([old], more), 'signed by nobody: ');
    await publish([old], { unsigned: true });
  });

  describe('as a yank', () => {
    const said = async () => {
      const sources = await readSources(openFileStore(bucket), trusting(old));
      const entry = [...makeIndex(sources, {}).entries].find(({ key }) => key === 'releases/index.json');
      const { releases } = JSON.parse(entry && 'content' in entry ? entry.content : '');
      return releases.find(({ version }: { version: string }) => version === NEWEST).yanked;
    };
    const UNVERIFIED = { reason: 'there is a yank that could not be verified', time: null };

    it.each([
      ['by an unknown key', () => yank('<b>evil</b>', [builder])],
      ['by nobody', () => yank('<b>evil</b>', [])],
      ['by another key of the same name', () => yank('<b>evil</b>', [namesake])],
      ['that is taken back by an unknown key', () => yank(null, [builder])],
      ['that is damaged', () => writeFile(at(YANK_KEY), '{')],
      [
        'of another version',
        () => putDocument(bucket, YANK, YANK_KEY, { version: 'v1.0.0', reason: '<b>evil</b>', time }, [old]),
      ],
    ])('%s hides its version', async (_, spoil) => {
      await yank(null, [old], '2026-11-01T12:00:00Z');
      await publish([old]);
      expect(await latest()).toBe(NEWEST);
      await spoil();
      expect(await said()).toEqual(UNVERIFIED);
      expect(await latest()).toBe('v1.1.0');
    });

    it('hides nothing any more when a trusted key has said since that it is taken back', async () => {
      await yank('bad', [old], '2026-11-01T12:00:00Z');
      await publish([old]);
      await yank(null, [old], '2026-11-03T12:00:00Z');
      await publish([old]);
      await yank('bad', [builder]);
      expect(await said()).toBe(null);
      await yank('bad', [builder], '2026-11-04T12:00:00Z');
      expect(await said()).toEqual(UNVERIFIED);
    });

    it('does not come in the place of what a trusted key says', async () => {
      await yank('loses data', [old], '2026-11-01T12:00:00Z');
      await publish([old]);
      for (const spoil of [() => yank(null, [builder]), () => writeFile(at(YANK_KEY), '{')]) {
        await spoil();
        expect(await said()).toEqual({ reason: 'loses data', time: '2026-11-01T12:00:00Z' });
      }
    });
  });
});
