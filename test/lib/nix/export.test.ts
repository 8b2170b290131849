import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { decodeExport, EXPORT_END, EXPORT_NEXT, type ExportedInfo, encodeExportedInfo } from '#lib/nix/export.js';
import { baseNameOf } from '#lib/nix/store-path.js';
import { cuts, cutsOf, narTree, nodePath, pathInfo } from '../../support/arbitraries.js';
import { gather } from '../../support/files.js';
import { FILE_TOKENS, naiveNar, narOf, narString } from '../../support/nar.js';

const NAR = narOf(...FILE_TOKENS);
const PATH = nodePath('a');
const NEXT = number(1n);
const END = number(0n);
const MAGIC = number(0x4558494en);
const WHOLE = Buffer.concat([NEXT, NAR, told({})]);

/** A number as the stream has it. */
function number(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

interface Told {
  readonly magic?: Uint8Array;
  readonly path?: string;
  readonly references?: readonly string[];
  readonly count?: bigint;
  readonly deriver?: string;
  readonly signature?: readonly Uint8Array[];
}

/** What is said of a path after its NAR, written anew from the format, with what a test wants otherwise. */
function told({ magic = MAGIC, path = PATH, references = [], count, deriver = '', signature = [END] }: Told): Buffer {
  return Buffer.concat([
    ...[magic, narString(path), number(count ?? BigInt(references.length)), ...references.map(narString)],
    ...[narString(deriver), ...signature],
  ]);
}

interface Decoded {
  readonly nar: Buffer;
  readonly info: ExportedInfo;
}

async function decode(pieces: readonly Uint8Array[], storeDir = '/nix/store'): Promise<readonly Decoded[]> {
  async function* source() {
    yield* pieces;
  }
  const paths: Decoded[] = [];
  for await (const path of decodeExport(source(), storeDir)) {
    paths.push({ nar: await gather(path.nar()), info: await path.info() });
  }
  return paths;
}

async function expectRefused(reason: RegExp, ...pieces: readonly Uint8Array[]): Promise<void> {
  const error = await decode(pieces).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error, 'nothing was thrown').toBeInstanceOf(CarportError);
  expect((error as CarportError).code).toBe('E_FORMAT');
  expect((error as CarportError).message).toMatch(reason);
}

describe('an export', () => {
  const signature = fc.stringMatching(/^[a-z.-]{1,10}:[A-Za-z0-9+/]{1,86}=?=?$/);
  const exported = fc.record({
    tree: narTree(),
    info: pathInfo(),
    signatures: fc.uniqueArray(signature, { maxLength: 3 }),
  });

  it('is read as it was written, wherever it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(exported, { maxLength: 4 }), cuts(), async (paths, places) => {
        const given = paths.map(({ tree, info, signatures }) => ({
          nar: naiveNar(tree),
          info: { ...info, signatures },
        }));
        const parts = given.flatMap(({ nar, info }) => [EXPORT_NEXT, nar, encodeExportedInfo(info)]);
        const decoded = await decode(cutsOf(Buffer.concat([...parts, EXPORT_END]), places));
        expect(decoded.map(({ nar }) => nar)).toEqual(given.map(({ nar }) => nar));
        expect(decoded.map(({ info }) => info)).toEqual(
          given.map(({ info: { path, references, deriver, signatures } }) => ({
            ...{ path, signatures },
            references: references.toSorted((a, b) => (baseNameOf(a) < baseNameOf(b) ? -1 : 1)),
            ...(deriver !== undefined && { deriver }),
          })),
        );
      }),
    );
  });

  it('is written as the format says', () => {
    const references = [nodePath('c'), nodePath('b')];
    const info = { path: PATH, references, deriver: nodePath('a.drv'), signatures: [] };
    const expected = told({ references: references.toReversed(), deriver: nodePath('a.drv') });
    expect(Buffer.from(encodeExportedInfo(info)).equals(expected)).toBe(true);
    const signed = told({ signature: [NEXT, narString('k-1:AAAA k-2:BBBB')] });
    const signatures = ['k-1:AAAA', 'k-2:BBBB'];
    expect(Buffer.from(encodeExportedInfo({ path: PATH, references: [], signatures })).equals(signed)).toBe(true);
    expect([EXPORT_NEXT, EXPORT_END]).toEqual([NEXT, END]);
  });

  it('of nothing is read as nothing', async () => {
    expect(await decode([END])).toEqual([]);
  });

  it('has signatures with spaces between them, however many', async () => {
    const [path] = await decode([NEXT, NAR, told({ signature: [NEXT, narString('  a:b  c:d a:b ')] }), END]);
    expect(path!.info.signatures).toEqual(['a:b', 'c:d']);
  });

  it('may be for another store dir, and then for no other', async () => {
    const path = `/gnu/store/${'0'.repeat(32)}-a`;
    const stream = [NEXT, NAR, told({ path }), END];
    expect((await decode(stream, '/gnu/store')).map(({ info }) => info.path)).toEqual([path]);
    await expectRefused(/is no path in `\/nix\/store`/, ...stream);
  });
});

describe('the reader of exports refuses', () => {
  it('a stream that is cut at any byte', async () => {
    const stream = Buffer.concat([WHOLE, NEXT, NAR, told({ path: nodePath('b'), references: [PATH] }), END]);
    expect(await decode([stream])).toHaveLength(2);
    for (let size = 1; size < stream.length; size++) await expectRefused(/is truncated/, stream.subarray(0, size));
    await expectRefused(/is empty/);
    await expectRefused(/is empty/, new Uint8Array());
  });

  it('any byte after the end, in the same piece or a later one', async () => {
    for (const extra of [Buffer.of(0), END, WHOLE]) {
      await expectRefused(/has bytes after its end/, Buffer.concat([WHOLE, END, extra]));
      await expectRefused(/has bytes after its end/, WHOLE, END, new Uint8Array(), extra);
    }
    expect(await decode([WHOLE, END, new Uint8Array()])).toHaveLength(1);
  });

  it.each([
    ['a NAR', NAR, /is not a `nix-store --export` file/],
    ['text', Buffer.from('Not an export at all.\n'), /is not a `nix-store --export` file/],
    ['zeros and more', Buffer.alloc(16), /bytes after its end/],
    ['2', number(2n), /is not a `nix-store --export` file/],
    ['2^64-1', number(2n ** 64n - 1n), /is not a `nix-store --export` file/],
    ['a path, and goes on with 2', Buffer.concat([WHOLE, number(2n)]), /has 2 where a path or the end should be/],
  ])('what begins with %s', async (_, bytes, reason) => {
    await expectRefused(reason, bytes);
  });

  const streamOf = (parts: Told) => Buffer.concat([NEXT, NAR, told(parts), END]);
  const injected = `${PATH}\nSig: a:b`;
  it.each([
    ['another magic', streamOf({ magic: number(0x4558494fn) }), /something else where/],
    ['a path of another store dir', streamOf({ path: '/gnu/store/0-a' }), /no path in/],
    ['a path that climbs', streamOf({ path: `/nix/store/../${'0'.repeat(32)}-a` }), /no path in/],
    ['a path below a path', streamOf({ path: `${PATH}/b` }), /no path in/],
    ['a path with a line of a narinfo', streamOf({ path: injected }), /`[^\n]*\?Sig: a:b` as the path/],
    ['a path with NUL', streamOf({ path: `${PATH}\0` }), /no path in/],
    ['an empty path', streamOf({ path: '' }), /no path in/],
    ['a path of 5000 bytes', streamOf({ path: `${PATH}${'a'.repeat(5000)}` }), /over 4096/],
    ['a path of 2^40 bytes', Buffer.concat([NEXT, NAR, MAGIC, number(2n ** 40n)]), /for the path, over/],
    ['a path of 2^63 bytes', Buffer.concat([NEXT, NAR, MAGIC, number(2n ** 63n)]), /larger than any length/],
    ['a reference that is none', streamOf({ references: ['/etc/passwd'] }), /as a reference/],
    ['a reference with a line of a narinfo', streamOf({ references: [injected] }), /as a reference/],
    ['a reference twice', streamOf({ references: [PATH, PATH] }), /twice/],
    ['more references than there are', streamOf({ references: [PATH], count: 2n }), /as a reference|truncated/],
    ['2^50 references', streamOf({ count: 2n ** 50n }), /as a reference|truncated/],
    ['a deriver that is none', streamOf({ deriver: 'unknown-deriver' }), /as the deriver/],
    ['a deriver with a line of a narinfo', streamOf({ deriver: injected }), /as the deriver/],
    ['2 where there is a signature or not', streamOf({ signature: [number(2n)] }), /has 2 where 0 or 1/],
    ['a signature with a line of a narinfo', streamOf({ signature: [NEXT, narString('a:b\nCA: x')] }), /not text/],
    ['a signature of 100 kB', streamOf({ signature: [NEXT, narString('s'.repeat(100_000))] }), /over 65536/],
    ['padding that is not zero', streamOf({ signature: [NEXT, padded('a:b')] }), /non-zero padding/],
  ])('%s', async (_, stream, reason) => {
    await expectRefused(reason, stream);
  });

  it('more references than a store can keep, before they are all there', async () => {
    const references = Array.from({ length: 40_000 }, (_, index) => nodePath(`${index}-${'x'.repeat(30)}`));
    await expectRefused(/too many references/, streamOf({ references, count: 2n ** 40n }));
  });

  it('a NAR that is none', async () => {
    await expectRefused(/NAR: /, NEXT, narOf('(', 'type', 'device', ')'), told({}), END);
  });

  function padded(text: string): Buffer {
    const bytes = narString(text);
    bytes[bytes.length - 1] = 1;
    return bytes;
  }
});
