/** What a thread of the bundle is started with: its script. */

import { loadBundled } from './script.js';

/** The body of the thread that has run. */
export const thread = loadBundled(new URL('../bundle/thread.js', import.meta.url))!;
