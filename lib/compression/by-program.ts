/** Compressions of older caches, which Nix reads, too: by the programs that everybody has for them. */

import { CarportError } from '../errors.js';
import { filterThrough, ProgramFailure } from '../process/run.js';
import { peek } from './peek.js';

interface Reader {
  readonly program: string;
  readonly arguments: readonly string[];
  /** How each of its files begins: programs guess what others are. */
  readonly mark: readonly number[];
  readonly package: string;
}

/** No file makes xz take more, whatever it says to need; what needs more is refused. */
const MEMORY = '--memlimit-decompress=128MiB';
const XZ = ['--decompress', '--stdout', '--threads=1', MEMORY];

/** By their names in narinfos. */
const READERS = {
  bzip2: { program: 'bzip2', arguments: ['-dc'], mark: [0x42, 0x5a, 0x68], package: 'bzip2' },
  lzma: { program: 'xz', arguments: [...XZ, '--format=lzma'], mark: [], package: 'xz-utils' },
  lzip: { program: 'xz', arguments: [...XZ, '--format=lzip'], mark: [0x4c, 0x5a, 0x49, 0x50], package: 'xz-utils' },
  lz4: { program: 'lz4', arguments: ['-dc'], mark: [0x04, 0x22, 0x4d, 0x18], package: 'lz4' },
  lzop: { program: 'lzop', arguments: ['-dc'], mark: [0x89, 0x4c, 0x5a, 0x4f], package: 'lzop' },
  compress: { program: 'gzip', arguments: ['-dc'], mark: [0x1f, 0x9d], package: 'gzip' },
} as const satisfies Record<string, Reader>;

type ReadByProgram = keyof typeof READERS;

export const READ_BY_PROGRAM = Object.keys(READERS) as readonly ReadByProgram[];

/** Options that a user's environment would add, and the language of what is said. */
const ENVIRONMENT = {
  ...{ BZIP: undefined, BZIP2: undefined, GZIP: undefined, LZOP: undefined, LZ4_CLEVEL: undefined },
  ...{ XZ_OPT: undefined, XZ_DEFAULTS: undefined, LZ4_NBWORKERS: undefined, LC_ALL: 'C' },
};

/** Decompresses with a program; see `decompress`. */
export async function* decompressByProgram(
  compression: ReadByProgram,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const reader: Reader = READERS[compression];
  const { program, arguments: args } = reader;
  try {
    const pieces = await beginningWith(reader.mark, compression, source);
    yield* filterThrough({ program, arguments: args, env: ENVIRONMENT }, pieces);
  } catch (error) {
    throw error instanceof ProgramFailure ? explain(compression, reader, error) : error;
  }
}

/** The source, when its first bytes are the mark. */
async function beginningWith(
  mark: readonly number[],
  compression: string,
  source: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array>> {
  const size = Math.max(1, mark.length);
  const { head, whole } = await peek(source, size);
  if (head.length >= size && mark.every((byte, at) => head[at] === byte)) return whole;
  const why =
    head.length < size
      ? `the ${compression} file is not whole: its end is missing`
      : `the file is not valid ${compression}`;
  // Begun, so that it lets the source go.
  const begun = whole[Symbol.asyncIterator]();
  if (head.length > 0) await begun.next();
  await begun.return?.();
  throw new CarportError('E_INTEGRITY', why);
}

function explain(compression: string, reader: Reader, failure: ProgramFailure): CarportError {
  const { program, package: name } = reader;
  const { stderr, reason } = failure;
  const install = `install ${program} (Debian: ${name}), or pull from a cache with another compression`;
  if (reason === 'not-found') {
    return new CarportError(
      'E_PROGRAM',
      `compression \`${compression}\` needs the program \`${program}\`, which is not on PATH`,
      {
        hint: install,
      },
    );
  }
  if (/unknown file format type|unrecognized option|invalid option/i.test(stderr)) {
    return new CarportError('E_PROGRAM', `the program \`${program}\` is too old for compression \`${compression}\``, {
      cause: failure,
      hint: install,
    });
  }
  if (/memory usage limit/i.test(stderr)) {
    return new CarportError(
      'E_UNSUPPORTED',
      `carport cannot read the ${compression} file: it needs more than 128 MiB of memory`,
      {
        cause: failure,
      },
    );
  }
  // One that could not be started, or that somebody ended, says nothing of the file.
  if (reason !== 'ended' || stderr === '') {
    return new CarportError('E_PROGRAM', `\`${program}\` failed`, { cause: failure });
  }
  return new CarportError('E_INTEGRITY', `the file is not valid ${compression}`, { cause: failure });
}
