import type { SecretKey } from '../lib/signing/key.js';
import type { ChannelRule } from '../release/version.js';
import { buildReleaseIndex } from './build.js';
import { isLeftOutByGarage, renderCompatibleGarageJson, renderGarageJson } from './garage-json.js';
import type { Forge } from './html/links.js';
import { renderPage } from './html/page.js';
import { linesOf, parseListing } from './listing.js';
import { garageRules, ownRules } from './rules.js';

export interface IndexOptions {
  /** Where the bucket's objects are, with a `/` at the end. Without it links have no host. */
  readonly baseUrl?: string;
  /** The channels of versions, unless Garage's own are asked for. */
  readonly channelOf?: ChannelRule;
  /** Do as Garage's own generator does. */
  readonly compat?: 'garage';
  /** Heading of the page. */
  readonly title?: string;
  /** Where the sources are. */
  readonly forge?: Forge;
  /** A release that lacks one of these is not the latest of its channel. */
  readonly requiredTargets?: readonly string[];
  /** Signs the index and the checksums, as minisign does. */
  readonly key?: SecretKey;
}

/** One file of the index. */
export interface IndexFile {
  /** Its key in the bucket. */
  readonly key: string;
  readonly content: string;
}

/** Makes the files of the index of a bucket's listing, in the order in which to publish them; and says what was left out. */
export function makeIndexFiles(
  listing: string,
  { baseUrl, compat, channelOf }: IndexOptions,
): { readonly files: readonly IndexFile[]; readonly warnings: readonly string[] } {
  // First, while there is nothing else in memory.
  const compatible = compat && renderCompatibleGarageJson(listing, baseUrl);
  const { entries, warnings } = parseListing(listing);
  const index = buildReleaseIndex(entries, compat ? garageRules : ownRules(channelOf));
  const json = compatible ?? renderGarageJson(index, baseUrl);
  return {
    files: [
      { key: '_releases.json', content: json },
      { key: '_releases.html', content: renderPage(index, baseUrl === undefined ? {} : { baseUrl }) },
    ],
    warnings: compat ? [...warnings, ...tellLeftOut(listing)] : warnings,
  };
}

function tellLeftOut(listing: string): readonly string[] {
  const warnings: string[] = [];
  let number = 0;
  for (const line of linesOf(listing)) {
    number++;
    if (isLeftOutByGarage(line))
      warnings.push(`line ${number}: the key has spaces, and \`--compat garage\` leaves it out`);
  }
  return warnings;
}
