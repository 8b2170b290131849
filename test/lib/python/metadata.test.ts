import { describe, expect, it } from 'vitest';
import { parseMetadata, parseWheelInfo, valuesOf, withVersion } from '#lib/python/metadata.js';
import { parseRecord, parseRecordHash, renderRecord } from '#lib/python/record.js';

const bytes = (text: string) => Buffer.from(text);
const HEAD = 'Metadata-Version: 2.1\nName: Demo.Pkg\nVersion: 1.0RC1\n';

describe('core metadata', () => {
  it('is read with fields that go on, fields that come again, and a body', () => {
    const text = `${HEAD}License: a\n        b\n       |c\nClassifier: x\nCLASSIFIER: y\nRequires-Python: >=3.8,<4\n\nVersion: 9\n\nEnd`;
    const { fields, body, requiresPython, name, versionText } = parseMetadata('it', bytes(text));
    expect([name, versionText, requiresPython, body]).toEqual([
      ...['Demo.Pkg', '1.0RC1', '>=3.8,<4'],
      'Version: 9\n\nEnd',
    ]);
    expect(valuesOf(fields, 'license')).toEqual(['a\nb\nc']);
    expect(valuesOf(fields, 'Classifier')).toEqual(['x', 'y']);
    expect(parseMetadata('it', bytes(text.replaceAll('\n', '\r\n'))).requiresPython).toBe('>=3.8,<4');
  });

  it.each([
    ['Name: a\nVersion: 1\n', 'no `Metadata-Version`'],
    [`${HEAD}Version: 2\n`, '`Version` more than once'],
    [HEAD.replace('1.0RC1', 'one'), 'a version that is none'],
    [HEAD.replace('Demo.Pkg', '../a'), 'no project can have'],
    [`${HEAD}no field\n`, 'a line that is no field'],
    [`${HEAD}Requires-Python: >=3\u0008\n`, 'no list of versions'],
  ])('is refused: %j', (text, why) => {
    expect(() => parseMetadata('it', bytes(text))).toThrow(why);
  });

  it('is refused where it is not UTF-8', () => {
    expect(() => parseMetadata('it', Buffer.concat([bytes(HEAD), Buffer.from([0xff])]))).toThrow('not UTF-8');
  });

  it('gets another version, and keeps every other byte', () => {
    const text = `Metadata-Version: 2.1\r\nname: Demo\r\nversion:  1.0rc1\r\nSummary: ä\r\n\r\nVersion: 1.0rc1 was good`;
    expect(withVersion('it', bytes(text), '1.0').toString()).toBe(text.replace('version:  1.0rc1', 'version:  1.0'));
  });

  it('of a wheel has its tags', () => {
    const text = 'Wheel-Version: 1.0\nTag: py3-none-any\nTag: py2-none-any\nBuild: 1\n';
    expect(parseWheelInfo('it', bytes(text))).toEqual({
      ...{ wheelVersion: '1.0', build: '1' },
      tags: ['py2-none-any', 'py3-none-any'],
    });
    expect(() => parseWheelInfo('it', bytes('Wheel-Version: 2.0\nTag: a-b-c\n'))).toThrow('of version 2.0');
    expect(() => parseWheelInfo('it', bytes('Wheel-Version: 1.0\n'))).toThrow('no `Tag`');
  });
});

describe('a RECORD', () => {
  it('is read and written, whatever names have', () => {
    const rows = [
      { path: 'a/b.py', hash: 'sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU', size: '0' },
      { path: 'with, comma "and" quotes\nand more', hash: 'x', size: '1' },
      { path: 'x.dist-info/RECORD', hash: '', size: '' },
    ];
    expect(parseRecord('it', renderRecord(rows))).toEqual(rows);
    expect(parseRecord('it', renderRecord(rows.slice(0, 1)).trimEnd())).toEqual(rows.slice(0, 1));
    expect(parseRecord('it', 'a,b,1\r\n\r\nc,d,2')).toHaveLength(2);
    expect(parseRecord('it', 'a,,')).toEqual([{ path: 'a', hash: '', size: '' }]);
    expect(parseRecord('it', '')).toEqual([]);
  });

  it.each([
    ['a,b\n', '2 columns'],
    ['a,b,1,2\n', '4 columns'],
    ['a,b,1\na,c,2\n', 'lists `a` twice'],
    ['"a,b,1\n', 'no CSV'],
    ['a"b,c,1\n', 'no CSV'],
  ])('is refused: %j', (text, why) => {
    expect(() => parseRecord('it', text)).toThrow(why);
  });

  it('counts no weak hash', () => {
    expect(parseRecordHash('sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')?.algorithm).toBe('sha256');
    for (const hash of ['', 'md5=1B2M2Y8AsgTpgAmY7PhCfg', 'sha256=abc', 'sha1=x'])
      expect(parseRecordHash(hash)).toBeUndefined();
  });
});
