import fc from 'fast-check';
import { NIX32_ALPHABET } from '#lib/nix/base32.js';
import { HASH_ALGORITHMS, type Hash, hashBytes } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import type { Tree } from './nar.js';

/** Text of the given characters. */
export function textOf(characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
}

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export const hashPart = (): fc.Arbitrary<string> => textOf(NIX32_ALPHABET, 32, 32);

export const storePathName = (): fc.Arbitrary<string> =>
  textOf(`${ALPHANUMERIC}+-._?=`, 1, 40).filter((name) => !/^\.\.?(-|$)/.test(name));

export const storePath = (storeDir = '/nix/store'): fc.Arbitrary<string> =>
  fc.tuple(hashPart(), storePathName()).map(([hash, name]) => `${storeDir}/${hash}-${name}`);

export const hash = (...algorithms: readonly (typeof HASH_ALGORITHMS)[number][]): fc.Arbitrary<Hash> =>
  fc
    .tuple(fc.constantFrom(...(algorithms.length > 0 ? algorithms : HASH_ALGORITHMS)), fc.uint8Array({ maxLength: 9 }))
    .map(([algorithm, bytes]) => hashBytes(algorithm, bytes));

export const printable = (minLength = 0, maxLength = 30): fc.Arbitrary<string> =>
  fc.string({
    unit: fc
      .integer({ min: 32, max: 255 })
      .filter((code) => code !== 127)
      .map(toChar),
    minLength,
    maxLength,
  });

/** What a known field of a narinfo may hold. */
const ascii = (): fc.Arbitrary<string> => printable(1).map((text) => text.replace(/[^ -~]/g, '~'));

/** Text of one character a byte, whichever bytes. */
export const byteString = (maxLength = 30): fc.Arbitrary<string> =>
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(toChar), maxLength });

export const pathInfo = (): fc.Arbitrary<PathInfo> =>
  fc
    .record({
      path: storePath(),
      narHash: hash('sha256'),
      narSize: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      references: fc.uniqueArray(storePath(), { maxLength: 5 }),
      deriver: optional(storePath().map((path) => `${path}.drv`)),
      signatures: fc.array(ascii(), { maxLength: 3 }),
      ca: optional(hash().map((value) => `fixed:${value.algorithm}`)),
    })
    .map(withoutUndefined);

/** Narinfos that rendering and parsing must keep; unknown fields stand after a field that is there. */
export const narInfo = (): fc.Arbitrary<NarInfo> =>
  fc
    .record({
      info: pathInfo(),
      url: ascii(),
      compression: ascii(),
      fileHash: optional(hash('sha256')),
      fileSize: optional(fc.integer({ min: 1 })),
      unknownFields: fc.array(
        fc.record({
          // A letter that begins no field of Nix's.
          key: textOf(ALPHANUMERIC, 0, 8).map((text) => `X${text}`),
          value: printable(),
          after: fc.constantFrom(undefined, 'StorePath', 'URL', 'Compression', 'NarHash', 'NarSize', 'References'),
        }),
        { maxLength: 4 },
      ),
    })
    .map(({ info, unknownFields, ...rest }) => ({
      ...info,
      ...withoutUndefined(rest),
      unknownFields: inOrder(unknownFields.map((field) => withoutUndefined(field))),
    })) as fc.Arbitrary<NarInfo>;

const entryName = (): fc.Arbitrary<string> =>
  fc
    .oneof(byteString(12), fc.constantFrom('a', 'a-', 'a.', 'A', 'a\x7f', '__proto__', '10', '9', '\xff', '\xc3\xa9'))
    .map((text) => text.replace(/[/\0]/g, '_'))
    .filter((name) => name !== '' && name !== '.' && name !== '..');

/** Small trees of any shape; `utf8` keeps names and targets within ASCII. */
export function narTree({ ascii = false } = {}): fc.Arbitrary<Tree> {
  const name = ascii ? textOf('ab-.AZ~10_', 1, 4).filter((text) => text !== '.' && text !== '..') : entryName();
  const target = ascii ? textOf('ab/..', 1, 20) : byteString(40).map((text) => `t${text.replaceAll('\0', '_')}`);
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.record({
        type: fc.constant('regular' as const),
        executable: fc.boolean(),
        contents: fc.uint8Array({ maxLength: 40 }),
      }),
      fc.record({ type: fc.constant('symlink' as const), target }),
      fc.record({
        type: fc.constant('directory' as const),
        entries: fc
          .uniqueArray(fc.tuple(name, tie('tree')), { selector: ([text]) => text, maxLength: 6 })
          .map((entries) => new Map(entries)),
      }),
    ),
  }));
  return tree;
}

/** Cuts bytes at arbitrary places, also into empty pieces. */
export function cutsOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b);
  return [0, ...places].map((start, index) => Uint8Array.from(bytes.subarray(start, places[index] ?? bytes.length)));
}

/** Places to cut at, as parts of the whole. */
export const cuts = (): fc.Arbitrary<number[]> =>
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

/** A graph without circles: nodes refer to nodes of lower numbers, some to themselves and some outside. */
export const acyclicGraph = (maxSize = 12): fc.Arbitrary<Map<string, PathInfo>> =>
  fc
    .array(
      fc.tuple(fc.integer({ min: 1, max: 100 }), fc.array(fc.nat(1000), { maxLength: 4 }), fc.boolean(), fc.nat()),
      {
        minLength: 1,
        maxLength: maxSize,
      },
    )
    .map((nodes) => {
      // The order of paths must not be the order of references.
      const names = nodes.map(([, , , salt], id) => nodePath(`${(salt * 7919) % 97}-${id}`));
      return new Map(
        nodes.map(([narSize, picks, toSelf], id) => {
          const references = new Set(id === 0 ? [] : picks.map((pick) => names[pick % id]!));
          if (toSelf) references.add(names[id]!);
          if (narSize % 5 === 0) references.add(nodePath('outside'));
          return [names[id]!, node(names[id]!, narSize, [...references])];
        }),
      );
    });

export function nodePath(label: string): string {
  return `/nix/store/${'0'.repeat(32)}-${label}`;
}

export function node(path: string, narSize: number, references: readonly string[]): PathInfo {
  return { path, narSize, references, narHash: hashBytes('sha256', path), signatures: [] };
}

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function withoutUndefined<T extends object>(record: T): Defined<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/** Unknown fields as the parser meets them: by the field that they follow. */
function inOrder<T extends { after?: string }>(fields: readonly T[]): T[] {
  const order = [undefined, 'StorePath', 'URL', 'Compression', 'NarHash', 'NarSize', 'References'];
  return [...fields].sort((a, b) => order.indexOf(a.after) - order.indexOf(b.after));
}

function toChar(code: number): string {
  return String.fromCharCode(code);
}
