/** The command `cache copy`. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { copyCache, leftOutError } from '../../cache/copy/session.js';
import { leasingFor } from '../../cache/leases/lease.js';
import { CarportError } from '../../lib/errors.js';
import { openStoreForReading } from '../../lib/store/open.js';
import { expandStdin } from '../arguments/paths.js';
import { parseTargets } from '../arguments/targets.js';
import { type Context, note, writeJson } from '../cli/context.js';
import { count, formatBytes } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { patienceOf, withCaches } from '../cli/with-caches.js';
import { withPool } from '../cli/with-pool.js';
import { pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import { withActivity } from '../reporters/activity.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { CopyOptions } from './command.js';

/** Copies closures, pins or all of a cache to another. Throws at the end where something stayed behind. */
export async function copy(
  from: CacheUrl,
  to: CacheUrl,
  words: readonly string[],
  options: CopyOptions,
  context: Context,
): Promise<void> {
  const { settings, dryRun } = options;
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...to.secretKeyFiles]);
  const store = await openStoreForReading(settings.store.value, context.env);
  const targets = await parseTargets(await expandStdin(words, context), store);
  const request = { targets, policy: pinPolicyOf(settings, options), seen: seenPinsOf(context), keys, dryRun };
  const warn = warnPeople(context);
  const leasing = leasingFor(patienceOf(options) * 1000);
  await withCaches([from, to], { options, context }, async ([source, target], signal) => {
    const [a, b] = [source!.objects, target!.objects];
    if (a.url === b.url) throw sameCache(a.url);
    const summary = await withPool(settings.jobs.value, (pool) =>
      withActivity(context, options, ({ emit }) => copyCache(a, b, request, { emit, signal, pool, leasing })),
    );
    const { copied, present, fileSize, pins, leftOut } = summary;
    for (const { path, why } of leftOut)
      warn({ type: 'warning', about: { path }, message: `left out: ${why.message}` });
    const paths = `${count(copied, 'path')} (${formatBytes(fileSize)})`;
    const names = pins.length > 0 ? `, and ${count(pins.length, 'pin')}: ${pins.join(', ')}` : '';
    note(context, options, `${dryRun ? 'would copy' : 'copied'} ${paths}; ${present} were there${names}`);
    if (options.json) {
      const stayed = leftOut.map(({ path, why }) => ({ path, code: why.code, message: why.message }));
      await writeJson(context.stdout, {
        from: a.url,
        to: b.url,
        copied,
        present,
        fileSize,
        pins,
        leftOut: stayed,
        dryRun,
      });
    }
    if (leftOut.length > 0) throw leftOutError(a, leftOut);
  });
}

function sameCache(url: string): CarportError {
  return new CarportError('E_USAGE', `\`${url}\` is copied to itself`, { hint: 'name another cache to copy to' });
}
