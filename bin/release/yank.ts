/** The commands `release yank` and `unyank`. */

import { unyankReleases, yankReleases } from '../../release/yank.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { withCache } from '../cli/with-caches.js';
import { requireCache } from '../settings/places.js';
import type { UnyankOptions, YankOptions } from './command.js';
import { signingOf } from './settings.js';

/** Says of releases that they should not be used any more. */
export async function yank(versions: readonly string[], options: YankOptions, context: Context): Promise<void> {
  const { settings } = options;
  const to = requireCache(settings.to);
  const { keys, policy, allowLost } = await signingOf(settings, options);
  const request = {
    versions,
    reason: options.reason,
    keys,
    policy,
    now: new Date(),
    allowLost,
    dryRun: options.dryRun,
  };
  await withCache(to, { options, context }, async ({ objects }) => {
    const yanked = await yankReleases(objects, request);
    if (options.json) return writeJson(context.stdout, { yanked, ...(options.dryRun && { dryRun: true }) });
    for (const { version, changed } of yanked) {
      note(
        context,
        options,
        changed
          ? `\`${version}\` ${options.dryRun ? 'would be' : 'is'} yanked`
          : `\`${version}\` is yanked for this reason already`,
      );
    }
    if (!options.dryRun && yanked.some(({ changed }) => changed)) note(context, options, SHOWN_BY);
    await writeLines(
      context.stdout,
      yanked.map(({ version }) => version),
    );
  });
}

/** Says of releases that they are not yanked any more. */
export async function unyank(versions: readonly string[], options: UnyankOptions, context: Context): Promise<void> {
  const { settings } = options;
  const to = requireCache(settings.to);
  const { keys, policy, allowLost } = await signingOf(settings, options);
  const request = { versions, keys, policy, now: new Date(), allowLost, dryRun: options.dryRun };
  await withCache(to, { options, context }, async ({ objects }) => {
    const unyanked = await unyankReleases(objects, request);
    if (options.json) return writeJson(context.stdout, { unyanked, ...(options.dryRun && { dryRun: true }) });
    for (const version of new Set(versions)) {
      const was = unyanked.includes(version);
      note(
        context,
        options,
        was
          ? `\`${version}\` ${options.dryRun ? 'would not be' : 'is not'} yanked any more`
          : `\`${version}\` was not yanked`,
      );
    }
    if (!options.dryRun && unyanked.length > 0) note(context, options, SHOWN_BY);
    await writeLines(context.stdout, unyanked);
  });
}

const SHOWN_BY = '`carport index publish` shows it';
