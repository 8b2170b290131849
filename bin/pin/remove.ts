/** The command `pin rm`. */

import { renewPinListQuietly } from '../../cache/pins/list.js';
import type { Pin } from '../../cache/pins/pin.js';
import { readPin, removePin } from '../../cache/pins/pins.js';
import { checkPinName } from '../../cache/pins/set.js';
import { noSuchPin } from '../../cache/pull/targets.js';
import { insteadOf } from '../../lib/errors.js';
import { confirmAtTerminal, confirmProjectCache } from '../cli/confirm.js';
import { type Context, note, writeJson } from '../cli/context.js';
import { count } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { loadSecretKeys } from '../settings/keys.js';
import { requireCache } from '../settings/places.js';
import type { PinRemoveOptions } from './command.js';

/** Removes pins, of which all must be there. */
export async function remove(names: readonly string[], options: PinRemoveOptions, context: Context): Promise<void> {
  for (const name of names) checkPinName(name);
  const cache = requireCache(options.settings.to);
  const { value: files } = options.settings['secret-key-files'];
  const isConfirmed = !options.dryRun && (await confirmProjectCache(options.settings.to, options, context));
  const keys = await loadSecretKeys([...files, ...cache.secretKeyFiles]);
  await withCache(cache, { options, context }, async ({ objects }) => {
    // All are looked for before any is removed. One that is damaged can be removed, too.
    const pins = await Promise.all(
      names.map((name) => readPin(objects, name).catch(insteadOf('E_INTEGRITY', 'damaged' as const))),
    );
    const missing = names.find((_, index) => pins[index] === undefined);
    if (missing !== undefined) throw await noSuchPin(missing, [objects]);
    const { dryRun, yes } = options;
    if (!dryRun && !yes && !isConfirmed) {
      const history = names.length === 1 ? 'its history' : 'their history';
      const amount = `${count(names.length, 'pin')} of \`${objects.url}\``;
      await confirmAtTerminal(`${amount} will be gone, and ${history}.`, context);
    }
    if (!dryRun) {
      for (const name of names) await removePin(objects, name);
      await renewPinListQuietly(objects, keys, { removed: names }, warnPeople(context));
    }
    const removed = pins.filter((pin): pin is Pin => pin !== undefined && pin !== 'damaged');
    if (options.json) return writeJson(context.stdout, { removed: names, ...(dryRun && { dryRun }) });
    for (const { name, storePaths } of removed)
      note(context, options, `\`${name}\` ${dryRun ? 'would go; it is' : 'is gone; it was'} ${storePaths.join(' ')}`);
  });
}
