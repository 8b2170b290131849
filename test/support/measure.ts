import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('./measure.mjs', import.meta.url));

/** What a program needed; sizes are bytes. */
export interface Measured {
  /** The longest time that the main thread kept its event loop from coming round, some 10 ms included. */
  readonly maxBlockedMs: number;
  /** The same with the time that the thread did not get a processor. */
  readonly maxDelayMs: number;
  /** Resident memory of all threads, at its peak. */
  readonly maxRss: number;
}

/** The environment in which Node measures what a program needs, and writes it to a file. */
export function measuring(file: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${MODULE}`, CARPORT_TEST_MEASURE: file };
}

export async function readMeasured(file: string): Promise<Measured> {
  return JSON.parse(await readFile(file, 'utf8')) as Measured;
}
