/** The commands `key publish` and `key rotate`: what the keys of a cache say of themselves there. */

import { requireCacheInfo } from '../../cache/binary-cache.js';
import { publishKeys } from '../../cache/keys/publish.js';
import { CarportError } from '../../lib/errors.js';
import { renderPublicKey } from '../../lib/signing/key.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { warnPeople } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { seenKeysOf } from '../pin/policy.js';
import { loadSecretKeys } from '../settings/keys.js';
import { requireCache } from '../settings/places.js';
import type { PublishOptions, RotateOptions } from './command.js';

/** Writes into a cache which keys sign it. */
export function publish(options: PublishOptions, context: Context): Promise<void> {
  return change(options, options.successors ? undefined : 'none', context);
}

/** Has keys of a cache vouch for another until a time. */
export function rotate(options: RotateOptions, context: Context): Promise<void> {
  return change(options, { add: options.successor, until: options.until }, context);
}

async function change(
  options: Pick<PublishOptions, 'settings' | 'url' | 'allowRollback' | 'dryRun' | 'json' | 'quiet'>,
  successors: Parameters<typeof publishKeys>[1]['successors'] | undefined,
  context: Context,
): Promise<void> {
  const { settings, url = [], allowRollback, dryRun } = options;
  const cache = requireCache(settings.to);
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...cache.secretKeyFiles]);
  const successor = typeof successors === 'object' ? renderPublicKey(successors.add) : undefined;
  if (!keys.some(({ publicKey }) => renderPublicKey(publicKey) !== successor)) {
    throw new CarportError('E_USAGE', 'no key is given to sign with', {
      hint: 'give the key that readers trust with `--secret-key FILE`',
    });
  }
  const baseUrl = settings['base-url'].value;
  const urls = [...url, ...(baseUrl === undefined ? [] : [baseUrl])];
  await withCache(cache, { options, context }, async ({ objects }) => {
    await requireCacheInfo(objects);
    const request = { keys, urls, now: Date.now(), ...(successors !== undefined && { successors }) };
    const publishing = { seen: seenKeysOf(context.env), emit: warnPeople(context), allowRollback, dryRun };
    const { statements, changed } = await publishKeys(objects, request, publishing);
    if (options.json) return writeJson(context.stdout, { url: objects.url, changed, dryRun, keys: statements });
    const lines = statements.flatMap(({ key, caches, successors }) => [
      key,
      ...caches.map((each) => `  in ${each}`),
      ...successors.map((each) => `  followed by ${each.key} until ${each.until}`),
    ]);
    await writeLines(context.stdout, lines.map(printable));
    const state = changed ? (dryRun ? 'would be written' : 'is written') : 'is as it should be';
    note(context, options, `what \`${objects.url}\` tells of its keys ${state}`);
  });
}
