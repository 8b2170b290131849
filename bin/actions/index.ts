import { text } from 'node:stream/consumers';
import { type IndexOptions, makeIndex } from '../../index-generator/index-files.js';
import { readListing } from '../../index-generator/listing.js';
import { CarportError } from '../../lib/errors.js';
import type { Publication } from '../../release/publication.js';
import { readSources } from '../../release/sources.js';
import { settingsOf } from '../command.js';
import { type Context, note, writeJson, writeLines } from '../context.js';
import { writeIndexDirectory } from '../index-directory.js';
import { indexOptionsOf, releaseTrustOf } from '../releases.js';
import { requireCache, type Settings } from '../settings.js';
import { openSource } from '../source.js';
import { count } from '../terminal.js';
import { sayWarnings } from '../warnings.js';
import type { IndexCommandOptions } from './index-publish.js';

export interface BuildIndexOptions extends IndexCommandOptions {
  readonly fromListing?: string;
  readonly from?: readonly string[];
  readonly out: string;
}

/** Removed files that are named. */
const NAMED = 20;

export async function build(options: BuildIndexOptions, context: Context): Promise<void> {
  const { out } = options;
  const settings = await settingsOf({ ...options }, context);
  const publication = await makePublication(options, settings, context);
  sayWarnings(context, publication.warnings);
  if (publication.releases === 0 && !options.allowEmpty) throw noRelease(options);
  const { written, unchanged, removed } = await writeIndexDirectory(out, publication);
  if (options.json) return writeJson(context.stdout, { written, unchanged, removed, warnings: publication.warnings });
  if (unchanged.length > 0) note(context, options, `unchanged: ${count(unchanged.length, 'file')}`);
  for (const path of removed.slice(0, NAMED)) note(context, options, `removed: ${path}`);
  if (removed.length > NAMED) note(context, options, `and ${removed.length - NAMED} more`);
  await writeLines(context.stdout, written);
}

async function makePublication(options: BuildIndexOptions, settings: Settings, context: Context): Promise<Publication> {
  const { fromListing, from, compat, allowUnsigned } = options;
  if (fromListing !== undefined && from !== undefined) {
    throw new CarportError('E_USAGE', '`--from-listing` and `--from` say different things', {
      hint: 'give one of them: an index is of one bucket',
    });
  }
  const { keys, policy } = await releaseTrustOf(settings, { ...(allowUnsigned && { allowUnsigned }) });
  const indexOptions: IndexOptions = { ...indexOptionsOf(settings, keys), ...(compat && { compat }) };
  if (fromListing !== undefined) {
    const listing = await text(await openSource(fromListing, context));
    return makeIndex(readListing(listing), { ...indexOptions, ...(compat && { listing }) });
  }
  const url = settings.from.values[0] ?? requireCache(settings.to, 'from');
  const warn = (message: string) => note(context, options, `warning: ${message}`);
  // Not loaded for a listing, which is large and needs the memory.
  const { withCache } = await import('../with-caches.js');
  const read = withCache(url, { context, settings, warn }, ({ objects }) => readSources(objects, policy));
  return makeIndex(await read, indexOptions);
}

function noRelease({ fromListing }: BuildIndexOptions): CarportError {
  const where = fromListing === undefined ? 'the bucket' : 'the listing';
  return new CarportError('E_NOT_FOUND', `${where} has no release: no file is at \`_releases/VERSION/TARGET/FILE\``, {
    hint: `look whether it is the right one; \`--allow-empty\` makes an index without releases`,
  });
}
