import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashBytes } from '#lib/nix/hash.js';
import { renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { renderPublicKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import { nodePath } from '../support/arbitraries.js';
import { directoryTokens, entryTokens, FILE_TOKENS, narOf, narString, nestedTokens } from '../support/nar.js';
import { sampleKey } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { createTransfers, type Transfers } from '../support/transfers.js';

const directory = (...tokens: readonly string[]) => narOf('(', 'type', 'directory', ...tokens, ')');
const linkTo = (target: string) => ['(', 'type', 'symlink', 'target', target, ')'];
const hugeLength = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};
const begin = (...tokens: readonly string[]) => [narString('nix-archive-1'), ...tokens.map(narString)];

/** What must be refused, and a word of the reason that is given. */
const HOSTILE: Readonly<Record<string, readonly [nar: Buffer, reason: RegExp]>> = {
  'a name that is ..': [narOf(...directoryTokens('..')), /name/],
  'a name that is .': [narOf(...directoryTokens('.')), /name/],
  'an empty name': [narOf(...directoryTokens('')), /name/],
  'a name with a slash': [narOf(...directoryTokens('a/b')), /name/],
  'an absolute name': [narOf(...directoryTokens('/etc/passwd')), /name/],
  'a name that climbs': [narOf(...directoryTokens('../../outside')), /name/],
  'a name with NUL': [narOf(...directoryTokens('a\0b')), /name|NUL/],
  'a name of 256 bytes': [narOf(...directoryTokens('n'.repeat(256))), /name|bytes/],
  'the same name twice': [narOf(...directoryTokens('a', 'a')), /twice/],
  'names that are not sorted': [narOf(...directoryTokens('b', 'a')), /sorted/],
  'a symlink and then a directory of its name, to write through': [
    directory(...entryTokens('x', linkTo('../outside')), ...entryTokens('x', directoryTokens('planted'))),
    /twice/,
  ],
  'a symlink with NUL in its target': [narOf(...linkTo('a\0b')), /target|NUL/],
  'a symlink to nothing': [narOf(...linkTo('')), /target|empty/],
  'a symlink of 4096 bytes': [narOf(...linkTo('t'.repeat(4096))), /target|bytes/],
  '64 directories within each other': [narOf(...nestedTokens(64)), /deep|nested|depth/],
  '10,000 directories within each other': [narOf(...nestedTokens(10_000)), /deep|nested|depth/],
  'a name that claims 2^63 bytes': [
    Buffer.concat([...begin('(', 'type', 'directory', 'entry', '(', 'name'), hugeLength(2n ** 63n)]),
    /name|bytes|long|large/,
  ],
  'a file that claims 2^64-1 bytes': [
    Buffer.concat([...begin('(', 'type', 'regular', 'contents'), hugeLength(2n ** 64n - 1n)]),
    /truncated|large|bytes/,
  ],
  'a file that claims a terabyte': [
    Buffer.concat([...begin('(', 'type', 'regular', 'contents'), hugeLength(2n ** 40n), Buffer.alloc(100)]),
    /truncated/,
  ],
  'bytes after its end': [Buffer.concat([narOf(...FILE_TOKENS), Buffer.alloc(8)]), /after its end/],
  'another NAR after its end': [Buffer.concat([narOf(...FILE_TOKENS), narOf(...FILE_TOKENS)]), /after its end/],
  'padding that is not zero': [Buffer.concat([narOf(...FILE_TOKENS).subarray(0, -1), Buffer.of(1)]), /padding/],
  'a type that is not one': [narOf('(', 'type', 'device', ')'), /type|device/],
  'fields in the wrong order': [narOf('(', 'type', 'regular', 'contents', 'x', 'executable', '', ')'), /./],
  'no end': [narOf(...FILE_TOKENS.slice(0, -1)), /truncated/],
  'nothing in it': [Buffer.alloc(0), /truncated|empty/],
  'other bytes': [Buffer.from('PK\x03\x04 this is no NAR at all, but a zip file'), /./],
};
const CASES = Object.entries(HOSTILE).map(([title, [nar, reason]]) => [title, nar, reason] as const);

describe('a NAR with', () => {
  const box = useSandbox();
  beforeEach(async () => {
    await mkdir(box().path('work/here'));
    await mkdir(box().path('work/outside'));
  });

  it.each(CASES)('%s is refused, and nothing is written', async (_, nar, reason) => {
    for (const from of ['-', 'hostile.nar']) {
      if (from !== '-') await writeFile(box().path('work', from), nar);
      const ran = await box().carport(['nar', 'unpack', from, 'here/dest'], { input: from === '-' ? nar : '' });
      expect([ran.exitCode, ran.stdout]).toEqual([6, '']);
      expect(ran.stderr).toMatch(/^error\[E_FORMAT\]: /);
      expect(ran.stderr.split('\n')[0]).toMatch(reason);
      expect(await readdir(box().path('work/here'))).toEqual([]);
      expect(await readdir(box().path('work/outside'))).toEqual([]);
    }
    expect((await readdir(box().path('work'))).sort()).toEqual(['here', 'hostile.nar', 'outside']);
  });
});

describe('nar unpack', () => {
  const box = useSandbox();

  it('keeps symlinks as they are, wherever they lead, and writes nothing through them', async () => {
    await mkdir(box().path('work/outside'));
    const nar = directory(
      ...entryTokens('evil', linkTo('../outside')),
      ...entryTokens('evil2', directoryTokens('planted')),
    );
    await box().succeed(['nar', 'unpack', '-', 'dest'], { input: nar });
    expect(await readdir(box().path('work/outside'))).toEqual([]);
    expect(await readdir(box().path('work/dest/evil2'))).toEqual(['planted']);
  });

  it.each(['a file', 'a directory', 'a link', 'a dangling link'])('does not write over %s', async (kind) => {
    const target = box().path('work/target');
    await mkdir(box().path('work/elsewhere'));
    if (kind === 'a file') await writeFile(target, 'precious');
    else if (kind === 'a directory') await mkdir(target);
    else await symlink(kind === 'a link' ? 'elsewhere' : 'nowhere', target);
    const { exitCode, stderr } = await box().carport(['nar', 'unpack', '-', 'target'], {
      input: narOf(...FILE_TOKENS),
    });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('is there already');
    if (kind === 'a file') expect(await readFile(target, 'utf8')).toBe('precious');
    expect((await readdir(box().path('work'))).sort()).toEqual(['elsewhere', 'target']);
  });

  it('lists hostile names without letting them drive a terminal, and refuses what it would not unpack', async () => {
    const name = 'a\x1b[2Jb';
    const { stdout } = await box().succeed(['nar', 'ls', '-'], { input: narOf(...directoryTokens(name)) });
    // Not a terminal: the bytes are kept for scripts.
    expect(stdout).toContain(name);
    const ls = await box().carport(['nar', 'ls', '-'], { input: narOf(...directoryTokens('..')) });
    expect(ls.exitCode).toBe(6);
  });
});

describe('a hostile NAR in a cache, signed by a trusted key all the same,', () => {
  const box = useSandbox('all');
  const key = sampleKey('test-1');
  let transfers: Transfers;
  beforeAll(async () => {
    transfers = createTransfers();
    await mkdir(box().path('cache/nar'), { recursive: true });
    await writeFile(box().path('cache/nix-cache-info'), 'StoreDir: /nix/store\n');
  });
  afterAll(() => transfers.close());

  const plant = async (nar: Buffer): Promise<string> => {
    const path = nodePath('hostile');
    const info = { path, narHash: hashBytes('sha256', nar), narSize: nar.length || 1, references: [], signatures: [] };
    const narInfo = { ...info, url: 'nar/hostile.nar', compression: 'none', unknownFields: [] };
    const signed = { ...narInfo, signatures: [signPath(info, key)] };
    await writeFile(box().path('cache/nar/hostile.nar'), nar);
    await writeFile(box().path('cache', `${hashPartOf(path)}.narinfo`), renderNarInfo(signed));
    return path;
  };

  it.each(CASES)('%s is refused, and nothing is left', async (title, nar) => {
    const path = await plant(nar);
    const store = box().path('store');
    const pull = transfers.pull({ caches: [box().path('cache')], store, roots: [path], keys: [key.publicKey] });
    await expect(pull, title).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect(await readdir(`${store}/nix/store`)).toEqual([]);
    expect(await readdir(`${store}/nix/var/carport/info`)).toEqual([]);
    expect((await readdir(box().root)).sort()).toEqual([...['bin', 'cache', 'home', 'store', 'tmp', 'work']]);
  });

  it('gives the reason on the command line', async () => {
    const path = await plant(narOf(...directoryTokens('../x')));
    const args = ['pull', path, '--from', box().path('cache'), '--trusted-key', renderPublicKey(key.publicKey)];
    const { exitCode, stderr } = await box().carport(args);
    expect(exitCode).toBe(6);
    expect(stderr).toMatch(/because .*name/);
  });
});
