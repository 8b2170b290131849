/** Options that several commands of `image` have. */

import { flag, setting } from '../declaration/options.js';

export const PLAIN_HTTP = flag(
  '--plain-http',
  'allow a registry that is written `http://…` on another machine: without TLS',
);

/** For commands that only take images from one place to another, or look at them. */
export const COPY_OPTIONS = [PLAIN_HTTP, setting('retry-seconds')];
