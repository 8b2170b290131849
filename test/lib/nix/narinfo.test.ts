import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHash, hashBytes, renderHash } from '#lib/nix/hash.js';
import { type NarInfo, parseNarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { mergeSignatures } from '#lib/nix/path-info.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectFormatError } from '../../support/errors.js';

const HASH = '0123456789abcdfghijklmnpqrsvwxyz';
const NAR_HASH = `sha256:${formatHash(hashBytes('sha256', 'nar'), 'nix32')}`;
const FIELDS = {
  StorePath: `/nix/store/${HASH}-name`,
  URL: 'nar/x.nar',
  Compression: 'none',
  FileHash: NAR_HASH,
  FileSize: '10',
  NarHash: NAR_HASH,
  NarSize: '20',
  References: `${HASH}-name ${HASH}-other`,
  Deriver: `${HASH}-name.drv`,
  Sig: 'key:AAAA',
  CA: 'text:sha256:x',
};
type Fields = Partial<Record<keyof typeof FIELDS, string | null>>;

/** The text of a narinfo; `null` leaves a field out. */
function textWith(changes: Fields = {}): string {
  const fields = Object.entries({ ...FIELDS, ...changes }).filter(([, value]) => value !== null);
  return fields.map(([key, value]) => `${key}: ${value}\n`).join('');
}

const INFO = parseNarInfo(textWith());

describe('a narinfo', () => {
  it('gives back what was rendered, unknown fields in their places', () => {
    fc.assert(
      fc.property(arbitrary.narInfo(), (info) => {
        const parsed = parseNarInfo(renderNarInfo(info));
        expect(comparable(parsed)).toEqual(comparable(info));
        expect(renderNarInfo(parsed)).toBe(renderNarInfo(info));
      }),
    );
  });

  it('renders in the order of Nix’s fields', () => {
    expect(renderNarInfo(INFO)).toBe(textWith());
  });

  it('keeps unknown fields where they stood', () => {
    const lines = textWith().split('\n');
    const text = ['First: 1', lines[0], 'System: x86_64-linux', 'Another: a: b', ...lines.slice(1, -1), 'Last: ', ''];
    expect(renderNarInfo(parseNarInfo(text.join('\n')))).toBe(text.join('\n'));
  });

  it('leaves out what is not known', () => {
    const text = textWith({ FileHash: null, FileSize: null, Deriver: null, Sig: null, CA: null, References: '' });
    const info = parseNarInfo(text);
    expect(info).not.toHaveProperty('fileHash');
    expect(info).not.toHaveProperty('fileSize');
    expect(info).not.toHaveProperty('deriver');
    expect(info).not.toHaveProperty('ca');
    expect([info.references, info.signatures]).toEqual([[], []]);
    expect(renderNarInfo(info)).toBe(text);
  });

  it('keeps every signature, in order', () => {
    const text = textWith({ Sig: 'b:BBBB\nSig: a:AAAA' });
    expect(parseNarInfo(text).signatures).toEqual(['b:BBBB', 'a:AAAA']);
    expect(renderNarInfo(parseNarInfo(text))).toBe(text);
  });

  it.each([{ Compression: '' }, { Compression: null }])('takes %j for bzip2, as Nix does', (changes) => {
    expect(parseNarInfo(textWith(changes)).compression).toBe('bzip2');
  });

  it('takes the deriver `unknown-deriver` for none', () => {
    expect(parseNarInfo(textWith({ Deriver: 'unknown-deriver' }))).not.toHaveProperty('deriver');
  });

  it('takes a file size of zero for none', () => {
    expect(parseNarInfo(textWith({ FileSize: '0' }))).not.toHaveProperty('fileSize');
  });

  it('has its references and deriver in the store dir of its own path', () => {
    const info = parseNarInfo(textWith({ StorePath: `/other/dir/${HASH}-name` }));
    expect(info.references).toEqual([`/other/dir/${HASH}-name`, `/other/dir/${HASH}-other`]);
    expect(info.deriver).toBe(`/other/dir/${HASH}-name.drv`);
  });

  it.each(['base16', 'nix32', 'base64'] as const)('takes hashes in %s', (format) => {
    const hash = hashBytes('sha256', 'nar');
    const text = `sha256:${formatHash(hash, format)}`;
    expect(renderNarInfo(parseNarInfo(textWith({ NarHash: text, FileHash: text })))).toBe(textWith());
  });
});

describe('a narinfo is refused', () => {
  it.each(['StorePath', 'URL', 'NarHash', 'NarSize'] as const)('without %s, or with an empty one', (key) => {
    expectFormatError(`\`${key}\` is missing`, () => parseNarInfo(textWith({ [key]: null })));
    expectFormatError(`\`${key}\` is missing`, () => parseNarInfo(textWith({ [key]: '' })));
  });

  it.each(Object.keys(FIELDS).filter((key) => key !== 'Sig'))('with %s twice', (key) => {
    const line = `${key}: ${FIELDS[key as keyof typeof FIELDS]}\n`;
    expectFormatError(`\`${key}\` is there twice`, () => parseNarInfo(textWith() + line));
  });

  it.each<[string, Fields, string]>([
    ['a relative store path', { StorePath: `${HASH}-name` }, 'is not an absolute store path'],
    ['a store path below the root', { StorePath: `/${HASH}-name` }, 'is not an absolute store path'],
    ['a store path with a bad name', { StorePath: `/nix/store/${HASH}-a b` }, 'is not a hash part'],
    ['a carriage return after the store path', { StorePath: `/nix/store/${HASH}-a\r` }, 'is not a hash part'],
    ['a NarHash without algorithm', { NarHash: '0'.repeat(52) }, 'no known algorithm'],
    ['a NarHash of md5', { NarHash: `md5:${'0'.repeat(32)}` }, '`NarHash` is not sha256'],
    ['a NarHash of sha512', { NarHash: renderHash(hashBytes('sha512', 'nar')) }, '`NarHash` is not sha256'],
    ['a NarHash cut short', { NarHash: NAR_HASH.slice(0, -1) }, 'wrong length'],
    ['a FileHash of nonsense', { FileHash: 'sha256:!' }, 'wrong length'],
    ['a NarSize of zero', { NarSize: '0' }, '`NarSize` is zero'],
    ['a reference as a full path', { References: `/nix/store/${HASH}-name` }, 'is not a hash part'],
    ['a reference that climbs', { References: `../../etc/${HASH}-name` }, 'is not a hash part'],
    ['references apart by tabs', { References: `${HASH}-a\t${HASH}-b` }, 'is not a hash part'],
    ['a deriver that is no base name', { Deriver: 'name.drv' }, 'is not a hash part'],
  ])('with %s', (_, changes, reason) => {
    expectFormatError(reason, () => parseNarInfo(textWith(changes)));
  });

  it.each(['-1', '1.5', '1e3', '0x10', ' 20', '20 ', '9007199254740992', 'NaN', '٣'])('with the size `%s`', (size) => {
    expectFormatError('is not a size', () => parseNarInfo(textWith({ NarSize: size })));
    expectFormatError('is not a size', () => parseNarInfo(textWith({ FileSize: size })));
  });

  it('when it is cut anywhere but between lines', () => {
    const text = textWith();
    for (let length = 0; length < text.length; length++) {
      if (text[length - 1] === '\n') continue;
      expectFormatError('the last line does not end', () => parseNarInfo(text.slice(0, length)));
    }
  });

  it.each(['no colon', 'Key:value', ': value', ''])('with the line `%s`', (line) => {
    expectFormatError('is not `Key: value`', () => parseNarInfo(`${textWith()}${line}\n`));
  });

  it('when it is larger than any narinfo', () => {
    expectFormatError('larger than 4 MiB', () => parseNarInfo(textWith({ URL: 'x'.repeat(4 * 1024 * 1024) })));
  });
});

describe('rendering a narinfo', () => {
  const INJECTIONS: [string, (value: string) => Partial<NarInfo>][] = [
    ['path', (value) => ({ path: `/nix/store/${HASH}-a${value}` })],
    ['url', (value) => ({ url: `nar/x${value}` })],
    ['compression', (value) => ({ compression: `xz${value}` })],
    ['references', (value) => ({ references: [`/nix/store/${HASH}-a${value}`] })],
    ['deriver', (value) => ({ deriver: `/nix/store/${HASH}-a${value}` })],
    ['signatures', (value) => ({ signatures: ['a:b', `key:AAAA${value}`] })],
    ['ca', (value) => ({ ca: `text:sha256:x${value}` })],
    ['unknown value', (value) => ({ unknownFields: [{ key: 'X', value: `y${value}` }] })],
    ['unknown key', (value) => ({ unknownFields: [{ key: `X${value}`, value: 'y' }] })],
  ];
  const CONTROL = [...Array(32).keys(), 127].map((code) => String.fromCharCode(code));

  it.each(INJECTIONS)('refuses every control character in %s', (_, change) => {
    for (const char of CONTROL) {
      const info = { ...INFO, ...change(`${char}Sig: k:v`) };
      expectFormatError(
        /has a control character|is not printable ASCII|is not a hash part|is not an unknown field/,
        () => renderNarInfo(info),
      );
    }
  });

  it.each(['StorePath', 'Sig', 'CA', 'NarHash'])('refuses %s as an unknown field', (key) => {
    const info = { ...INFO, unknownFields: [{ key, value: 'x' }] };
    expectFormatError(`\`${key}\` is not an unknown field`, () => renderNarInfo(info));
  });

  it.each(['', 'Sig: x', 'X: Y'])('refuses an unknown field whose key `%s` would be read as another', (key) => {
    const info = { ...INFO, unknownFields: [{ key, value: 'x' }] };
    expectFormatError('is not an unknown field', () => renderNarInfo(info));
  });

  it('refuses a reference that would be read as two', () => {
    const info = { ...INFO, references: [`/nix/store/${HASH}-a ${HASH}-b`] };
    expectFormatError('is not a hash part', () => renderNarInfo(info));
  });
});

describe('merged signatures', () => {
  it('are those of both, each once, sorted', () => {
    expect(mergeSignatures(['b:1', 'a:1'], ['a:2', 'b:1'])).toEqual(['a:1', 'a:2', 'b:1']);
  });
});

/** With hashes as text, so that `Buffer` and `Uint8Array` compare. */
function comparable({ narHash, fileHash, ...rest }: NarInfo) {
  return { ...rest, narHash: renderHash(narHash), fileHash: fileHash && renderHash(fileHash) };
}
