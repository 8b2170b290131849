/** The stream of `nix-store --export`. */

import { CarportError, formatError } from '../errors.js';
import { createNarDecoder } from './nar/decode.js';
import { paddedLength, wireNumber, wireString } from './nar/encode.js';
import type { PathInfo } from './path-info.js';
import { baseNameOf, isStorePath } from './store-path.js';

/** What stands between a path's NAR and what is said of it (libstore/export-import.cc). */
const EXPORT_MAGIC = 0x4558494e;

/** Before each path of a stream, and after the last one. */
export const EXPORT_NEXT: Uint8Array = wireNumber(1);
export const EXPORT_END: Uint8Array = wireNumber(0);

/** What an export says of a path: nothing of its NAR's hash and size, which are for the reader to compute. */
export type ExportedInfo = Pick<PathInfo, 'path' | 'references' | 'deriver' | 'signatures'>;

/**
 * What comes after a path's NAR. Signatures stand in the field where Nix once had one, and which it passes over:
 * separated by spaces, or no field when there are none.
 */
export function encodeExportedInfo({ path, references, deriver, signatures }: ExportedInfo): Uint8Array {
  const inOrder = references.toSorted((a, b) => (baseNameOf(a) < baseNameOf(b) ? -1 : 1));
  return Buffer.concat([
    wireNumber(EXPORT_MAGIC),
    text(path),
    wireNumber(references.length),
    ...inOrder.map(text),
    text(deriver ?? ''),
    ...(signatures.length > 0 ? [wireNumber(1), text(signatures.join(' '))] : [wireNumber(0)]),
  ]);
}

function text(value: string): Buffer {
  return wireString(Buffer.from(value, 'latin1'));
}

/** One path of a stream. First its NAR is taken to the end, then what is said of it. */
export interface ExportedPath {
  /** The bytes of the NAR. Its structure is checked, its hash is not. */
  nar(): AsyncGenerator<Uint8Array>;
  info(): Promise<ExportedInfo>;
}

/**
 * The paths of a stream of an untrusted source, as `nix-store --export` writes it. Every path must lie in `storeDir`. Nothing
 * is allocated for a length before its bytes have arrived, and bytes after the end are refused.
 */
export async function* decodeExport(source: AsyncIterable<Uint8Array>, storeDir: string): AsyncGenerator<ExportedPath> {
  const input = createInput(source);
  try {
    for (;;) {
      if (!(await input.next())) break;
      let taken = false;
      yield {
        async *nar() {
          yield* readNar(input);
          taken = true;
        },
        info() {
          if (!taken) throw new Error('the NAR was not taken to its end');
          return readInfo(input, storeDir);
        },
      };
    }
    if (!(await input.atEnd())) throw malformed('has bytes after its end');
  } finally {
    input.close();
  }
}

type Input = ReturnType<typeof createInput>;

async function* readNar(input: Input): AsyncGenerator<Uint8Array> {
  const decoder = createNarDecoder({ mayGoOn: true });
  for (;;) {
    const bytes = await input.some();
    if (bytes === undefined) throw malformed('is truncated');
    for (const _ of decoder.push(bytes));
    const after = decoder.bytesAfterEnd();
    if (after === undefined) yield bytes;
    else {
      input.giveBack(bytes.subarray(bytes.length - after));
      yield bytes.subarray(0, bytes.length - after);
      return;
    }
  }
}

/** Longest texts that are read; a store path's parts have 211 and 32 characters. */
const LIMITS = { path: 4096, signatures: 64 * 1024, references: 2 * 1024 * 1024 } as const;

async function readInfo(input: Input, storeDir: string): Promise<ExportedInfo> {
  if ((await input.number()) !== EXPORT_MAGIC) throw malformed('has something else where a path’s name should be');
  const storePath = async (what: string) => {
    const value = await input.text(LIMITS.path, what);
    if (isStorePath(value, storeDir)) return value;
    throw malformed(`has \`${printable(value)}\` as ${what}, which is no path in \`${storeDir}\``);
  };
  const path = await storePath('the path');
  const references = await readReferences(input, path, () => storePath('a reference'));
  const deriver = await input.text(LIMITS.path, 'the deriver');
  if (deriver !== '' && !isStorePath(deriver, storeDir)) {
    throw malformed(`has \`${printable(deriver)}\` as the deriver, which is no path in \`${storeDir}\``);
  }
  const hasSignatures = await input.number();
  if (hasSignatures > 1) throw malformed(`has ${hasSignatures} where 0 or 1 says whether there is a signature`);
  const signatures = hasSignatures === 1 ? await input.text(LIMITS.signatures, 'the signatures') : '';
  if (/[^\x20-\x7e]/.test(signatures)) throw malformed(`has signatures of \`${path}\` that are not text`);
  return {
    ...{ path, references, signatures: [...new Set(signatures.split(' ').filter((word) => word !== ''))] },
    ...(deriver && { deriver }),
  };
}

async function readReferences(input: Input, path: string, next: () => Promise<string>): Promise<readonly string[]> {
  const references = new Set<string>();
  const count = await input.number();
  for (let size = 0; references.size < count; ) {
    const reference = await next();
    if (references.has(reference)) throw malformed(`names the reference \`${reference}\` of \`${path}\` twice`);
    size += reference.length;
    if (size > LIMITS.references) throw malformed(`has too many references of \`${path}\``);
    references.add(reference);
  }
  return [...references];
}

/** The bytes of a stream that were not yet taken. */
function createRest(source: AsyncIterable<Uint8Array>) {
  const pieces = source[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  const some = async (): Promise<Uint8Array | undefined> => {
    while (rest.length === 0) {
      const { value, done } = await pieces.next();
      if (done) return undefined;
      rest = value;
    }
    const bytes = rest;
    rest = new Uint8Array();
    return bytes;
  };
  const exactly = async (size: number): Promise<Buffer> => {
    const taken: Uint8Array[] = [];
    for (let missing = size; missing > 0; ) {
      const bytes = await some();
      if (bytes === undefined) throw malformed('is truncated');
      taken.push(bytes.subarray(0, missing));
      rest = bytes.subarray(missing);
      missing -= Math.min(missing, bytes.length);
    }
    return Buffer.concat(taken);
  };
  return {
    some,
    exactly,
    giveBack(bytes: Uint8Array) {
      rest = bytes;
    },
    /** Lets the source go. Not awaited: one that does not answer would hold up an error. */
    close(): void {
      pieces.return?.().catch(() => undefined);
    },
  };
}

/** An export's bytes, as numbers and texts. */
function createInput(source: AsyncIterable<Uint8Array>) {
  const { some, exactly, giveBack, close } = createRest(source);
  let begun = false;
  /** Whether a path comes, and not the end. What is no export is seen at its first number. */
  const next = async (): Promise<boolean> => {
    const isFirst = !begun;
    begun = true;
    if (isFirst) {
      const bytes = await some();
      if (bytes === undefined) throw formatError('export', 'is empty', { hint: HINT });
      giveBack(bytes);
    }
    const value = (await exactly(8)).readBigUInt64LE();
    if (value === 0n || value === 1n) return value === 1n;
    if (!isFirst) throw malformed(`has ${value} where a path or the end should be`);
    throw new CarportError('E_FORMAT', 'this is not a `nix-store --export` file', { hint: HINT });
  };
  const number = async (): Promise<number> => {
    const value = Number((await exactly(8)).readBigUInt64LE());
    if (!Number.isSafeInteger(value)) throw malformed('has a number that is larger than any length');
    return value;
  };
  return {
    some,
    next,
    number,
    giveBack,
    close,
    /** A text of one character a byte. */
    async text(limit: number, what: string): Promise<string> {
      const length = await number();
      if (length > limit) throw malformed(`has ${length} bytes for ${what}, over ${limit}`);
      const bytes = await exactly(paddedLength(length));
      if (bytes.subarray(length).some((byte) => byte !== 0)) throw malformed('has non-zero padding');
      return bytes.toString('latin1', 0, length);
    },
    atEnd: async () => {
      const bytes = await some();
      if (bytes !== undefined) giveBack(bytes);
      return bytes === undefined;
    },
  };
}

const HINT =
  'give what `carport export` or `nix-store --export` wrote; decompress it first if need be: `zstd -d < FILE | carport import`';

function printable(value: string): string {
  return value.slice(0, 300).replace(/[^\x20-\x7e]/g, '?');
}

function malformed(why: string): Error {
  return formatError('export', why);
}
