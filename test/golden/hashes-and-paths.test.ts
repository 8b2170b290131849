import { describe, expect, it } from 'vitest';
import { makeContentAddressedPath, parseContentAddress } from '#lib/nix/content-address.js';
import { formatHash, type HashAlgorithm, hashBytes, hashesEqual, parseHash } from '#lib/nix/hash.js';
import { nameOf } from '#lib/nix/store-path.js';
import { goldenRows } from '../support/golden.js';

describe('hashes by Nix', () => {
  it.each(goldenRows('hashes.tsv'))('of `%s` in %s are ours', (content, algorithm, base16, nix32, base64, sri) => {
    const hash = hashBytes(algorithm as HashAlgorithm, content!);
    expect(formatHash(hash, 'base16')).toBe(base16);
    expect(formatHash(hash, 'nix32')).toBe(nix32);
    expect(formatHash(hash, 'base64')).toBe(base64);
    expect(formatHash(hash, 'sri')).toBe(sri);
    for (const text of [base16, nix32, base64]) {
      expect(hashesEqual(parseHash(`${algorithm}:${text}`), hash)).toBe(true);
    }
    expect(hashesEqual(parseHash(sri!), hash)).toBe(true);
  });

  it('cover every algorithm', () => {
    expect(new Set(goldenRows('hashes.tsv').map(([, algorithm]) => algorithm))).toEqual(
      new Set(['md5', 'sha1', 'sha256', 'sha512']),
    );
  });
});

describe('store paths by Nix', () => {
  it.each(goldenRows('fixed-paths.tsv'))('of %s are ours', (address, path) => {
    expect(makeContentAddressedPath(parseContentAddress(address!), nameOf(path!), '/nix/store')).toBe(path);
  });
});
