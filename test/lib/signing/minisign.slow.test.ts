import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import {
  canSignName,
  createMinisignHash,
  formatMinisignId,
  hasSignedComment,
  MAX_MINISIG_SIZE,
  minisignKey,
  minisignKeyLines,
  parseMinisig,
  parseMinisignKey,
  renderMinisignKey,
  signedFileName,
  signMinisign,
  verifyMinisig,
} from '#lib/signing/minisign.js';
import { expectFormatError } from '../../support/errors.js';

const KEY = secretKeyFromSeed('test-1', new Uint8Array(32).fill(7));
const PUBLIC = minisignKey(KEY.publicKey);
const OTHER = minisignKey(secretKeyFromSeed('other-1', new Uint8Array(32).fill(8)).publicKey);
const ABOUT = { fileName: 'app.tar.gz', timestamp: 1_700_000_000 };
const DIGEST = digestOf('content');
const TEXT = signMinisign(DIGEST, ABOUT, KEY);

/** Made by `minisign -G -W` and `minisign -S` of version 0.11, of a file `a b` that holds `hi` and a newline. */
const FOREIGN_KEY = `untrusted comment: minisign public key 5CCF53D9D3944C7B
RWR7TJTT2VPPXEqKSMfh56/TpobRBuMcBSLsY4YaJ++pO2lMhRYBsnJx
`;
const FOREIGN = `untrusted comment: signature from minisign secret key
RUR7TJTT2VPPXAo+UO58maqg8rDVp9g5Q5kI5R2AE3CfgPw+j81jnPyvLlZ/Jx6yXsSNFl7hwDYdPci2VxcF2zZ4eUN6g4qF5Ao=
trusted comment: timestamp:1795285418	file:a b	hashed
nPTfeodF7cKYiwHW2mAwKA8jZ6kIWewg2AHCf8VuSeLxT4V2wzd8TcBw37N85adObrfSK8LCHAhkwBFIxjFBCA==
`;
const FOREIGN_NOT_HASHED = `untrusted comment: signature from minisign secret key
RWR7TJTT2VPPXA/29zw2CuwgD3qe1Sy5VLyhwVpPQNoCzO42BkakQx7cjNf61HMIOfDhax8GFCr099RLzcfPkEOjSplAlciaWgo=
trusted comment: timestamp:1795285418	file:a b
BheFvq5X+UjFPyy0ztMX3cFKb9LRu/liPJ7iSkKrj7tjrI31d2IMMu2aD2A/fx3lmJ+Y5aJQpB5WnWjzwHAcDQ==
`;

describe('a signature of a file', () => {
  it('is valid for the hash that was signed and no other, whatever the file, name and key', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.uint8Array(),
        fc.string({ minLength: 1, unit: 'binary' }).filter(canSignName),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.integer({ min: 0, max: 2 ** 40 }),
        (content, otherContent, fileName, seed, timestamp) => {
          const key = secretKeyFromSeed('k', seed);
          const publicKey = minisignKey(key.publicKey);
          const signed = parseMinisig(Buffer.from(signMinisign(digestOf(content), { fileName, timestamp }, key)));
          expect(verifyMinisig(digestOf(content), signed, [OTHER, publicKey])).toEqual({
            state: 'valid',
            key: publicKey,
          });
          expect(signedFileName(signed)).toBe(fileName);
          fc.pre(Buffer.compare(content, otherContent) !== 0);
          expect(verifyMinisig(digestOf(otherContent), signed, [publicKey])).toMatchObject({
            state: 'invalid',
            wrong: 'file',
          });
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is the same each time', () => {
    expect(signMinisign(DIGEST, ABOUT, KEY)).toBe(TEXT);
    expect(TEXT.split('\n')).toEqual([
      'untrusted comment: signature by test-1',
      expect.stringMatching(/^RU[A-Za-z0-9+/]{97}=$/),
      'trusted comment: timestamp:1700000000\tfile:app.tar.gz\thashed',
      expect.stringMatching(/^[A-Za-z0-9+/]{86}==$/),
      '',
    ]);
  });

  it('by a key that is not trusted says nothing', () => {
    const signed = parseMinisig(Buffer.from(TEXT));
    expect(verifyMinisig(DIGEST, signed, [OTHER])).toEqual({ state: 'untrusted' });
    expect(verifyMinisig(DIGEST, signed, [])).toEqual({ state: 'untrusted' });
    expect(hasSignedComment(signed, OTHER)).toBe(false);
    expect(hasSignedComment(signed, PUBLIC)).toBe(true);
  });

  it('is wrong when another key takes the id of the one that is trusted', () => {
    const impostor = parseMinisignKey(
      Buffer.concat([Buffer.from('Ed'), PUBLIC.id, OTHER.publicKey.bytes]).toString('base64'),
    );
    const signed = parseMinisig(Buffer.from(TEXT));
    expect(verifyMinisig(DIGEST, signed, [impostor])).toMatchObject({ state: 'invalid', wrong: 'file' });
    expect(verifyMinisig(DIGEST, signed, [impostor, PUBLIC])).toEqual({ state: 'valid', key: PUBLIC });
  });

  it('is never valid when any bit of what is signed is flipped', () => {
    const lines = TEXT.split('\n');
    for (const line of [1, 3]) {
      const bytes = Buffer.from(lines[line]!, 'base64');
      for (let bit = 0; bit < bytes.length * 8; bit += 3) {
        const spoiled = Buffer.from(bytes);
        spoiled[bit >> 3]! ^= 1 << (bit & 7);
        expect(stateOf(lines.with(line, spoiled.toString('base64')).join('\n')), `line ${line}, bit ${bit}`).not.toBe(
          'valid',
        );
      }
    }
    const at = TEXT.indexOf('timestamp:');
    for (let index = at; index < TEXT.indexOf('\n', at); index++) {
      const spoiled = Buffer.from(TEXT);
      spoiled[index]! ^= 1;
      expect(stateOf(spoiled), `byte ${index}`).toBe('invalid');
    }
  });

  it('has a comment beside it that nobody has signed', () => {
    expect(stateOf(TEXT.replace('signature by test-1', 'signature by somebody'))).toBe('valid');
  });

  it('cannot be given the comment of another signature by the same key', () => {
    const other = signMinisign(digestOf('old content'), { ...ABOUT, fileName: 'other' }, KEY).split('\n');
    const mixed = [...TEXT.split('\n').slice(0, 2), ...other.slice(2)].join('\n');
    expect(verifyMinisig(DIGEST, parseMinisig(Buffer.from(mixed)), [PUBLIC])).toMatchObject({
      state: 'invalid',
      wrong: 'comment',
    });
  });

  it('may have line ends of another system, and none at its end', () => {
    expect(stateOf(TEXT.replaceAll('\n', '\r\n'))).toBe('valid');
    expect(stateOf(TEXT.slice(0, -1))).toBe('valid');
  });

  it.each(['', 'a\tb', 'a\nb', 'a\0', 'a\x7f', 'a\r'])('is not made with the name %j', (fileName) => {
    expect(canSignName(fileName)).toBe(false);
    expectFormatError('control characters', () => signMinisign(DIGEST, { ...ABOUT, fileName }, KEY));
    expectFormatError('control characters', () => signMinisign(DIGEST, { ...ABOUT, version: fileName }, KEY));
  });
});

describe('a signature of minisign', () => {
  const key = parseMinisignKey(FOREIGN_KEY);

  it('is valid', () => {
    const signed = parseMinisig(Buffer.from(FOREIGN));
    expect(verifyMinisig(digestOf('hi\n'), signed, [key])).toEqual({ state: 'valid', key });
    expect(verifyMinisig(digestOf('ho\n'), signed, [key])).toMatchObject({ state: 'invalid', wrong: 'file' });
    expect(signedFileName(signed)).toBe('a b');
    expect(formatMinisignId(signed.keyId)).toBe('5CCF53D9D3944C7B');
  });

  it('that covers no hash is refused, with a hint', () => {
    const error = expectFormatError('does not cover a hash', () => parseMinisig(Buffer.from(FOREIGN_NOT_HASHED)));
    expect(error.hint).toContain('minisign -S');
  });
});

describe('the name of the signed file', () => {
  it.each([
    ['once', 'timestamp:1\tfile:a\thashed', 'a'],
    ['with colons and spaces', 'file:a: b ', 'a: b '],
    ['not in another field', 'profile:a', undefined],
    ['not twice', 'file:a\tfile:b', undefined],
    ['not at all', 'signed with care', undefined],
  ])('stands in its comment %s', (_, comment, name) => {
    expect(signedFileName({ ...parseMinisig(Buffer.from(TEXT)), trustedComment: Buffer.from(comment) })).toBe(name);
  });
});

describe('a signature file is refused', () => {
  const [untrusted, signature, trusted, global] = TEXT.split('\n') as [string, string, string, string];
  const cases: readonly (readonly [string, string, string])[] = [
    ['that is empty', '', 'has 1 lines, not 4'],
    ['with a line too few', `${untrusted}\n${signature}\n${trusted}\n`, 'has 3 lines, not 4'],
    ['with a line too many', `${TEXT}more\n`, 'has 5 lines, not 4'],
    ['with an empty line at its end', `${TEXT}\n`, 'has 5 lines, not 4'],
    ['without its first comment', TEXT.replace('untrusted', 'very untrusted'), 'its first line'],
    ['without its second comment', TEXT.replace('\ntrusted', '\nTrusted'), 'its third line'],
    ['with base 64 that has spaces', TEXT.replace('\nRU', '\nRU '), 'second line: is not canonical base 64'],
    ['without padding', TEXT.replace(/==\n$/, '\n'), 'fourth line: is not canonical base 64'],
    ['cut in its signature', TEXT.replace(signature, signature.slice(0, 96)), 'second line has a wrong length'],
    ['cut in its last line', TEXT.replace(global, global.slice(0, 84)), 'fourth line has a wrong length'],
    ['of another algorithm', TEXT.replace('\nRU', '\nAA'), 'is not by ed25519'],
    ['that is too large', TEXT.replace('by', 'y'.repeat(MAX_MINISIG_SIZE)), `is larger than ${MAX_MINISIG_SIZE} bytes`],
    ['that is a public key', FOREIGN_KEY, 'has 2 lines, not 4'],
  ];
  it.each(cases)('%s', (_, text, reason) => {
    expect(text).not.toBe(TEXT);
    expectFormatError(reason, () => parseMinisig(Buffer.from(text)));
  });

  it('or parsed, whatever bytes it holds, and never valid', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    const lines = fc.array(
      fc.oneof(fc.constantFrom(untrusted, signature, trusted, global), fc.string({ unit: 'binary' })),
      { minLength: 3, maxLength: 5 },
    );
    const hostile = fc.oneof(
      bytes,
      lines.map((parts) => Buffer.from(parts.join('\n'))),
      fc
        .tuple(fc.nat(TEXT.length), bytes)
        .map(([at, more]) => Buffer.concat([Buffer.from(TEXT).subarray(0, at), more])),
    );
    fc.assert(
      fc.property(hostile, (content) => {
        fc.pre(!isOurs(content));
        expect(stateOf(content)).not.toBe('valid');
      }),
      { numRuns: 300 },
    );
  });

  /** The three lines that count are ours, so that it is valid rightly. */
  function isOurs(content: Uint8Array): boolean {
    const parts = Buffer.from(content).toString('latin1').split(/\r?\n/);
    return [signature, trusted, global].every((line, index) => parts[index + 1] === line);
  }
});

describe('a public key for minisign', () => {
  it('gives back what was rendered', () => {
    const parsed = parseMinisignKey(renderMinisignKey(PUBLIC));
    expect([...parsed.id]).toEqual([...PUBLIC.id]);
    expect([...parsed.publicKey.bytes]).toEqual([...KEY.publicKey.bytes]);
    expect(minisignKeyLines(parsed)).toEqual(minisignKeyLines(PUBLIC));
  });

  it('is written as minisign writes it', () => {
    expect(`${minisignKeyLines(parseMinisignKey(FOREIGN_KEY)).join('\n')}\n`).toBe(FOREIGN_KEY);
  });

  it('has the beginning of the SHA-256 of the key for an id, whatever the name of the key', () => {
    // printf '6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=' | base64 -d | sha256sum
    expect(Buffer.from(PUBLIC.id).toString('hex')).toBe('fe812c12f3ab4ce6');
    expect(minisignKey(secretKeyFromSeed('renamed-2', new Uint8Array(32).fill(7)).publicKey).id).toEqual(PUBLIC.id);
  });

  it.each([
    ['that is empty', '', 'has 0 bytes, not 42'],
    ['that is no base 64', 'minisign.pub', 'is not canonical base 64'],
    ['that is a comment only', FOREIGN_KEY.split('\n')[0]!, 'is not canonical base 64'],
    ['with two keys', `${FOREIGN_KEY}${FOREIGN_KEY}`, 'is not canonical base 64'],
    ['that is cut short', FOREIGN_KEY.trim().slice(0, -4), 'has 39 bytes, not 42'],
    ['of another algorithm', FOREIGN_KEY.replace('\nRW', '\nAA'), 'is not for ed25519'],
    ['of a signature', FOREIGN, 'is not canonical base 64'],
  ])('%s is refused', (_, text, reason) => {
    expectFormatError(reason, () => parseMinisignKey(text));
  });
});

function digestOf(content: string | Uint8Array): Uint8Array {
  return createMinisignHash().update(content).digest();
}

/** What is made of a signature file for our file and key. */
function stateOf(content: string | Uint8Array): string {
  try {
    return verifyMinisig(DIGEST, parseMinisig(Buffer.from(content)), [PUBLIC]).state;
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_FORMAT' });
    return 'refused';
  }
}
