/** A file, stdin or a pipe, read until nobody wants it. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import { openPipe } from '../../lib/http/pipe.js';
import type { Context } from './context.js';

const READ_SIZE = 256 * 1024;

/**
 * The bytes of a file, or of stdin for `-`, until the signal says that nobody wants them any more. Also of a pipe with a
 * name or of `<(…)`, where nobody may ever write.
 */
export async function openSource(file: string, { stdin }: Context, signal?: AbortSignal): Promise<Readable> {
  const source = file === '-' ? stdin : await openFile(file);
  return signal ? addAbortSignal(signal, source) : source;
}

async function openFile(file: string): Promise<Readable> {
  const stats = await stat(file).catch(() => undefined);
  if (stats?.isFIFO()) return openPipe(file);
  return createReadStream(file, { highWaterMark: READ_SIZE });
}
