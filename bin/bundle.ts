/**
 * The program as `tools/bundle.ts` puts it together: few scripts, and beside each what V8 has made of that when it was built.
 * Reading both takes a tenth of the time that hundreds of modules take.
 */

import { type BundledScript, loadBundled } from '../lib/workers/bundled/script.js';

/** What scripts export. */
interface Exports {
  /** Whose module loads this one. */
  readonly start: object;
  readonly main: typeof import('./main.js');
  readonly early: typeof import('./push/early.js');
}

/** A script, as it has run. */
export type Bundle<N extends keyof Exports> = BundledScript & { readonly exports: Exports[N] };

const DIRECTORY = new URL('../bundle/', import.meta.url);
const COMPILED = new URL('../.tsbuildinfo', import.meta.url);

/** Has V8 run as it is to for programs of seconds. What it makes of a script counts for the same flags only: `early` runs without. */
export function tuneEngine(): void {
  // V8 optimises early, on threads beside ours: in a run of seconds that is a fifth of the processor time for nothing. Later
  // versions than that of Node 20 do not know the flag, and would say so on stderr.
  if (!process.versions.v8.startsWith('11.')) return;
  // This module of Node takes as long to load as our own.
  process.getBuiltinModule('node:v8').setFlagsFromString('--interrupt-budget=2000000');
}

/** Runs a script of the bundle; nothing where there is none, or the compiler has written modules since and left a note of that. */
export function loadBundle<N extends keyof Exports>(name: N): Bundle<N> | undefined {
  return loadBundled(new URL(`${name}.js`, DIRECTORY), COMPILED) as Bundle<N> | undefined;
}
