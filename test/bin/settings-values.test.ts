import { describe, expect, it } from 'vitest';
import { createSetting, type Origin } from '#bin/settings/setting.js';
import { SETTINGS, type SettingKey, type SettingSpec } from '#bin/settings/table.js';
import { parseCacheUrl } from '#cache/cache-url.js';
import { CarportError } from '#lib/errors.js';
import { parsePublicKey, renderPublicKey, secretKeyFromSeed } from '#lib/signing/key.js';

const PUBLIC_KEY = renderPublicKey(secretKeyFromSeed('cache-1', new Uint8Array(32)).publicKey);
const CACHE = 'file:///srv/cache?compression=xz';

/** What a text of each setting is. */
const GOOD: Readonly<Record<SettingKey, readonly (readonly [text: string, value: unknown])[]>> = {
  cache: [[CACHE, parseCacheUrl(CACHE)]],
  to: [[CACHE, parseCacheUrl(CACHE)]],
  from: [['/srv/cache', parseCacheUrl('/srv/cache')]],
  'trusted-keys': [[PUBLIC_KEY, parsePublicKey(PUBLIC_KEY)]],
  'secret-key-files': [['./cache.sec', './cache.sec']],
  store: [
    ['nix', 'nix'],
    ['./store', './store'],
    ['./daemon', './daemon'],
  ],
  compression: [
    ['zstd', 'zstd'],
    ['none', 'none'],
  ],
  level: [['19', 19]],
  jobs: [
    ['1', 1],
    ['256', 256],
  ],
  'skip-signed-by': [['cache.nixos.org-1', 'cache.nixos.org-1']],
  'retry-seconds': [
    ['0', 0],
    ['86400', 86_400],
  ],
  // A function: it is called below.
  'stable-pattern': [],
  'base-url': [['https://releases.example.org', 'https://releases.example.org/']],
  title: [['Garage', 'Garage']],
  forge: [['https://git.example.org/owner/project/', 'https://git.example.org/owner/project']],
  'forge-kind': [['gitea', 'gitea']],
  logo: [
    ['logo.svg', 'logo.svg'],
    ['data:image/png;base64,iVBORw==', 'data:image/png;base64,iVBORw=='],
  ],
  'accent-color': [
    ['#0b5d83', '#0b5d83'],
    ['#ABC', '#aabbcc'],
  ],
  'accent-color-dark': [['#7CC4E8', '#7cc4e8']],
  'index-html': [['replace', 'replace']],
  'simple-index': [['never', 'never']],
  'required-targets': [['x86_64-unknown-linux-musl', 'x86_64-unknown-linux-musl']],
  'minimum-age': [
    ['0', 0],
    ['45s', 45_000],
    ['90m', 5_400_000],
    ['3d', 259_200_000],
    ['2w', 1_209_600_000],
  ],
  'ancestor-of': [['main', 'main']],
  'gate-commands': [['make check', 'make check']],
  'gate-seconds': [['600', 600]],
  releases: [['https://carport.example.org/', parseCacheUrl('https://carport.example.org/')]],
  'release-keys': [[PUBLIC_KEY, parsePublicKey(PUBLIC_KEY)]],
};

/** Texts that are no value, and what is said of them beside the place. */
const BAD: Readonly<Partial<Record<SettingKey, readonly (readonly [text: string, said: string])[]>>> = {
  cache: [['', 'is empty']],
  logo: [
    ['', 'no file'],
    ['data:text/html;base64,PGI+', 'no file'],
  ],
  'accent-color': [
    ['blue', '`blue`'],
    ['#12345', 'no colour'],
  ],
  'accent-color-dark': [['red; } body { display: none', 'no colour']],
  'index-html': [['yes', 'no way to treat']],
  'simple-index': [['yes', 'no time for']],
  releases: [['ftp://host/carport', 'ftp']],
  'release-keys': [['carport-1', 'not `NAME:BASE64`']],
  to: [
    ['ftp://host/cache', 'ftp'],
    ['file:///c?compresion=xz', '`compresion` is not a parameter'],
  ],
  from: [['', 'empty']],
  'trusted-keys': [
    ['cache.pub', 'a trusted key'],
    ['cache-1:AAAA', 'is not `NAME:BASE64`'],
  ],
  store: [
    ['daemon', 'is a name of Nix for its store'],
    ['auto', 'is a name of Nix for its store'],
    [' ', 'a path'],
  ],
  compression: [['bzip2', 'compression `bzip2`']],
  level: [
    ['high', '`high`'],
    ['-1', '`-1`'],
    ['1.5', 'is not a number'],
  ],
  jobs: [
    ['0', 'is not a number of jobs from 1 to 256'],
    ['257', 'is not a number of jobs from 1 to 256'],
    ['four', '`four`'],
    ['0x10', '`0x10`'],
    ['', '``'],
  ],
  'retry-seconds': [
    ['86401', 'is not a number of seconds from 0 to 86400'],
    ['1e3', '`1e3`'],
  ],
  'stable-pattern': [
    ['(', 'is no regular expression'],
    ['', 'is empty'],
  ],
  'base-url': [
    ['releases.example.org', 'is not that of a web site'],
    ['https://user:secret@example.org/', 'is not that of a web site'],
    ['https://example.org/?a=b', 'is not that of a web site'],
    ['https:example.org', 'is not that of a web site'],
    ['', 'is not that of a web site'],
  ],
  title: [[' ', 'the heading of the page']],
  forge: [
    ['git@example.org:owner/project', 'is not that of a web site'],
    ['', 'is empty'],
  ],
  'forge-kind': [['sourcehut', '`sourcehut`']],
  'minimum-age': [
    ['3 days', 'is no span of time'],
    ['-1d', 'is no span of time'],
    ['3', 'is no span of time'],
  ],
  'ancestor-of': [['', 'is not the name of a branch']],
  'gate-commands': [
    [' ', 'is not a command line'],
    ['a\0b', 'is not a command line'],
  ],
  'gate-seconds': [
    ['0', 'is not a number of seconds from 1 to 86400'],
    ['ten', '`ten`'],
  ],
};

const KEYS = Object.keys(SETTINGS) as SettingKey[];
/** Any text is one of these. */
const UNCHECKED: readonly SettingKey[] = ['secret-key-files', 'skip-signed-by', 'required-targets'];
const FILE = '/checkout/carport.toml';

/** Where a text may be from, and how an error names it. */
function placesOf(key: SettingKey): readonly (readonly [Origin, string])[] {
  const { option, env } = SETTINGS[key];
  return [
    [{ kind: 'option', name: option }, option],
    [{ kind: 'variable', name: env }, env],
    [{ kind: 'file', name: FILE }, `${key} in ${FILE}`],
    [{ kind: 'remembered', name: '`ledger`' }, '`ledger`'],
  ];
}

describe('the value of a setting', () => {
  const isList = (key: SettingKey) => (SETTINGS[key] as SettingSpec).list;
  const origin: Origin = { kind: 'option', name: '--x' };

  it.each(KEYS.flatMap((key) => GOOD[key].map(([text, value]) => [key, text, value] as const)))(
    '%s: `%s`',
    (key, text, value) => {
      expect(createSetting(key, [text], origin).value).toEqual(isList(key) ? [value] : value);
    },
  );

  it('is the rule of a pattern, which the whole tag must match', () => {
    const rule = createSetting('stable-pattern', ['release-[0-9]+'], origin).value!;
    expect(['release-1', 'release-1-rc', 'v1.0.0'].map(rule)).toEqual(['stable', 'extra', 'extra']);
  });

  it.each(KEYS)('%s: nothing where it is not set', (key) => {
    const { value } = createSetting(key, [], { kind: 'default', name: 'default' });
    expect(value).toEqual(isList(key) ? [] : undefined);
  });

  it('is the last text, and of a list all of them in their order', () => {
    expect(createSetting('jobs', ['1', '2'], origin).value).toBe(2);
    expect(createSetting('gate-commands', ['b', 'a'], origin).value).toEqual(['b', 'a']);
  });

  it('has a wrong text for each kind of value', () => {
    expect(KEYS.filter((key) => !UNCHECKED.includes(key) && BAD[key] === undefined)).toEqual([]);
  });

  it.each(KEYS.flatMap((key) => (BAD[key] ?? []).map(([text, said]) => [key, text, said] as const)))(
    '%s: not %j, and the error names the place',
    (key, text, said) => {
      for (const [from, place] of placesOf(key)) {
        // Asked for twice: no half a value is left.
        for (const setting of [createSetting(key, [text], from)].flatMap((each) => [each, each])) {
          const error = errorOf(() => setting.value);
          expect(error.code).toBe('E_USAGE');
          expect(error.message).toContain(said);
          expect(error.message).toContain(`(${place})`);
        }
      }
    },
  );

  it('is no key where the text of one is wrong', () => {
    const error = errorOf(() => createSetting('trusted-keys', ['cache-1:c2VjcmV0'], origin).value);
    expect(error.message).not.toContain('c2VjcmV0');
  });

  it('is asked for by who uses it: a wrong one is no error before', () => {
    expect(createSetting('jobs', ['many'], origin).texts).toEqual(['many']);
  });
});

function errorOf(work: () => unknown): CarportError {
  try {
    work();
  } catch (error) {
    if (error instanceof CarportError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
