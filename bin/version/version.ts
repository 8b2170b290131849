/** The command `version`. */

import { setTimeout as pause } from 'node:timers/promises';
import type { CacheUrl } from '../../cache/cache-url.js';
import { CarportError } from '../../lib/errors.js';
import type { PublicKey } from '../../lib/signing/key.js';
import { type PublishedIndex, readPublishedIndex } from '../../release/sources/published-index.js';
import { type Context, writeJson, writeLines } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
import { type Versions, versions } from '../cli/versions.js';
import { withCache } from '../cli/with-caches.js';
import { readManifest } from '../help/quick.js';
import { cacheUrl } from '../settings/addresses.js';
import { publicKey } from '../settings/keys.js';
import { createSetting } from '../settings/setting.js';
import type { VersionOptions } from './command.js';
import { type Comparison, compareWithIndex } from './compare.js';
import { installedHere, upgradeLine } from './upgrade.js';

/** Seconds: somebody waits for the answer, and can ask again. */
const PATIENCE = '10';

export async function version(options: VersionOptions, context: Context): Promise<void> {
  const known = await versions();
  if (!options.check) {
    if (options.json) return writeJson(context.stdout, known);
    return writeLines(context.stdout, [`carport ${known.carport}`]);
  }
  const { url, keys } = await sourceOf(options);
  const index = await ask(url, keys, options, context);
  const comparison = compareWithIndex(known.carport, index.releases);
  const installed = await installedHere();
  const upgrade = comparison.newer && upgradeLine(comparison.newer, installed);
  if (options.json) return writeJson(context.stdout, json(known, { comparison, index, upgrade }));
  await writeLines(context.stdout, lines(known.carport, comparison, upgrade));
}

/** Where to ask, and whom to believe. Throws `E_USAGE` where nobody has said that. */
async function sourceOf({ settings }: VersionOptions): Promise<{ url: CacheUrl; keys: readonly PublicKey[] }> {
  const { carport = {} } = await readManifest();
  const place = 'carport in package.json';
  const url = settings.releases.value ?? (carport.releases && cacheUrl(carport.releases, place));
  if (!url) {
    throw new CarportError('E_USAGE', 'it is not known where releases of carport are', {
      hint: 'give the address of their page with `--releases URL`, or `releases = "URL"` in ~/.config/carport/config.toml',
    });
  }
  const given = settings['release-keys'].value;
  const keys = given.length === 0 && carport.releaseKey ? [publicKey(carport.releaseKey, place)] : given;
  if (keys.length > 0) return { url, keys };
  throw new CarportError('E_USAGE', 'it is not said who signs releases of carport', {
    hint: 'give the key with `--release-key NAME:BASE64`, or `release-keys = ["NAME:BASE64"]` in ~/.config/carport/config.toml',
  });
}

function ask(
  url: CacheUrl,
  keys: readonly PublicKey[],
  { settings }: VersionOptions,
  context: Context,
): Promise<PublishedIndex> {
  const given = settings['retry-seconds'];
  const retry = given.value === undefined ? createSetting('retry-seconds', [PATIENCE], given.origin) : given;
  return withCache(url, { options: { settings: { 'retry-seconds': retry } }, context }, ({ objects }, signal) =>
    readPublishedIndex(objects, keys, (milliseconds) => pause(milliseconds, undefined, { signal })),
  );
}

interface Answer {
  readonly comparison: Comparison;
  readonly index: PublishedIndex;
  readonly upgrade: string | undefined;
}

function json(known: Versions, { comparison, index, upgrade }: Answer): object {
  const { state, newest, newer, yanked } = comparison;
  const told = (release: Comparison['newest']) => (release ? { version: release.version, time: release.time } : null);
  const check = { state, newest: told(newest), newer: told(newer), yanked: yanked ?? null };
  return { ...known, check: { ...check, upgrade: upgrade ?? null, signedBy: index.keyName } };
}

function lines(
  own: string,
  { state, newest, newer, yanked }: Comparison,
  upgrade: string | undefined,
): readonly string[] {
  const about = {
    'up-to-date': `carport ${own} is the newest`,
    newer: `carport ${newer?.version} of ${newer?.time.slice(0, 10)} is newer than this, ${own}`,
    ahead: `carport ${own} is newer than the newest release, ${newest?.version}`,
    'no-release': `carport ${own}; there is no stable release`,
  }[state];
  const warning = yanked === undefined ? [] : [`carport ${own} should not be used any more: ${yanked}`];
  return [...warning, about, ...(upgrade === undefined ? [] : [upgrade])].map(printableLine);
}
