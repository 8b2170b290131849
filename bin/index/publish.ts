/** The command `index publish`: an index in its bucket. */

import { makeIndex } from '../../index-generator/index-files.js';
import { messagesOf } from '../../lib/notice.js';
import { asListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { FEED, isSignatureKey, ROOT_PAGE, STABLE_FEED } from '../../release/layout.js';
import type { Publication } from '../../release/publish/publication.js';
import { publishIndex } from '../../release/publish/publish.js';
import type { ReleaseSources } from '../../release/sources/sources.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { sayWarnings } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { REMEMBERED } from '../release/remembered-keys.js';
import { projectOf, requireForgotten, tellRemembered, withRemembered } from '../release/remembered-settings.js';
import {
  checkIndexSettings,
  type IndexSettings,
  indexOptionsOf,
  releaseTrustOf,
  signingOf,
} from '../release/settings.js';
import { adviceOnBucket } from '../release/stable-advice.js';
import { withActivity } from '../reporters/activity.js';
import { requireCache } from '../settings/places.js';
import type { PublishIndexOptions } from './command.js';
import { firstOf } from './first-of.js';
import { themeOf, withLogo } from './page-settings.js';
import { lookAtRootPage, rootPageOf } from './root-page.js';

interface MadeIndex extends Publication {
  /** The settings, with what is remembered. */
  readonly used: IndexSettings;
}

/** Makes the index of a bucket, and puts what has changed of it there. */
export async function publish(options: PublishIndexOptions, context: Context): Promise<void> {
  const { allowUnsigned, allowEmpty, dryRun, compat, forget = [], settings: given } = options;
  const to = requireCache(given.to);
  const trustOf = dryRun ? releaseTrustOf : signingOf;
  const { keys, policy, allowLost } = await trustOf(given, options);
  requireForgotten(given, forget);
  checkIndexSettings(given);
  themeOf(given);
  const settings = await withLogo(given, context);
  const tell = (message: string) => note(context, options, message);
  const dropFeeds = forget.includes('base-url');
  const knowsKey = keys.length > 0 || allowUnsigned;
  if (!knowsKey) tell('no key is given: this leaves signatures out');
  const make = (sources: ReleaseSources, isUnwanted: boolean): MadeIndex => {
    const used = withRemembered(settings, sources.project, forget);
    const page = {
      theme: themeOf(used),
      ...rootPageOf(used['index-html']),
      ...(used.logo.value !== undefined && { logo: used.logo.value }),
    };
    const simpleIndex = used['simple-index'].value ?? 'auto';
    const indexOptions = { ...indexOptionsOf(used, keys), ...page, simpleIndex, dropFeeds, ...(compat && { compat }) };
    const made = { ...makeIndex(sources, indexOptions), project: projectOf(used), used };
    // One of ours that is not wanted any more goes.
    const owns = (key: string) => made.owns(key) || (key === ROOT_PAGE && isUnwanted);
    const publication = { ...made, owns };
    return knowsKey ? publication : withoutSignatures(publication);
  };
  await withCache(to, { options, context }, async ({ objects }) => {
    const isUnwanted = given['index-html'].value === 'none' && (await lookAtRootPage(asListable(objects))) === 'own';
    const { publication, ...published } = await withActivity(context, options, ({ emit }) =>
      publishIndex(objects, (sources) => make(sources, isUnwanted), {
        policy,
        keys,
        allowEmpty,
        dryRun,
        allowLost,
        emit,
      }),
    );
    const { used } = publication;
    const remembered = tellRemembered(used, REMEMBERED);
    if (remembered !== undefined) tell(remembered);
    if (used['base-url'].value === undefined) tell(await tellNoAddress(objects, dropFeeds));
    if (publication.neverStable !== undefined) tell(adviceOnBucket(publication.neverStable, used['stable-pattern']));
    sayWarnings(context, published.warnings);
    if (options.json)
      return writeJson(context.stdout, { ...published, warnings: messagesOf(published.warnings), dryRun });
    const { written, removed } = published;
    for (const line of firstOf(removed.map((key) => `${dryRun ? 'to be removed' : 'removed'}: ${key}`))) tell(line);
    if (written.length + removed.length === 0) tell('nothing has changed');
    else if (dryRun) tell('nothing was changed: this is a dry run');
    await writeLines(context.stdout, written);
  });
}

async function tellNoAddress(objects: ObjectStore, dropFeeds: boolean): Promise<string> {
  const needed = 'no address is set for users: give `--base-url URL`, and there are commands on the page, and feeds';
  const sizes = dropFeeds ? [] : await Promise.all([FEED, STABLE_FEED].map((key) => objects.stat(key)));
  const areThere = sizes.some((size) => size !== undefined);
  return areThere ? `${needed}; those that are there stay as they are, and \`--forget base-url\` removes them` : needed;
}

/** For a dry run that has no key: those that are there stay. */
function withoutSignatures(publication: MadeIndex): MadeIndex {
  return { ...publication, owns: (key) => !isSignatureKey(key) && publication.owns(key) };
}
