import type { Readable, Writable } from 'node:stream';

/** A stream for output, which may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What a command may touch of the process that runs it. */
export interface Context {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Readable;
  /** Data. */
  readonly stdout: Output;
  /** Words for people. */
  readonly stderr: Output;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: number;
}

/** Writes to a stream, and waits until it can take more. */
export async function write(output: Output, data: string | Uint8Array): Promise<void> {
  if (!output.write(data)) await new Promise((resolve) => output.once('drain', resolve));
}

/** Writes one a line. */
export async function writeLines(output: Output, lines: Iterable<string>): Promise<void> {
  await write(output, [...lines].map((line) => `${line}\n`).join(''));
}

/** Writes one JSON document, with the version of its shape. */
export async function writeJson(output: Output, value: object): Promise<void> {
  await write(output, `${JSON.stringify({ version: 1, ...value }, undefined, 2)}\n`);
}

/** Says something to people, unless they asked for quiet. */
export async function note(context: Context, options: CommonOptions, message: string): Promise<void> {
  if (!options.quiet) await write(context.stderr, `${message}\n`);
}
