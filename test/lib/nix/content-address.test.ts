import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ContentAddress,
  checkedContentAddress,
  contradictsContent,
  makeContentAddressedPath,
  parseContentAddress,
  renderContentAddress,
} from '#lib/nix/content-address.js';
import { formatHash, hashBytes } from '#lib/nix/hash.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectFormatError } from '../../support/errors.js';

const STORE = '/nix/store';
const HASH = hashBytes('sha256', 'content');
const NIX32 = formatHash(HASH, 'nix32');

const addresses = (): fc.Arbitrary<ContentAddress> =>
  fc.oneof(
    arbitrary.hash('sha256').map((hash) => ({ method: 'text' as const, hash })),
    fc.record({ method: fc.constantFrom('flat' as const, 'recursive', 'git'), hash: arbitrary.hash() }),
  );

describe('a content address', () => {
  it('gives back what was rendered', () => {
    fc.assert(
      fc.property(addresses(), (address) => {
        const parsed = parseContentAddress(renderContentAddress(address));
        expect(parsed.method).toBe(address.method);
        expect(renderContentAddress(parsed)).toBe(renderContentAddress(address));
      }),
    );
  });

  it.each([
    ['text', `text:sha256:${NIX32}`],
    ['flat', `fixed:sha256:${NIX32}`],
    ['recursive', `fixed:r:sha256:${NIX32}`],
    ['git', `fixed:git:sha256:${NIX32}`],
  ] as const)('of method %s is written %s', (method, text) => {
    expect(renderContentAddress({ method, hash: HASH })).toBe(text);
  });

  it.each([
    ['empty', '', 'starts with neither'],
    ['of another scheme', `output:sha256:${NIX32}`, 'starts with neither'],
    ['with white space before it', ` text:sha256:${NIX32}`, 'starts with neither'],
    ['of text that is not sha256', `text:sha1:${'0'.repeat(32)}`, 'is not sha256'],
    ['of an unknown method', `fixed:x:sha256:${NIX32}`, 'no known algorithm'],
    ['without an algorithm', `fixed:r:${NIX32}`, 'no known algorithm'],
    ['with a method twice', `fixed:r:r:sha256:${NIX32}`, 'no known algorithm'],
    ['with a newline after it', `fixed:r:sha256:${NIX32}\nSig: x`, 'wrong length'],
  ])('is refused: %s', (_, text, reason) => {
    expectFormatError(reason, () => parseContentAddress(text));
  });
});

describe('a content-addressed path', () => {
  const pathOf = (address: ContentAddress, others: string[] = [], self = false) =>
    makeContentAddressedPath(address, 'name', STORE, { others, self });

  it('depends on method, hash, name, store dir, references and self-reference', () => {
    const reference = `${STORE}/${'0'.repeat(32)}-a`;
    const recursive: ContentAddress = { method: 'recursive', hash: HASH };
    const paths = [
      pathOf(recursive),
      pathOf(recursive, [], true),
      pathOf(recursive, [reference]),
      pathOf(recursive, [reference], true),
      pathOf({ method: 'text', hash: HASH }),
      pathOf({ method: 'text', hash: HASH }, [reference]),
      pathOf({ method: 'flat', hash: HASH }),
      pathOf({ method: 'git', hash: HASH }),
      pathOf({ method: 'recursive', hash: hashBytes('sha1', 'content') }),
      pathOf({ method: 'recursive', hash: hashBytes('sha256', 'else') }),
      makeContentAddressedPath(recursive, 'other', STORE),
      makeContentAddressedPath(recursive, 'name', '/other'),
    ];
    expect(new Set(paths.map((path) => path.slice(path.lastIndexOf('/')))).size).toBe(paths.length);
  });

  it('does not depend on the order of its references', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(arbitrary.storePath(), { minLength: 2, maxLength: 4 }),
        fc.boolean(),
        (paths, self) => {
          const address: ContentAddress = { method: 'recursive', hash: HASH };
          expect(pathOf(address, paths, self)).toBe(pathOf(address, [...paths].reverse(), self));
        },
      ),
    );
  });

  it('of a text cannot refer to itself', () => {
    expectFormatError('cannot refer to itself', () => pathOf({ method: 'text', hash: HASH }, [], true));
  });

  it.each([
    ['flat', HASH],
    ['git', HASH],
    ['recursive', hashBytes('sha1', 'content')],
    ['recursive', hashBytes('sha512', 'content')],
  ] as const)('of method %s cannot have references, unless recursive sha256', (method, hash) => {
    const reference = `${STORE}/${'0'.repeat(32)}-a`;
    expectFormatError('only recursive sha256', () => pathOf({ method, hash }, [reference]));
    expectFormatError('only recursive sha256', () => pathOf({ method, hash }, [], true));
  });
});

describe('the content address that is said of a path', () => {
  const NAR_HASH = hashBytes('sha256', 'a NAR');
  const OTHER = hashBytes('sha256', 'another NAR');
  const addressed = (address: ContentAddress, narHash = NAR_HASH, self = false) => {
    const path = makeContentAddressedPath(address, 'x', STORE, { others: [], self });
    return { path, references: self ? [path] : [], narHash, ca: renderContentAddress(address) };
  };

  it('is kept where it gives the path and its content', () => {
    const info = addressed({ method: 'recursive', hash: NAR_HASH });
    expect(checkedContentAddress(info)).toBe(info.ca);
    expect(contradictsContent(info)).toBe(false);
  });

  it('is dropped, and a contradiction, where the NAR has another hash', () => {
    const info = addressed({ method: 'recursive', hash: NAR_HASH }, OTHER);
    expect(checkedContentAddress(info)).toBeUndefined();
    expect(contradictsContent(info)).toBe(true);
  });

  it('is believed where the hash of the NAR does not tell', () => {
    for (const info of [
      addressed({ method: 'text', hash: HASH }),
      addressed({ method: 'flat', hash: HASH }),
      addressed({ method: 'recursive', hash: NAR_HASH }, OTHER, true),
    ]) {
      expect([checkedContentAddress(info), contradictsContent(info)]).toEqual([info.ca, false]);
    }
  });

  it('is dropped where it gives another path, and contradicts nothing', () => {
    const info = { ...addressed({ method: 'recursive', hash: NAR_HASH }), path: `${STORE}/${'0'.repeat(32)}-x` };
    expect([checkedContentAddress(info), contradictsContent(info)]).toEqual([undefined, false]);
    expect(checkedContentAddress({ ...info, ca: undefined })).toBeUndefined();
  });
});
