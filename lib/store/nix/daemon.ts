/**
 * Asks and tells Nix what its command line has no word for: realisations by their ids. `nix-daemon --stdio` speaks the
 * protocol of Nix's workers for the store that the environment names, whether a daemon has it or not.
 */

import { CarportError, formatError } from '../../errors.js';
import { parseRealisation, type Realisation, renderRealisation } from '../../nix/realisation.js';
import { type Filter, filterThrough, ProgramFailure } from '../../process/run.js';
import { withPlacesOfNix } from './program.js';

/** libstore/worker-protocol.hh. */
const CLIENT_MAGIC = 0x6e697863;
const SERVER_MAGIC = 0x6478696f;
/** 1.32: realisations are JSON (1.31 on), and the greeting is still short (before 1.33). */
const PROTOCOL = 0x120;
const REGISTER_REALISATION = 42;
const QUERY_REALISATION = 43;
/** Kinds of messages before an answer. */
const LAST = 0x616c7473;
const ERROR = 0x63787470;
const LOG_LINE = 0x6f6c6d67;

/** Bytes of answers that are taken: a realisation has some hundred. */
const ANSWER_LIMIT = 1024 * 1024 * 1024;

/** Those realisations of the ids that Nix's store has. Without a `nix-daemon`, none. */
export async function queryNixRealisations(
  ids: readonly string[],
  storeDir: string,
  env: NodeJS.ProcessEnv,
): Promise<readonly Realisation[]> {
  const operations = ids.map((id) => [integer(QUERY_REALISATION), string(id)]);
  const answers = await exchange(operations, env, (answer) =>
    Array.from({ length: answer.integer() }, () => parseRealisation(answer.string(), storeDir)),
  );
  return answers?.flat() ?? [];
}

/** Has Nix register realisations of paths that its store has; `false` where there is no `nix-daemon`. */
export async function registerNixRealisations(
  realisations: readonly Realisation[],
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  const operations = realisations.map((each) => [integer(REGISTER_REALISATION), string(renderRealisation(each))]);
  return (await exchange(operations, env, () => undefined)) !== undefined;
}

/** Sends operations all at once, and reads the answer of each; `undefined` where there is no `nix-daemon`. */
async function exchange<T>(
  operations: readonly (readonly Buffer[])[],
  env: NodeJS.ProcessEnv,
  read: (answer: Answer) => T,
): Promise<readonly T[] | undefined> {
  // After the version: no processor to run on, no space to reserve.
  const greeting = [integer(CLIENT_MAGIC), integer(PROTOCOL), integer(0), integer(0)];
  const input = Buffer.concat([...greeting, ...operations.flat()]);
  const ask = (program: NixDaemon) =>
    converse({ ...program, env: withPlacesOfNix(env) }, input, (bytes) => readAnswers(bytes, operations.length, read));
  try {
    return await ask(DAEMON).catch((error: unknown) => {
      if (!(error instanceof ProgramFailure) || !error.stderr.includes('splicing data')) throw error;
      return ask(BETWEEN_PIPES);
    });
  } catch (cause) {
    if (!(cause instanceof ProgramFailure)) throw cause;
    if (cause.reason === 'not-found') return undefined;
    throw new CarportError('E_PROGRAM', '`nix-daemon --stdio` failed', { cause, hint: 'check that Nix works by hand' });
  }
}

type NixDaemon = Pick<Filter, 'program' | 'arguments'>;

const FLAGS = ['--stdio', '--extra-experimental-features', 'ca-derivations'];

const DAEMON: NixDaemon = { program: 'nix-daemon', arguments: FLAGS };

/** Nix 2.8 hands on between a daemon and pipes, and what this process has for its children are sockets. */
const BETWEEN_PIPES: NixDaemon = {
  program: 'sh',
  // The first would wait for more when the second is gone.
  arguments: ['-c', 'cat | { nix-daemon "$@"; kill $$; } | cat', 'sh', ...FLAGS],
};

/** Sends bytes to a program, and gives what it answers; how it ends after that does not matter. */
async function converse<T>(program: Filter, bytes: Buffer, read: (answer: Buffer) => T | undefined): Promise<T> {
  // Where its input ends Nix stops what it does.
  let endInput = () => {};
  const isAllRead = new Promise<void>((resolve) => {
    endInput = resolve;
  });
  async function* input(): AsyncGenerator<Buffer> {
    yield bytes;
    await isAllRead;
  }
  let answer = Buffer.alloc(0);
  let whole: T | undefined;
  try {
    for await (const piece of filterThrough({ ...program, extendEnv: false }, input())) {
      answer = Buffer.concat([answer, piece]);
      if (answer.length > ANSWER_LIMIT) throw formatError(WHAT, 'does not end');
      whole ??= read(answer);
      if (whole !== undefined) endInput();
    }
  } catch (error) {
    if (whole === undefined || !(error instanceof ProgramFailure)) throw error;
  } finally {
    endInput();
  }
  if (whole === undefined) throw formatError(WHAT, 'ends too early');
  return whole;
}

/** What was answered to a number of operations, when it is all there. */
function readAnswers<T>(bytes: Buffer, count: number, read: (answer: Answer) => T): readonly T[] | undefined {
  const answer = createAnswer(bytes);
  try {
    if (answer.integer() !== SERVER_MAGIC) throw formatError(WHAT, 'is none');
    answer.integer();
    answer.end();
    return Array.from({ length: count }, () => {
      answer.end();
      return read(answer);
    });
  } catch (error) {
    if (error === MORE) return undefined;
    throw error;
  }
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** A length, the bytes, and zeros up to a multiple of 8. */
function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([integer(bytes.length), bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}

const WHAT = 'the answer of `nix-daemon`';

/** Thrown where an answer is not all there yet. */
const MORE = new Error('the answer goes on');

type Answer = ReturnType<typeof createAnswer>;

function createAnswer(bytes: Buffer) {
  let position = 0;
  const take = (size: number): Buffer => {
    if (size > bytes.length - position) throw MORE;
    position += size;
    return bytes.subarray(position - size, position);
  };
  const nextInteger = (): number => Number(take(8).readBigUInt64LE());
  const nextString = (): string => {
    const size = nextInteger();
    const text = take(size).toString('utf8');
    take((8 - (size % 8)) % 8);
    return text;
  };
  return {
    integer: nextInteger,
    string: nextString,
    /** Reads on to the end of an operation; throws what Nix says where it has failed. */
    end(): void {
      let kind = nextInteger();
      for (; kind === LOG_LINE; kind = nextInteger()) nextString();
      if (kind === LAST) return;
      if (kind !== ERROR) throw formatError(WHAT, `has the message ${kind}, which is not expected`);
      // Its type, its level, its name.
      nextString();
      nextInteger();
      nextString();
      const said = nextString().replace(/\x1b\[[0-9;]*m/g, '');
      throw new CarportError('E_PROGRAM', 'Nix refuses what it is asked of realisations', { cause: new Error(said) });
    },
  };
}
