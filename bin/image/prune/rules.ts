/** Which tags stay: what the command line, the table `[retention.images]` and the releases of a bucket say. */

import type { KeptReason, PruneRules } from '../../../image/prune/plan.js';
import { CarportError } from '../../../lib/errors.js';
import { buildReleaseIndex } from '../../../release/catalog/build.js';
import { allReleases, type Release } from '../../../release/catalog/model.js';
import { ownRules } from '../../../release/catalog/rules.js';
import { compareVersions } from '../../../release/catalog/version-order.js';
import { readSources } from '../../../release/sources/sources.js';
import type { Context } from '../../cli/context.js';
import { withCache } from '../../cli/with-caches.js';
import { channelRuleOf } from '../../release/settings.js';
import { isGiven } from '../../settings/setting.js';
import { isKeptTag, readRetention } from '../../settings/tables/retention.js';
import type { ImagePruneOptions } from './command.js';

/** The rules of a command, but for what depends on the repository. Throws `E_USAGE` where nothing says what stays. */
export async function pruneRulesOf(
  options: ImagePruneOptions,
  suffixes: readonly string[],
  context: Context,
): Promise<PruneRules> {
  const tier = (await readRetention(context))?.images;
  const keep = options.keep ?? tier?.keep;
  const within = options.keepWithin ?? tier?.within;
  if (keep === undefined && within === undefined) {
    throw new CarportError('E_USAGE', 'it is not said which images stay', {
      hint: 'give `--keep NUMBER` for the newest, `--keep-within SPAN` for the younger ones, or both: `--keep 20 --keep-within 30d`; or write `[retention.images]` into carport.toml',
    });
  }
  const forever = [...(options.keepTag ?? []), ...(tier?.tags ?? [])];
  const releases = await namesOfReleases(options, context);
  const channelOf = channelRuleOf(options.settings);
  const isStable = (tag: string) => channelOf(tag) === 'stable' || channelOf(`v${tag}`) === 'stable';
  const staysFor = (tag: string): KeptReason | undefined => {
    const plain = [tag, ...suffixes.filter((each) => tag.endsWith(each)).map((each) => tag.slice(0, -each.length))];
    if (isKeptTag(tag, { tags: forever })) return 'pattern';
    if (plain.includes('latest')) return 'latest';
    if (plain.some(isStable)) return 'stable';
    return releases.some((name) => tag === name || tag.startsWith(`${name}-`)) ? 'release' : undefined;
  };
  const isVersion = (tag: string) => /^v?[0-9]+\./.test(tag);
  return {
    ...{ patterns: options.match ?? [], keep, within, now: Date.now(), staysFor },
    matches: (pattern, tag) => isKeptTag(tag, { tags: [pattern] }),
    compare: (a, b) => (isVersion(a) && isVersion(b) ? compareVersions(a, b) : undefined),
  };
}

/** What tags of images of releases begin with; of a bucket that is not named there are none. */
async function namesOfReleases(options: ImagePruneOptions, context: Context): Promise<readonly string[]> {
  const { settings } = options;
  if (!isGiven(settings.from)) return [];
  const [url] = settings.from.value;
  return withCache(url!, { options, context }, async ({ objects }) => {
    // Whoever signed it or not: it only says what stays.
    const policy = { keys: settings['trusted-keys'].value, allowUnsigned: true };
    const sources = await readSources(objects, policy, undefined, { withLedger: true });
    const { index, hidden } = buildReleaseIndex(sources, ownRules(channelRuleOf(settings)), []);
    const releases = [...allReleases(index), ...hidden.map(({ release }) => release)];
    return [...new Set(releases.flatMap(namesOf))];
  });
}

const SHORT = 7;

function namesOf({ version, commit }: Release): readonly string[] {
  const tag = version.replace(/[@+~=,]/g, '_');
  const ofCommit = commit === undefined ? [] : [commit, commit.slice(0, SHORT)];
  return [tag, tag.replace(/^v(?=[0-9])/, ''), ...ofCommit];
}
