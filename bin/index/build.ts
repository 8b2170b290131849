/** The command `index build`: an index in a directory. */

import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type IndexOptions, makeIndex } from '../../index-generator/index-files.js';
import { readListing } from '../../index-generator/listing.js';
import { CarportError } from '../../lib/errors.js';
import { messagesOf, type Notice } from '../../lib/notice.js';
import { openFileStore } from '../../lib/object-store/file.js';
import { listObjects } from '../../lib/object-store/object-store.js';
import { INDEX } from '../../release/layout.js';
import { writeIndexDirectory } from '../../release/publish/directory.js';
import { isSignatureOf, refuseLostIndex } from '../../release/publish/lost-signatures.js';
import type { Publication } from '../../release/publish/publication.js';
import { type ReleaseSources, readSources } from '../../release/sources/sources.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { openSource } from '../cli/source.js';
import { count } from '../cli/terminal.js';
import { sayWarnings } from '../cli/warnings.js';
import { REMEMBERED } from '../release/remembered-keys.js';
import { tellRemembered, withRemembered } from '../release/remembered-settings.js';
import { type IndexSettings, indexOptionsOf, type ReleaseTrust, releaseTrustOf } from '../release/settings.js';
import { adviceOnBucket } from '../release/stable-advice.js';
import { requireSource } from '../settings/places.js';
import { isGiven } from '../settings/setting.js';
import type { BuildIndexOptions } from './command.js';
import { firstOf } from './first-of.js';
import { themeOf, withLogo } from './page-settings.js';
import { lookAtRootPage, mayWrite, rootPageOf } from './root-page.js';

/** Makes the index of a bucket, or of a listing, in a directory. */
export async function build(options: BuildIndexOptions, context: Context): Promise<void> {
  const { out } = options;
  const settings = await withLogo(options.settings, context);
  const trust = await releaseTrustOf(settings, options);
  const made = await makePublication({ ...options, settings }, trust, context);
  const { publication } = made;
  if (publication.releases === 0 && !options.allowEmpty) {
    sayWarnings(context, publication.warnings);
    throw noRelease(options);
  }
  const lost = await refuseLosses(options, made, trust);
  const warnings = [...lost, ...publication.warnings];
  sayWarnings(context, warnings);
  for (const each of made.notes) note(context, options, each);
  const { written, unchanged, removed } = await writeIndexDirectory(out, publication);
  if (options.json) return writeJson(context.stdout, { written, unchanged, removed, warnings: messagesOf(warnings) });
  if (unchanged.length > 0) note(context, options, `unchanged: ${count(unchanged.length, 'file')}`);
  for (const line of firstOf(removed.map((path) => `removed: ${path}`))) note(context, options, line);
  await writeLines(context.stdout, written);
}

interface MadeIndex {
  readonly sources: ReleaseSources;
  readonly publication: Publication;
  /** What people are to know beside the warnings. */
  readonly notes: readonly string[];
}

async function makePublication(
  options: BuildIndexOptions,
  { keys, policy }: ReleaseTrust,
  context: Context,
): Promise<MadeIndex> {
  const { fromListing, compat, settings, out } = options;
  if (fromListing !== undefined && settings.from.origin.kind === 'option') {
    throw new CarportError('E_USAGE', `\`--from-listing\` and \`${settings.from.origin.name}\` say different things`, {
      hint: 'give one of them: an index is of one bucket',
    });
  }
  const there = await lookAtRootPage(openFileStore(resolve(out)));
  const optionsOf = (used: IndexSettings): IndexOptions => ({
    ...indexOptionsOf(used, keys),
    theme: themeOf(used),
    simpleIndex: used['simple-index'].value ?? 'auto',
    // Whose directory it is may have other plans for its first page.
    ...(isGiven(used['index-html']) && mayWrite(used['index-html'], there) && rootPageOf(used['index-html'])),
    ...(used.logo.value !== undefined && { logo: used.logo.value }),
    ...(compat && { compat }),
  });
  const given = optionsOf(settings);
  if (fromListing !== undefined) {
    const listing = await text(await openSource(fromListing, context));
    const sources = readListing(listing);
    const publication = makeIndex(sources, { ...given, ...(compat && { listing }) });
    return { sources, publication, notes: adviceOf(publication, settings) };
  }
  // Not loaded for a listing, which is large and needs the memory.
  const { withCache } = await import('../cli/with-caches.js');
  const sources = await withCache(requireSource(settings), { options, context }, ({ objects }) =>
    readSources(objects, policy),
  );
  const used = withRemembered(settings, sources.project);
  const remembered = tellRemembered(used, REMEMBERED);
  const publication = makeIndex(sources, optionsOf(used));
  const notes = [...(remembered === undefined ? [] : [remembered]), ...adviceOf(publication, used)];
  return { sources, publication, notes };
}

function adviceOf({ neverStable }: Publication, used: IndexSettings): readonly string[] {
  return neverStable === undefined ? [] : [adviceOnBucket(neverStable, used['stable-pattern'])];
}

/** As `index publish` does it, where a signed index is there already; what to warn of otherwise. */
async function refuseLosses(
  { out }: BuildIndexOptions,
  { sources, publication }: MadeIndex,
  trust: ReleaseTrust,
): Promise<readonly Notice[]> {
  const objects = openFileStore(resolve(out));
  const signatures: { readonly key: string }[] = [];
  for await (const each of listObjects(objects, { prefix: INDEX, recursive: true })) {
    if (isSignatureOf(publication, each.key)) signatures.push(each);
  }
  if (signatures.length === 0) return [];
  const index = { objects, where: out, signatures, sources };
  return refuseLostIndex(index, trust, 'makes the index without them');
}

function noRelease({ fromListing }: BuildIndexOptions): CarportError {
  const where = fromListing === undefined ? 'the bucket' : 'the listing';
  return new CarportError('E_NOT_FOUND', `${where} has no release: no file is at \`_releases/VERSION/TARGET/FILE\``, {
    hint: `look whether it is the right one; \`--allow-empty\` makes an index without releases`,
  });
}
