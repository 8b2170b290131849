/** What is answered without the program: nothing is loaded for it that it does not need. */

import { readFile } from 'node:fs/promises';

/** The output of a command line that asks for carport's own help or version, and for nothing else; `undefined` for others. */
export async function quickAnswer(args: readonly string[]): Promise<string | undefined> {
  const [word = '--help', ...more] = args;
  if (more.length > 0) return undefined;
  if (['--version', '-V'].includes(word)) return `carport ${await readVersion()}\n`;
  return ['--help', '-h', 'help'].includes(word) ? (await import('./root.js')).rootHelp() : undefined;
}

/** The version of this package. */
export async function readVersion(): Promise<string> {
  return (await readManifest()).version;
}

/** What `package.json` says of this program. */
export interface Manifest {
  readonly version: string;
  /** Whoever publishes the program may say where new ones are, and which key signs their index. */
  readonly carport?: { readonly releases?: string; readonly releaseKey?: string };
}

export async function readManifest(): Promise<Manifest> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'));
  return manifest as Manifest;
}
