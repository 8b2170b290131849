import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type IndexOptions, makeIndex } from '#index-generator/index-files.js';
import { messagesOf } from '#lib/notice.js';
import { isKey } from '#lib/object-store/object-store.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import { minisignKey, parseMinisig, renderMinisignKey, signedFileName } from '#lib/signing/minisign.js';
import { fileKey } from '#release/layout.js';
import { useDirectory } from '../support/files.js';
import { readDocument } from '../support/markdown.js';
import { describeWithPeer } from '../support/peers.js';
import { HOSTILE_NAMES } from './html-samples.js';
import { TARGETS } from './listings.js';
import {
  allOf,
  copiesOf,
  fileOf,
  filesOf,
  fragmentOf,
  SHA256,
  SIZE,
  sourcesOf,
  type TestDocuments,
} from './publications.js';

const COMMIT = '89abcdef01'.repeat(4);
const KEY = secretKeyFromSeed('test-1', Buffer.alloc(32, 1));
const PUBLIC = renderMinisignKey(minisignKey(KEY.publicKey));
const BASE_URL = 'https://x.example/y/';
const [ARM64, , , AMD64] = TARGETS as [string, string, string, string];

const made = (documents: TestDocuments, options: IndexOptions = {}) => makeIndex(sourcesOf(documents), options);
const jsonOf = (documents: TestDocuments, key: string, options?: IndexOptions) =>
  JSON.parse(fileOf(made(documents, options), key));

/** A release of all channels, the stable ones for two targets. */
const ALL: TestDocuments = {
  fragments: [
    ...[ARM64, AMD64].flatMap((target) => ['v1.0.0', 'v1.1.0'].map((version) => fragmentOf(version, target))),
    fragmentOf('v1.1.0-rc1', AMD64),
    fragmentOf(COMMIT, AMD64),
  ],
};

describe('an index', () => {
  it('has everything that others lead to before them, and signatures before what they sign', () => {
    const keys = allOf(made(ALL, { key: KEY, baseUrl: BASE_URL })).map(([key]) => key);
    expect(keys).toEqual([
      ...['v1.1.0', 'v1.0.0', 'v1.1.0-rc1', COMMIT].flatMap((version) => [
        `releases/${version}/SHA256SUMS.minisig`,
        `releases/${version}/SHA256SUMS`,
        ...(version.endsWith('.0') ? [ARM64, AMD64] : [AMD64]).flatMap((target) => [
          `releases/${version}/${target}/SHA256SUMS.minisig`,
          `releases/${version}/${target}/SHA256SUMS`,
        ]),
      ]),
      ...['releases/index.json.minisig', 'releases/index.json', 'releases/feed.atom', 'releases/all.atom'],
      ...['stable', 'extra', 'development'].map((channel) => `releases/latest/${channel}.json`),
      ...[`stable/${ARM64}`, `stable/${AMD64}`, `extra/${AMD64}`, `development/${AMD64}`].map(
        (directory) => `releases/latest/${directory}/garage`,
      ),
      ...['_releases.json', '_releases.html'],
    ]);
  });

  it('owns what it has below `releases/`, and nothing of others', () => {
    const { owns, entries } = made(ALL, { key: KEY });
    for (const { key } of entries) expect([key, owns(key)]).toEqual([key, key.startsWith('releases/')]);
    const others = [
      ...['releases/notes.html', 'releases/v1/notes', 'releases/v1/SHA256SUMS/x', 'releases/SHA256SUMS', 'releases/'],
      ...[
        'releases/latest/nightly.json',
        'releases/latest/stable/x',
        'releases/latest/stable/a/b/c',
        'other/index.json',
      ],
      ...[
        'releases/latest/nightly/x/y',
        'releases/a b/SHA256SUMS',
        'releases/index.json/SHA256SUMS',
        'releases/index.json/x/SHA256SUMS',
        'releases/latest/x/SHA256SUMS',
        'releases/v1/SHA256SUMS/SHA256SUMS',
        'releases/v1/a b/SHA256SUMS',
        'releases/v1//SHA256SUMS',
        'releases/v1/x/SHA256SUMS.sig',
        'releases/latest',
      ],
      ...['_releases/v1.0.0/x/y', 'carport/releases/v1/x.json', 'releases/index.json.sig', 'releases/latest/stable//y'],
    ];
    expect(others.filter((key) => owns(key))).toEqual([]);
  });

  it('has keys that are safe, whatever releases are called', () => {
    const names = [
      ...HOSTILE_NAMES,
      'latest',
      'index.json',
      'feed.atom',
      'all.atom',
      'index.json.minisig',
      '...',
      'a\\b',
    ];
    const files = names.flatMap((name) => [
      { key: fileKey(name, name, name), size: 5, time: '2026-01-01T00:00:00Z' },
      { key: fileKey('v1.0.0', name, name), size: 5, time: '2026-01-01T00:00:00Z' },
    ]);
    // A test of what no document says: the names of what is signed are checked when it is read.
    const fragments = names.map((name) =>
      fragmentOf(name, name, { files: [{ name, size: 5, sha256: SHA256, storePath: null }] }),
    );
    const { entries, owns } = made({ files, fragments }, { key: KEY });
    const keys = [...entries].map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) {
      expect([key, isKey(key) && /^[A-Za-z0-9._@~+=,/-]+$/.test(key)]).toEqual([key, true]);
      expect([key, owns(key) || key.startsWith('_releases.')]).toEqual([key, true]);
      // In a directory a name is a file's or a directory's.
      expect(keys.filter((other) => other.startsWith(`${key}/`))).toEqual([]);
    }
  });

  it('tells how many releases it is of', () => {
    expect([made(ALL).releases, made({}).releases]).toEqual([4, 0]);
  });
});

describe('releases/index.json', () => {
  it('has the fields that docs/releases.md tells, and all of them', () => {
    const gates = [{ gate: 'minimum-age', detail: '3 days' }];
    const documents: TestDocuments = {
      fragments: [
        fragmentOf('v1.0.0', AMD64, {
          commit: COMMIT,
          ci: { system: 'drone', event: 'tag', runUrl: 'https://ci.example/1' },
          files: [{ name: 'garage', size: SIZE, sha256: SHA256, storePath: '/nix/store/x' }],
          promotion: { from: 'v1.0.0-rc1', gates },
        }),
      ],
      yanks: [{ version: 'v1.0.0', reason: 'broken', time: '2026-06-01T00:00:00Z' }],
    };
    const options = { title: 'Garage', baseUrl: BASE_URL, requiredTargets: [ARM64] };
    expect(jsonOf(documents, 'releases/index.json', options)).toEqual({
      ...{ version: 1, title: 'Garage', baseUrl: BASE_URL, updated: '2026-06-01T00:00:00Z' },
      releases: [
        {
          ...{ version: 'v1.0.0', channel: 'stable', state: 'yanked', time: '2026-03-04T05:06:07Z', commit: COMMIT },
          signed: true,
          yanked: { reason: 'broken', time: '2026-06-01T00:00:00Z' },
          ci: { system: 'drone', event: 'tag', runUrl: 'https://ci.example/1' },
          promotedFrom: { version: 'v1.0.0-rc1', gates },
          targets: [
            {
              ...{ target: AMD64, platform: 'linux/amd64' },
              files: [
                {
                  ...{ name: 'garage', size: SIZE, sha256: SHA256, time: '2026-05-05T05:05:05Z' },
                  path: `_releases/v1.0.0/${AMD64}/garage`,
                  url: `${BASE_URL}_releases/v1.0.0/${AMD64}/garage`,
                  storePath: '/nix/store/x',
                },
              ],
            },
          ],
          missingTargets: [ARM64],
        },
      ],
    });
  });

  it('has a line in docs/releases.md for each field', () => {
    const [, section] = readDocument('docs/releases.md').split('## `releases/index.json`\n');
    const rows = section!.split('\n## ', 1)[0]!.matchAll(/^\| `([^`]+)` \|/gm);
    const fragment = fragmentOf('cli@v1.0.0', AMD64, {
      promotion: { from: 'v1.0.0-rc1', gates: [{ gate: 'a', detail: 'b' }] },
      notes: 'c',
    });
    const yanks = [{ version: 'cli@v1.0.0', reason: 'broken', time: '2026-06-01T00:00:00Z' }];
    const json = jsonOf({ fragments: [fragment], yanks }, 'releases/index.json', { requiredTargets: [ARM64] });
    // An object that may be null, or missing, has a line of its own.
    const nullable = ['yanked', 'ci', 'promotedFrom', 'targets[].files[].python'].map((name) => `releases[].${name}`);
    const documented = Array.from(rows, ([, field]) => field!);
    expect(documented.filter((field) => !nullable.includes(field))).toEqual(fieldsOf(json));
    expect(nullable.filter((field) => !documented.includes(field))).toEqual([]);
  });

  it('says null for what is not known, and leaves nothing out', () => {
    const files = [{ key: '_releases/a b/x?/ü', size: 5, time: '2026-01-01T00:00:00Z' }];
    expect(jsonOf({ files }, 'releases/index.json')).toEqual({
      ...{ version: 1, title: 'Releases', baseUrl: null, updated: '2026-01-01T00:00:00Z' },
      releases: [
        {
          ...{ version: 'a b', channel: 'extra', state: 'available', yanked: null, time: '2026-01-01T00:00:00Z' },
          ...{ signed: false, commit: null, ci: null, promotedFrom: null, missingTargets: [] },
          targets: [
            {
              ...{ target: 'x?', platform: 'x?' },
              files: [
                {
                  ...{ name: 'ü', size: 5, sha256: null, time: '2026-01-01T00:00:00Z', path: '_releases/a b/x?/ü' },
                  ...{ url: null, storePath: null },
                },
              ],
            },
          ],
        },
      ],
    });
    expect(jsonOf({}, 'releases/index.json')).toMatchObject({ updated: null, releases: [] });
  });

  it('has a line for each release', () => {
    const lines = fileOf(made(ALL), 'releases/index.json').split('\n');
    expect(lines).toHaveLength(7);
    expect(lines.slice(1, 5).map((line) => JSON.parse(line.replace(/,$/, '')).version)).toEqual([
      ...['v1.1.0', 'v1.0.0', 'v1.1.0-rc1', COMMIT],
    ]);
  });

  it('comes whole or in pieces', () => {
    for (const entry of made(ALL).entries) {
      if ('content' in entry && entry.pieces) expect([...entry.pieces()].join('')).toBe(entry.content);
    }
  });
});

describe('the time of an index', () => {
  const at = (day: number) => `2026-06-0${day}T00:00:00Z`;
  const updated = (documents: TestDocuments) => jsonOf(documents, 'releases/index.json').updated;
  const mark = { version: 'v1.0.0', from: 'v1.0.0-rc1' };

  it.each<[string, TestDocuments, string]>([
    ['of a file', ALL, '2026-05-05T05:05:05Z'],
    ['of a fragment', { fragments: [fragmentOf('v1.0.0', AMD64, { changed: at(1) })] }, at(1)],
    ['of a yank', { ...ALL, yanks: [{ version: 'v1.0.0', reason: 'broken', time: at(2) }] }, at(2)],
    ['of a yank that was taken back', { ...ALL, yanks: [{ version: 'v1.0.0', reason: null, time: at(3) }] }, at(3)],
    ['of a yank of what has gone', { ...ALL, yanks: [{ version: 'v0', reason: 'broken', time: at(4) }] }, at(4)],
    ['of a promotion', { ...ALL, promotions: [{ ...mark, time: at(5) }] }, at(5)],
    ['of a pruning', { ...ALL, prunings: [{ version: 'v1.0.0', time: at(6) }] }, at(6)],
    ['of the index before', { ...ALL, updatedBefore: at(7) }, at(7)],
    ['of more than the index before', { ...ALL, updatedBefore: '2020-01-01T00:00:00Z' }, '2026-05-05T05:05:05Z'],
  ])('is the newest, such as that %s', (_, documents, time) => {
    expect(updated(documents)).toBe(time);
    const signature = parseMinisig(Buffer.from(fileOf(made(documents, { key: KEY }), 'releases/index.json.minisig')));
    expect(Buffer.from(signature.trustedComment).toString()).toContain(`timestamp:${Date.parse(time) / 1000}\t`);
  });

  it('is none that nobody who is trusted tells', () => {
    const yanks = [{ version: 'v1.0.0', reason: 'broken', time: '2099-01-01T00:00:00Z' }];
    const publication = makeIndex(sourcesOf({ ...ALL, yanks }, false), {});
    expect(JSON.parse(fileOf(publication, 'releases/index.json')).updated).toBe('2026-05-05T05:05:05Z');
  });
});

describe('the latest release', () => {
  const yank = (version: string) => ({ version, reason: 'broken', time: '2026-06-01T00:00:00Z' });
  const latest = (documents: TestDocuments, options?: IndexOptions) => {
    const file = filesOf(made(documents, options)).get('releases/latest/stable.json');
    return file === undefined ? undefined : JSON.parse(file).release.version;
  };

  it('is the first of its channel, as the index has it', () => {
    const index = jsonOf(ALL, 'releases/index.json', { baseUrl: BASE_URL });
    expect(jsonOf(ALL, 'releases/latest/stable.json', { baseUrl: BASE_URL })).toEqual({
      ...{ version: 1, channel: 'stable' },
      release: index.releases[0],
    });
    expect(jsonOf(ALL, 'releases/latest/development.json').release.version).toBe(COMMIT);
  });

  it('has its files at addresses that stay', () => {
    expect(Object.fromEntries([...copiesOf(made(ALL))].slice(0, 3))).toEqual({
      [`releases/latest/stable/${ARM64}/garage`]: `_releases/v1.1.0/${ARM64}/garage`,
      [`releases/latest/stable/${AMD64}/garage`]: `_releases/v1.1.0/${AMD64}/garage`,
      [`releases/latest/extra/${AMD64}/garage`]: `_releases/v1.1.0-rc1/${AMD64}/garage`,
    });
  });

  it('is not yanked', () => {
    expect(latest({ ...ALL, yanks: [yank('v1.1.0')] })).toBe('v1.0.0');
    const none = { ...ALL, yanks: [yank('v1.1.0'), yank('v1.0.0')] };
    expect(latest(none)).toBeUndefined();
    expect([...copiesOf(made(none)).keys()].filter((key) => key.includes('/stable/'))).toEqual([]);
  });

  it('has all targets that it must have', () => {
    const more = { fragments: [...ALL.fragments!, fragmentOf('v1.2.0', AMD64)] };
    expect(latest(more)).toBe('v1.1.0');
    expect(latest(more, { requiredTargets: [AMD64] })).toBe('v1.2.0');
    expect(latest(more, { requiredTargets: [AMD64, ARM64] })).toBe('v1.1.0');
    expect(latest(more, { requiredTargets: ['riscv'] })).toBeUndefined();
  });

  it('has all files that were signed', () => {
    const files = sourcesOf(ALL).files.filter(({ key }) => key !== `_releases/v1.1.0/${ARM64}/garage`);
    expect(latest({ ...ALL, files })).toBe('v1.0.0');
  });

  it('is signed where another is, and that is said', () => {
    const bare = (version: string, target: string) => ({
      key: `_releases/${version}/${target}/garage`,
      size: 5,
      time: '2026-09-09T00:00:00Z',
    });
    const files = [...sourcesOf(ALL).files, bare('v9.0.0', AMD64), bare('v9.0.0', ARM64)];
    expect(latest({ ...ALL, files })).toBe('v1.1.0');
    expect(messagesOf(made({ ...ALL, files }).warnings)).toEqual([
      '`v9.0.0` is not signed, as others of its channel are, and so is not the latest stable one',
    ]);
    const index = jsonOf({ ...ALL, files }, 'releases/index.json').releases;
    expect(index[0]).toMatchObject({ version: 'v9.0.0', signed: false, state: 'available' });
    expect(index[1]).toMatchObject({ version: 'v1.1.0', signed: true });
    // Also when what is signed cannot be used, and not where nothing is.
    const yanks = [yank('v1.0.0'), yank('v1.1.0')];
    expect(latest({ ...ALL, files, yanks })).toBeUndefined();
    expect(latest({ files })).toBe('v9.0.0');
    expect(made({ files }).warnings).toEqual([]);
  });

  it('lacks no target that the one before it has, unless it is said which count', () => {
    const fragments = [fragmentOf('v1.0.0', AMD64), fragmentOf('v1.0.0', ARM64), fragmentOf('v1.1.0', AMD64)];
    const warnings = (documents: TestDocuments, options?: IndexOptions) =>
      messagesOf(made(documents, options).warnings);
    expect(warnings({ fragments })).toEqual([
      `\`v1.1.0\` is not the latest stable one: it lacks ${ARM64}, which \`v1.0.0\` has; if they are not to come, set \`required-targets\` to those that are`,
    ]);
    expect(latest({ fragments })).toBe('v1.0.0');
    // One that was never to have it does not stop those after it.
    expect(latest({ fragments: [...fragments, fragmentOf('v1.1.1', AMD64)] })).toBe('v1.1.1');
    expect(warnings({ fragments }, { requiredTargets: [AMD64] })).toEqual([]);
    expect(warnings({ fragments, yanks: [yank('v1.0.0')] })).toEqual([]);
    expect(warnings({ fragments: [...fragments, fragmentOf('v1.1.0', ARM64), fragmentOf('v1.1.0', 'riscv')] })).toEqual(
      [],
    );
    expect(warnings({ fragments: fragments.slice(0, 2) })).toEqual([]);
  });

  it('is none that is being made', () => {
    const promotions = [{ version: 'v1.1.0', from: 'v1.1.0-rc1', time: '2026-01-01T00:00:00Z' }];
    expect(latest({ ...ALL, promotions })).toBe('v1.0.0');
  });
});

describe('feeds', () => {
  const feeds = (options: IndexOptions) =>
    [...filesOf(made(ALL, options)).keys()].filter((key) => key.endsWith('.atom'));

  it('are there where addresses are', () => {
    expect(feeds({ baseUrl: BASE_URL })).toEqual(['releases/feed.atom', 'releases/all.atom']);
    expect(feeds({})).toEqual([]);
    const owned = (options: IndexOptions) =>
      ['releases/feed.atom', 'releases/all.atom'].filter((key) => made(ALL, options).owns(key)).length;
    // Those of an earlier index stay where it is not said that there are to be none.
    expect([{ baseUrl: BASE_URL }, {}, { dropFeeds: true }].map(owned)).toEqual([2, 0, 2]);
    const page = (options: IndexOptions) => fileOf(made(ALL, options), '_releases.html');
    expect(page({ baseUrl: BASE_URL }).match(/\.atom/g)).toHaveLength(4);
    expect(page({})).not.toContain('.atom');
  });
});

describe('SHA256SUMS', () => {
  it('are of the files whose hashes are known', () => {
    const { files } = sourcesOf(ALL);
    expect(fileOf(made(ALL), 'releases/v1.1.0/SHA256SUMS')).toBe(
      `${SHA256}  ${ARM64}/garage\n${SHA256}  ${AMD64}/garage\n`,
    );
    expect(fileOf(made(ALL), `releases/v1.1.0/${ARM64}/SHA256SUMS`)).toBe(`${SHA256}  garage\n`);
    const bare = made({ files });
    expect([...filesOf(bare).keys()].filter((key) => key.includes('SHA256SUMS'))).toEqual([]);
  });

  it('are signed with the version that they are of, and the newest time of that', () => {
    const later = fragmentOf('v1.1.0', 'riscv', { changed: '2026-03-09T00:00:00Z' });
    const documents = { ...ALL, fragments: [...ALL.fragments!, later], yanks: [] };
    const text = fileOf(made(documents, { key: KEY }), 'releases/v1.1.0/SHA256SUMS.minisig');
    const signed = parseMinisig(Buffer.from(text));
    expect(Buffer.from(signed.trustedComment).toString()).toBe(
      `timestamp:${Date.parse('2026-03-09T00:00:00Z') / 1000}\tfile:SHA256SUMS\thashed\tversion:v1.1.0`,
    );
    expect(signedFileName(signed)).toBe('SHA256SUMS');
    const ofTarget = fileOf(made(documents, { key: KEY }), `releases/v1.1.0/${AMD64}/SHA256SUMS.minisig`);
    expect(ofTarget).toContain(`\thashed\tversion:v1.1.0\ttarget:${AMD64}\n`);
  });
});

const { error: minisignMissing } = spawnSync('minisign', ['-v']);

describeWithPeer(minisignMissing && '`minisign` is not on PATH', 'Stock minisign and sha256sum', () => {
  const directory = useDirectory();
  const run = (program: string, args: readonly string[], cwd = directory()) =>
    spawnSync(program, args, { cwd, encoding: 'utf8' });
  const write = (key: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(directory(), key)), { recursive: true });
    writeFileSync(join(directory(), key), content);
  };
  const change = (key: string) => {
    const bytes = readFileSync(join(directory(), key));
    bytes[bytes.length >> 1]! ^= 1;
    write(key, bytes);
  };

  it('accept what was made, and refuse it after one byte is changed', () => {
    const contents = new Map([ARM64, AMD64].map((target) => [target, `a program for ${target}\n`]));
    const fragments = [...contents].map(([target, content]) => {
      const sha256 = createHash('sha256').update(content).digest('hex');
      return fragmentOf('v1.0.0', target, {
        files: [{ name: 'garage', size: content.length, sha256, storePath: null }],
      });
    });
    for (const [key, content] of filesOf(made({ fragments }, { key: KEY, title: 'Gärage \u{1f600}' })))
      write(key, content);
    for (const [target, content] of contents) write(fileKey('v1.0.0', target, 'garage'), content);

    const verify = (key: string) => run('minisign', ['-Vm', key, '-P', PUBLIC]);
    for (const key of ['releases/v1.0.0/SHA256SUMS', 'releases/index.json']) {
      expect([key, verify(key).status, verify(key).stderr]).toEqual([key, 0, '']);
      expect(verify(key).stdout).toContain(`file:${key.split('/').at(-1)}\thashed`);
    }
    const check = () =>
      run('sha256sum', ['-c', '../../releases/v1.0.0/SHA256SUMS'], join(directory(), '_releases/v1.0.0'));
    expect([check().status, check().stdout]).toEqual([0, `${ARM64}/garage: OK\n${AMD64}/garage: OK\n`]);

    const flat = `releases/v1.0.0/${AMD64}/SHA256SUMS`;
    expect([verify(flat).status, verify(flat).stderr]).toEqual([0, '']);
    const checkFlat = () =>
      run(
        'sha256sum',
        ['-c', '--ignore-missing', join(directory(), flat)],
        join(directory(), '_releases/v1.0.0', AMD64),
      );
    expect([checkFlat().status, checkFlat().stdout]).toEqual([0, 'garage: OK\n']);

    change(fileKey('v1.0.0', AMD64, 'garage'));
    expect([checkFlat().status, checkFlat().stdout]).toEqual([1, 'garage: FAILED\n']);
    expect([check().status, check().stdout]).toEqual([1, `${ARM64}/garage: OK\n${AMD64}/garage: FAILED\n`]);
    for (const key of ['releases/v1.0.0/SHA256SUMS', 'releases/index.json']) {
      change(key);
      expect([key, verify(key).status]).toEqual([key, 1]);
    }
  });
});

/** Names of all that is no object and no list: `releases[].version`. */
function fieldsOf(value: unknown, name = ''): readonly string[] {
  if (Array.isArray(value)) return fieldsOf(value[0], `${name}[]`);
  if (typeof value !== 'object' || value === null) return [name];
  return Object.entries(value).flatMap(([key, inner]) => fieldsOf(inner, name === '' ? key : `${name}.${key}`));
}
