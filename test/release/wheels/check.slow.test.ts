import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSdist } from '#release/wheels/check-sdist.js';
import { checkWheel } from '#release/wheels/check-wheel.js';
import {
  sdistBytes,
  type TestMember,
  type TestTarMember,
  type TestWheel,
  tarBytes,
  wheelBytes,
  wheelNameOf,
  zipBytes,
} from '../../support/wheels.js';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'carport-test-'));
});
afterAll(() => rm(directory, { recursive: true }));

let files = 0;
const put = async (bytes: Uint8Array) => {
  const path = join(directory, String(files++));
  await writeFile(path, bytes);
  return path;
};
const check = async (wheel: TestWheel, name = wheelNameOf(wheel)) => checkWheel(await put(wheelBytes(wheel)), name);
/** What Info-ZIP calls a file: `x`. */
const SECOND_NAME = Buffer.from('75700600010000000078', 'hex');
const RECORD = 'demo_pkg-1.0rc1.dist-info/RECORD';
const LISTED = (name: string) => (text: string) => text.replace(`${RECORD},,`, `${name},,\n${RECORD},,`);

/** With one more member, which is in no `RECORD`. */
const and = (member: Partial<TestMember> & { readonly name: string }) => ({
  members: (members: readonly TestMember[]) => [...members, { content: 'x', ...member }],
});
/** With one member changed. */
const but = (name: string, change: Partial<TestMember>) => ({
  members: (members: readonly TestMember[]) =>
    members.map((member) => (member.name.endsWith(name) ? { ...member, ...change } : member)),
});

describe('a wheel', () => {
  it.each<[string, TestWheel]>([
    ['as it is built', {}],
    ['with a build tag and sets of tags', { tags: '1a-py2.py3-none-any', ownTags: ['py2-none-any', 'py3-none-any'] }],
    [
      'with a word among its platforms',
      { tags: 'cp310-cp310-manylinux2014_x86_64.nightly', ownTags: ['cp310-cp310-manylinux2014_x86_64'] },
    ],
    ['with a local version', { version: '1.0+cu12.8' }],
    [
      'with odd names',
      {
        files: { 'demo_pkg/ä, "b".py': 'x' },
        record: (text) => text.replace('demo_pkg/ä, "b".py', '"demo_pkg/ä, ""b"".py"'),
        members: (all) => all.map((each) => ({ ...each, flags: 0x800 })),
      },
    ],
    ['with an empty file', { files: { 'demo_pkg/py.typed': '' } }],
    ['with directories', and({ name: 'demo_pkg/', content: '' })],
    ['with a signature of its RECORD', and({ name: `${RECORD}.jws` })],
  ])('passes: %s', async (_, wheel) => {
    const { facts, document } = await check(wheel);
    expect(facts).toMatchObject({ name: 'demo.pkg', version: wheel.version ?? '1.0rc1', requiresPython: '>=3.8' });
    expect(document.toString()).toContain('What it is.');
  });

  it.each<[string, TestWheel, string?]>([
    ['`demo_pkg-1.0rc1.dist-info`, which is of another', {}, 'demo_pkg-1.0-py3-none-any.whl'],
    [
      'of version 1.0 by its `METADATA`',
      but('METADATA', { content: 'Metadata-Version: 2.1\nName: demo.pkg\nVersion: 1.0\n' }),
    ],
    ['of another name or version', {}, 'demo_pkgs-1.0rc1-py3-none-any.whl'],
    ['other tags', { tags: 'py3-none-manylinux2014_x86_64', ownTags: ['py3-none-linux_x86_64'] }],
    ['other tags', { ownTags: ['py2-none-any', 'py3-none-any'] }],
    ['`demo_pkg/x.py` is not in its `RECORD`', and({ name: 'demo_pkg/x.py' })],
    ['`demo_pkg/version.py` has other bytes', but('version.py', { content: 'version = "1.0rc2"\n' })],
    ['`demo_pkg/version.py` has 2 bytes', but('version.py', { content: '#\n' })],
    ['lists `gone.py`, which is not there', { record: LISTED('gone.py') }],
    ['no hash of `demo_pkg/__init__.py`', { record: (text) => text.replace(/(__init__.py),.*/, '$1,,') }],
    ['no hash that counts', { record: (text) => text.replace(/(__init__.py),.*/, '$1,md5=1B2M2Y8AsgTpgAmY7PhCfg,1') }],
    ['`demo_pkg/__init__.py` twice', { record: (text) => `${text}demo_pkg/__init__.py,,\n` }],
    [
      'has no `demo_pkg-1.0rc1.dist-info/WHEEL`',
      { members: (all) => all.filter(({ name }) => !name.endsWith('WHEEL')) },
    ],
    ['may have one', and({ name: 'other-1.dist-info/METADATA' })],
    ['`other-1.data`, which is of another', and({ name: 'other-1.data/scripts/x' })],
    ['absolute name', and({ name: '/etc/passwd' })],
    ['absolute name', and({ name: 'C:/x' })],
    ['leads outside', and({ name: 'a/../../x' })],
    ['`\\` in its name', and({ name: 'a\\..\\x' })],
    ['is not UTF-8', and({ name: 'ä' })],
    ['empty part', and({ name: 'a//x' })],
    ['control character', and({ name: 'a\u0001' })],
    ['a link or a device', and({ name: 'link', mode: 0o120777 })],
    ['encrypted', and({ name: 'demo_pkg/x', flags: 1 })],
    ['packed by method 14', but('version.py', { method: 14 })],
    ['`demo_pkg/version.py` twice', and({ name: 'demo_pkg/version.py' })],
    ['both as a file and as a directory', and({ name: 'demo_pkg/version.py/x' })],
    ['says two things of `demo_pkg/version.py`', but('version.py', { localName: 'demo_pkg/another.py' })],
    ['says two things of `demo_pkg/version.py`', but('version.py', { localCrc: 1 })],
    ['says two things of `demo_pkg/version.py`', but('version.py', { localSize: 5 })],
    ['says two things of `demo_pkg/version.py`', but('version.py', { localExtra: SECOND_NAME })],
    ['behind it, and in its directory', but('version.py', { flags: 8, descriptor: Buffer.alloc(16) })],
    ['lies too deep', and({ name: `${'d/'.repeat(100)}x` })],
    ['`demo_pkg/version.py` has 5 bytes', but('version.py', { size: 5 })],
    ['no sound zip', but('RECORD', { size: 5 })],
    ['made to fill disks', but('version.py', { size: 0xfffffff0 })],
    ['before `demo_pkg/__init__.py`', { bytes: (bytes) => withPrefix(bytes) }],
    ['no sound zip', { bytes: (bytes) => Buffer.concat([bytes, Buffer.from('more')]) }],
    ['no sound zip', { bytes: (bytes) => bytes.subarray(0, bytes.length / 2) }],
    ['no sound zip', { bytes: () => Buffer.from('<html>') }],
    ['no sound zip', { bytes: () => Buffer.alloc(0) }],
  ])('is refused: %s', async (why, wheel, name) => {
    await expect(check(wheel, name)).rejects.toMatchObject({
      code: expect.stringMatching(/^E_(FORMAT|INTEGRITY)$/),
      message: expect.stringContaining(why),
    });
  });

  it('is refused where something is hidden behind its directory', async () => {
    const comment = (bytes: Buffer) => {
      const copy = Buffer.concat([bytes, Buffer.from('more')]);
      copy.writeUInt16LE(4, bytes.length - 2);
      return copy;
    };
    await expect(check({ bytes: comment })).rejects.toThrow('behind its directory, or a comment');
    const inner = zipBytes([{ name: 'a', content: 'b' }]);
    await expect(check({ bytes: (bytes) => Buffer.concat([inner, bytes]) })).rejects.toThrow('no sound zip');
  });
});

/** Something before the archive, whose offsets say so. */
function withPrefix(bytes: Buffer): Buffer {
  const prefix = Buffer.from('#!/bin/sh\nexit\n');
  const copy = Buffer.concat([prefix, bytes]);
  const end = copy.length - 22;
  const start = copy.readUInt32LE(end + 16) + prefix.length;
  copy.writeUInt32LE(start, end + 16);
  for (let at = start; at < end; at += 46 + copy.readUInt16LE(at + 28)) {
    copy.writeUInt32LE(copy.readUInt32LE(at + 42) + prefix.length, at + 42);
  }
  return copy;
}

describe('a source distribution', () => {
  const TOP = 'demo_pkg-1.0rc1';
  const look = async (bytes: Uint8Array, name = `${TOP}.tar.gz`) => checkSdist(await put(bytes), name);

  it('passes, with links that stay inside', async () => {
    const members: readonly TestTarMember[] = [
      { name: `${TOP}/src/`, type: 'directory' },
      { name: `${TOP}/src/link`, type: 'symlink', linkname: '../pyproject.toml' },
      { name: `${TOP}/hard`, type: 'link', linkname: `${TOP}/pyproject.toml` },
    ];
    expect((await look(await sdistBytes(members)))?.facts).toEqual({
      ...{ name: 'Demo-Pkg', version: '1.0rc1', requiresPython: null, metadataSha256: null },
    });
  });

  it('is refused where a member lies below a link, in either order', async () => {
    const link = { name: `${TOP}/top`, type: 'symlink', linkname: '.' } as const;
    const below = { name: `${TOP}/top/x` };
    await expect(look(await sdistBytes([link, below]))).rejects.toThrow('below a link');
    await expect(look(await sdistBytes([below, link]))).rejects.toThrow('both as a directory and as something else');
  });

  it('is told from any other archive', async () => {
    expect(await look(await tarBytes([{ name: `${TOP}/README`, content: 'x' }]))).toBeUndefined();
    expect(await look(await tarBytes([{ name: 'other/PKG-INFO', content: 'x' }]))).toBeUndefined();
    expect(await look(Buffer.from('no archive'))).toBeUndefined();
    expect(await look(gzipSync('no tar'))).toBeUndefined();
  });

  it.each<[string, TestTarMember]>([
    ['beside', { name: 'etc/passwd' }],
    ['absolute name', { name: '/etc/passwd' }],
    ['leads outside', { name: `${TOP}/../../x` }],
    ['leads outside', { name: `${TOP}/a`, type: 'symlink', linkname: '../../x' }],
    ['leads outside', { name: `${TOP}/a`, type: 'symlink', linkname: '/etc/passwd' }],
    ['leads outside', { name: `${TOP}/a`, type: 'link', linkname: 'other/x' }],
    ['a device', { name: `${TOP}/a`, type: 'character-device' }],
    ['twice', { name: `${TOP}/pyproject.toml` }],
    ['does not lead straight', { name: `${TOP}/a`, type: 'symlink', linkname: 'b/../c' }],
  ])('is refused: %s', async (why, member) => {
    await expect(look(await sdistBytes([member]))).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringContaining(why),
    });
  });

  it('is refused where it is of another version, or cut', async () => {
    const bytes = await sdistBytes([], `${TOP}`);
    await expect(look(bytes.subarray(0, bytes.length - 20))).rejects.toThrow('no sound archive');
    const lying = await tarBytes([
      { name: `${TOP}/PKG-INFO`, content: 'Metadata-Version: 2.1\nName: demo_pkg\nVersion: 1.0\n' },
    ]);
    await expect(look(lying)).rejects.toThrow('of version 1.0 by its `PKG-INFO`');
  });
});
