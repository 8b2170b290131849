/** The options of `watch` and `hook` as those of the push that they do. */

import type { PushBesideOptions, PushOptions } from '../push/options.js';
import { createSetting } from '../settings/setting.js';

/** The options of a push of what others build: no pins, and nothing but pushing. */
export function asPushOptions(options: PushBesideOptions): PushOptions {
  const { value } = options.settings['retry-seconds'];
  const patience = value === undefined ? createSetting('retry-seconds', [BESIDE_RETRY_SECONDS], DEFAULT) : undefined;
  return {
    ...options,
    settings: { ...options.settings, ...(patience && { 'retry-seconds': patience }) },
    ...{ keepHistory: 0, discardHistory: false, allowRollback: false, checkAll: false, dryRun: false },
  };
}

/** A build that has ended does not wait long for a cache that is away. */
const BESIDE_RETRY_SECONDS = '20';
const DEFAULT = { kind: 'default', name: 'default' } as const;
