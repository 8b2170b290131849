import crypto, { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { renderPublicKey, renderSecretKey, type SecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { hideLikelyKeys, looksLikeKey, mayBeKey } from '#lib/signing/likely-key.js';
import { hasSecretKey, hideSecretKeys } from '#lib/signing/secret-form.js';
import { signText } from '#lib/signing/signature.js';

/** The same at each run: of parts of keys one in thousands looks like something else. */
const keys = Array.from({ length: 40 }, (_, index) => {
  const seed = createHash('sha256').update(`key ${index}`).digest();
  return secretKeyFromSeed(`cache.example.org-${index}`, seed);
});
const percent = (text: string) =>
  text.replace(/[^A-Za-z0-9]/g, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`);

/** Ways in which a key can stand in text. */
const FORMS: Readonly<Record<string, (key: string) => string>> = {
  'as it is': (key) => key,
  'with a line break behind it': (key) => `${key}\n`,
  'between quotes': (key) => `"${key}"`,
  'without its name': (key) => key.split(':')[1]!,
  'without padding': (key) => key.replace(/=+$/, ''),
  'percent-encoded': percent,
  'percent-encoded twice': (key) => percent(percent(key)),
  'percent-encoded in lower case': (key) => percent(key).replace(/%../g, (code) => code.toLowerCase()),
  'in the base 64 of URLs': (key) => key.replaceAll('+', '-').replaceAll('/', '_'),
  'with the escapes of JSON': (key) => JSON.stringify(key).replaceAll('/', '\\/').replaceAll('+', '\\u002B'),
  'with those of HTML': (key) => key.replaceAll('/', '&#47;').replaceAll('+', '&#x2B;').replaceAll('=', '&#x3D;'),
  'in two lines': (key) => `${key.slice(0, 50)}\n   ${key.slice(50)}`,
  'in two lines of JSON': (key) => JSON.stringify(`${key.slice(0, 50)}\n${key.slice(50)}`),
  'in one line that was two': (key) => `${key.slice(0, 50)}?${key.slice(50)}`,
  'twice, with a space between': (key) => `${key} ${key}`,
  'twice, with a comma between': (key) => `${key},${key}`,
  'within other characters': (key) => `x${key.split(':')[1]!.replace(/=+$/, '')}y`,
  'in base 64 once more': (key) => Buffer.from(`${key}\n`).toString('base64'),
  'behind a path': (key) => `/srv/keys/${key.split(':')[1]!}`,
  'within a path': (key) => `/srv/keys/${key.split(':')[1]!.replace(/=+$/, '')}/x.sec`,
  'within a name': (key) => `old_name-${key.split(':')[1]!.replace(/=+$/, '')}-and-what-is-behind-it`,
  'three times, with nothing between': (key) => key.split(':')[1]!.replace(/=+$/, '').repeat(3),
  'three times, with names': (key) => key.replace(/=+$/, '').repeat(3),
  'in five lines': (key) => key.replace(/.{20}/g, '$&\n'),
  'in base 64 once more, in lines': (key) => Buffer.from(`${key}\n`).toString('base64').replace(/.{76}/g, '$&\n'),
  'in a URL': (key) => `file:///srv/cache?secret-key=${percent(key)}&priority=3`,
};

describe('a secret key in text', () => {
  it.each(Object.entries(FORMS))('is found %s', (_, form) => {
    for (const key of keys) {
      const text = form(renderSecretKey(key));
      const secret = renderSecretKey(key).split(':')[1]!;
      const shown = hideSecretKeys(`before ${text} after`);
      expect(hasSecretKey(text)).toBe(true);
      expect(shown).toContain('[secret key]');
      expect(shown.replace(/\s/g, '')).not.toContain(secret.slice(0, 30));
      expect(shown).not.toContain(secret.slice(60, 80));
    }
  });

  it('keeps its name, and what stands around it', () => {
    for (const key of keys) {
      const text = `\`--secret-key\` (${renderSecretKey(key)}): no such file`;
      expect(hideSecretKeys(text)).toBe(`\`--secret-key\` (${key.name}:[secret key]): no such file`);
    }
  });

  it.each([
    ['OPENSSH PRIVATE KEY', '\n'],
    ['PRIVATE KEY', '\n'],
    ['RSA PRIVATE KEY', '\\n'],
    ['EC PRIVATE KEY', '?'],
  ])('is found in PEM (%s)', (name, end) => {
    const text = `-----BEGIN ${name}-----${end}b3BlbnNzaC1r${end}-----END ${name}-----`;
    expect(hideSecretKeys(`a ${text} b`)).toBe('a [secret key] b');
    expect(hideSecretKeys(`a ${text.slice(0, 40 + name.length - 11)}`)).not.toContain('b3BlbnNz');
  });

  it('is found in the file of minisign', () => {
    for (const start of ['EdScB2', 'Ed\0\0B2']) {
      const text = Buffer.concat([Buffer.from(start), randomBytes(152)]).toString('base64');
      expect(hideSecretKeys(`untrusted comment: x\n${text}\n`)).toBe('untrusted comment: x\n[secret key]\n');
    }
  });
});

describe('what is no secret key', () => {
  const kept = (text: string) => expect([hideSecretKeys(text), hideLikelyKeys(text)]).toEqual([text, text]);

  it('stays: a signature, which has the same form', () => {
    for (let number = 0; number < 10; number++) {
      for (const key of keys) {
        const signature = signText(`1;${number}`, key);
        kept(`Sig: ${signature}\nSig: ${signature}`);
        kept(JSON.stringify({ signatures: [signature] }));
      }
    }
  });

  it.each<readonly [string, (key: SecretKey) => string]>([
    ['a public key', ({ publicKey }) => renderPublicKey(publicKey)],
    ['several of them', () => keys.map(({ publicKey }) => renderPublicKey(publicKey)).join(' ')],
    ['a hash', ({ name }) => `sha512:${createHash('sha512').update(name).digest('base64')}`],
    ['a hash of the web', ({ name }) => `sha512-${createHash('sha512').update(name).digest('base64')}`],
    ['a store path', ({ name }) => `/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-${name}`],
    ['a path with upper case', ({ name }) => `https://host/Some/Long/Path/With/CamelCaseNames/AndMore/Of/Them/${name}`],
    ['a port and a path', ({ name }) => `localhost:3900/MyBucket/SomeLongDirectory/AnotherDirectoryNameHere ${name}`],
    ['a path of an image', ({ name }) => `host:MyBucket/SomeLongDirectory/AnotherDirectoryNameHere ${name}`],
    ['a list of paths', () => `PATH=${'/Users/Some.Body/Library/Frameworks:'.repeat(20)}`],
  ])('stays: %s', (_, text) => {
    for (const key of keys) kept(text(key));
  });

  it('is hidden in words where it looks like a part of one', () => {
    for (const key of keys) {
      const text = renderSecretKey(key);
      const [broken, long] = [text.slice(0, -30), `${text.slice(0, -30)}${'A'.repeat(40)}`];
      expect(hideLikelyKeys(`no file \`${broken}\``)).toBe(`no file \`${key.name}:[secret key]\``);
      expect(hideLikelyKeys(long)).toBe(`${key.name}:[secret key]`);
      expect(hideSecretKeys(broken)).toBe(broken);
    }
  });
});

describe('the work of the search', () => {
  const random = randomBytes(750_000).toString('base64');
  const lines = (length: number) => random.replace(new RegExp(`.{${length}}`, 'g'), '$&\n');

  it.each([
    ...[20, 43, 64, 76, 86, 88, 90, 100, 128].map(
      (length) => [`base 64 in lines of ${length}`, lines(length)] as const,
    ),
    ['base 64 in one line', random],
    ['words', 'WARNING Module Not Found While Building Target '.repeat(20_000)],
    ['paths', `/Users/Some.Body/${'CamelCase1'.repeat(6)}\n`.repeat(13_000)],
    ['escapes', encodeURIComponent(random)],
  ] as const)('is in proportion to the text: %s', (_, text) => {
    const derive = vi.spyOn(crypto, 'createPrivateKey');
    expect(hideSecretKeys(text) === text).toBe(true);
    // Each takes a tenth of a millisecond.
    expect(derive.mock.calls.length).toBeLessThan(6000);
    derive.mockRestore();
  });

  it('keeps no time for what has no end', () => {
    for (const part of ['\\', '%25', '%3A', 'a ', 'http://', '-----BEGIN A ', 'a:', '&#x2']) {
      const text = part.repeat(300_000 / part.length);
      expect(hideLikelyKeys(text) === text, part).toBe(true);
    }
  });
});

describe('text that should name a file', () => {
  it('looks like a key where it is one, whole or not', () => {
    for (const key of keys) {
      const text = renderSecretKey(key);
      for (const form of [text, ` ${text}\n`, `"${text}"`, percent(text), `${text.slice(0, 60)}\n${text.slice(60)}`]) {
        expect(looksLikeKey(form), form).toBe(true);
      }
      expect(looksLikeKey(renderPublicKey(key.publicKey))).toBe(true);
      expect(mayBeKey(text.split(':')[1]!.slice(0, 43))).toBe(true);
    }
  });

  it.each([
    ...['./cache.sec', '/run/secrets/SIGNING_KEY', 'key', '~/keys/cache.example.org-1.sec', 'C:/keys/my.sec'],
    ...['/home/Some Body/Keys/2024/With:Colon/key.sec', 'keys/cache:1.sec', '/proc/self/fd/63'],
  ])('does not where it names one: %s', (text) => {
    expect([looksLikeKey(text), mayBeKey(text)]).toEqual([false, false]);
  });
});
