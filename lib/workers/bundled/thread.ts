/** What a thread of the bundle is started with: its script, and what V8 has made of that, which takes half of the time. */

import { readFileSync } from 'node:fs';
import { type BundledScript, codeCacheOf, runBundled } from './script.js';

const DIRECTORY = new URL('../bundle/', import.meta.url);

/** The body of the thread that has run, and where its code cache belongs. */
export const thread: BundledScript & { readonly codeCache: URL } = load(new URL('thread.js', DIRECTORY));

function load(url: URL) {
  const source = readFileSync(url, 'latin1');
  const codeCache = codeCacheOf(url, source);
  return { ...runBundled(url, source, read(codeCache)), codeCache };
}

function read(file: URL): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
