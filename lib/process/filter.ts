/** Bytes that go through a program: given as they are taken, so that neither side holds more than a pipe. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ProgramFailure, reasonOf } from './run.js';

export interface Filter {
  readonly program: string;
  readonly arguments: readonly string[];
  /** Added to the environment of this process, or taken away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Characters of what it says on stderr that are kept. */
const STDERR_KEPT = 4 * 1024;

/**
 * What a program makes of bytes. Throws a `ProgramFailure` at the end when it has failed; what the source throws ends it as
 * if there were no more. It is ended when the reader stops.
 */
export async function* filterThrough(
  { program, arguments: args, env }: Filter,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { execa } = await import('execa');
  const running = execa(program, args, { reject: false, buffer: false, encoding: 'buffer', ...(env && { env }) });
  let stderr = '';
  running.stderr.on('data', (bytes: Buffer) => {
    stderr = (stderr + bytes.toString('utf8')).slice(0, STDERR_KEPT);
  });
  // A program that has seen enough closes its input; how it ended tells whether that was right.
  const given = pipeline(Readable.from(source, { objectMode: false }), running.stdin).catch(() => undefined);
  let isDone = false;
  try {
    for await (const bytes of running.stdout) yield bytes as Uint8Array;
    const ended = await running;
    isDone = true;
    if (!ended.failed) return;
    const otherwise =
      ended.cause instanceof Error ? ended.cause.message : `it ended with ${ended.exitCode ?? ended.signal}`;
    throw new ProgramFailure(program, reasonOf(ended), stderr, otherwise);
  } finally {
    if (!isDone) running.kill('SIGKILL');
    running.stdin.destroy();
    // Not awaited: the source may never answer.
    void given;
  }
}
