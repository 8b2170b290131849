import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDocument, verifyDocument } from '#lib/signing/document.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import { FRAGMENT, type Fragment, PROMOTION, PRUNING, YANK } from '#release/documents/kinds.js';
import { renderSigned } from '../../support/documents.js';
import { expectFormatError } from '../../support/errors.js';

const key = secretKeyFromSeed('release-1', Buffer.alloc(32, 1));
const other = secretKeyFromSeed('release-1', Buffer.alloc(32, 2));

const sample: Fragment = {
  version: 'v1.2.3',
  target: 'x86_64-unknown-linux-musl',
  commit: '0123456789abcdef0123456789abcdef01234567',
  time: '2026-11-01T12:00:00Z',
  changed: '2026-11-02T12:00:00Z',
  ci: { system: 'drone', event: 'tag', runUrl: 'https://ci.example.org/1' },
  files: [
    { name: 'garage', size: 19, sha256: 'a'.repeat(64), storePath: null },
    { name: 'garage.json', size: 7, sha256: 'b'.repeat(64), storePath: '/nix/store/0-garage' },
  ],
  promotion: { from: 'v1.2.3-rc1', gates: [{ gate: 'hashes', detail: '2 files' }] },
};

const name = () => fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,20}$/);
const text = () => fc.string({ unit: 'grapheme', maxLength: 30 });
const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const time = () =>
  fc
    .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
    .map((at) => `${at.toISOString().slice(0, 19)}Z`);
const fragment = (): fc.Arbitrary<Fragment> =>
  fc.record({
    version: name(),
    target: name(),
    commit: fc.option(digits(40)),
    time: time(),
    changed: time(),
    ci: fc.record({ system: text(), event: fc.option(text()), runUrl: fc.option(text()) }),
    files: fc
      .uniqueArray(
        fc.record({
          name: name(),
          size: fc.nat().map((size) => size + 1),
          sha256: digits(64),
          storePath: fc.option(text()),
        }),
        { selector: (file) => file.name, minLength: 1, maxLength: 4 },
      )
      .map((files) => files.sort((a, b) => (a.name < b.name ? -1 : 1))),
    promotion: fc.option(
      fc.record({ from: name(), gates: fc.array(fc.record({ gate: text(), detail: text() }), { maxLength: 3 }) }),
    ),
  });

const parse = (json: string) => parseDocument(FRAGMENT, json);

describe('a signed document', () => {
  it('is read as it was written, and verifies', () => {
    fc.assert(
      fc.property(fragment(), (value) => {
        const read = parse(renderSigned(FRAGMENT, value, [key]));
        expect(read.value).toEqual(value);
        expect(verifyDocument(FRAGMENT, read, [key.publicKey])).toEqual({ state: 'valid', keyName: 'release-1' });
      }),
    );
  });

  it('is the same whatever the order of its fields is', () => {
    const { files, ...rest } = sample;
    const turned = { files: files.map((file) => Object.fromEntries(Object.entries(file).reverse())), ...rest };
    const fields = Object.fromEntries(Object.entries(turned).reverse()) as unknown as Fragment;
    expect(renderSigned(FRAGMENT, fields, [key])).toBe(renderSigned(FRAGMENT, sample, [key]));
  });

  it('verifies also when its JSON was written in another way', () => {
    const { schema, signatures, ...rest } = JSON.parse(renderSigned(FRAGMENT, sample, [key]));
    const turned = JSON.stringify({ signatures, ...Object.fromEntries(Object.entries(rest).reverse()), schema });
    expect(verifyDocument(FRAGMENT, parse(turned), [key.publicKey]).state).toBe('valid');
  });

  it('does not verify with any value changed, nor with a key of the same name', () => {
    const whole = JSON.parse(renderSigned(FRAGMENT, sample, [key]));
    const changes: readonly object[] = [
      { version: 'v1.2.4' },
      { target: 'y' },
      { commit: null },
      { time: '2026-11-01T12:00:01Z' },
      { changed: '2026-11-01T12:00:01Z' },
      { ci: { ...sample.ci, system: 'none' } },
      { ci: { ...sample.ci, event: null } },
      { ci: { ...sample.ci, runUrl: null } },
      { files: sample.files.slice(0, 1) },
      { files: [{ ...sample.files[0], size: 18 }, sample.files[1]] },
      { files: [{ ...sample.files[0], sha256: 'c'.repeat(64) }, sample.files[1]] },
      { files: [{ ...sample.files[0], storePath: '/nix/store/0-x' }, sample.files[1]] },
      { promotion: null },
      { promotion: { ...sample.promotion, from: 'v1.2.3-rc2' } },
      { promotion: { ...sample.promotion, gates: [] } },
    ];
    for (const change of changes) {
      const changed = parse(JSON.stringify({ ...whole, ...change }));
      expect(verifyDocument(FRAGMENT, changed, [key.publicKey]).state, JSON.stringify(change)).toBe('invalid');
    }
    expect(verifyDocument(FRAGMENT, parse(JSON.stringify(whole)), [other.publicKey]).state).toBe('invalid');
    expect(verifyDocument(FRAGMENT, parse(JSON.stringify({ ...whole, signatures: [] })), [key.publicKey]).state).toBe(
      'unsigned',
    );
  });

  it('is not taken for one of another kind', () => {
    const value = { version: 'v1', time: '2026-11-01T12:00:00Z' };
    const pruning = renderSigned(PRUNING, value, [key]);
    const asPromotion = { ...JSON.parse(pruning), from: 'v0' };
    expect(
      verifyDocument(PROMOTION, parseDocument(PROMOTION, JSON.stringify(asPromotion)), [key.publicKey]).state,
    ).toBe('invalid');
    const tags = [FRAGMENT, YANK, PROMOTION, PRUNING].map(({ tag }) => tag);
    expect(new Set([...tags, 'carport-pin']).size).toBe(5);
  });

  it.each([
    ['another schema', { schema: 2 }, 'schema'],
    ['a field that no signature covers', { more: 1 }, 'more'],
    ['a version that is a path', { version: '../x' }, 'version'],
    ['a version that is a ref', { version: 'refs/heads/main' }, 'version'],
    ['a target that is a path', { target: 'a/b' }, 'target'],
    ['a commit that is cut short', { commit: '0123456' }, 'commit'],
    ['a time that is none', { time: '2026-02-30T00:00:00Z' }, 'time'],
    ['a time with an offset', { time: '2026-11-01T12:00:00+01:00' }, 'time'],
    ['no file', { files: [] }, 'files'],
    ['a file twice', { files: [sample.files[0], sample.files[0]] }, 'files'],
    ['files that are not sorted', { files: [...sample.files].reverse() }, 'files'],
    ['a file name with a slash', { files: [{ ...sample.files[0], name: 'a/b' }] }, 'files.0.name'],
    ['a size that is text', { files: [{ ...sample.files[0], size: '7' }] }, 'files.0.size'],
    ['an empty file', { files: [{ ...sample.files[0], size: 0 }] }, 'files.0.size'],
    ['a hash that is none', { files: [{ ...sample.files[0], sha256: 'A'.repeat(64) }] }, 'files.0.sha256'],
    ['too many signatures', { signatures: Array.from({ length: 17 }, String) }, 'signatures'],
  ])('is refused with %s', (_, change, field) => {
    const whole = JSON.parse(renderSigned(FRAGMENT, sample, [key]));
    expectFormatError(field, () => parse(JSON.stringify({ ...whole, ...change })));
  });

  it.each(['', 'null', '[]', '7', '{"version"', '<html>'])('is refused as `%s`', (json) => {
    expectFormatError('fragment of a release', () => parse(json));
  });
});
