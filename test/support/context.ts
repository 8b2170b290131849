import { Readable, Writable } from 'node:stream';
import type { Context, Output } from '#bin/cli/context.js';

/** A stream that keeps what is written to it. */
type Recorder = Output & { text(): string };

function createRecorder(terminal: { readonly columns: number } | undefined = undefined): Recorder {
  let text = '';
  const stream = new Writable({
    write(bytes: Buffer, _encoding, done) {
      text += bytes.toString();
      done();
    },
  });
  return Object.assign(stream, { text: () => text, ...(terminal && { isTTY: true, ...terminal }) });
}

/** The surroundings of a command, within this process. */
export function fakeContext(env: NodeJS.ProcessEnv = {}, terminal?: { readonly columns: number }) {
  const [stdout, stderr] = [createRecorder(terminal), createRecorder(terminal)];
  return { env, stdin: Readable.from([]), stdout, stderr, cwd: () => process.cwd() } satisfies Context;
}
