import { makeIndex } from '../../index-generator/index-files.js';
import type { Publication } from '../../release/publication.js';
import { publishIndex } from '../../release/publish.js';
import type { ReleaseSources } from '../../release/sources.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../context.js';
import { indexOptionsOf, releaseTrustOf, signingOf } from '../releases.js';
import { requireCache } from '../settings.js';
import { sayWarnings } from '../warnings.js';
import { withCache } from '../with-caches.js';

/** Options of commands that make an index. */
export interface IndexCommandOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
  readonly allowEmpty?: boolean;
  readonly compat?: 'garage';
}

export interface PublishIndexOptions extends IndexCommandOptions {
  readonly dryRun?: boolean;
}

/** Removed keys that are named. */
const NAMED = 20;

export async function publish(options: PublishIndexOptions, context: Context): Promise<void> {
  const { allowUnsigned = false, allowEmpty = false, dryRun = false, compat } = options;
  const settings = await settingsOf({ ...options }, context);
  const to = requireCache(settings.to);
  const trustOf = dryRun ? releaseTrustOf : signingOf;
  const { keys, policy } = await trustOf(settings, { allowUnsigned });
  const indexOptions = { ...indexOptionsOf(settings, keys), ...(compat && { compat }) };
  const tell = (message: string) => note(context, options, message);
  if (indexOptions.baseUrl === undefined) {
    tell('no address is set for users: give `--base-url URL`, and there are commands on the page, and feeds');
  }
  const knowsKey = keys.length > 0 || allowUnsigned;
  if (!knowsKey) tell('no key is given: this leaves signatures out');
  const make = (sources: ReleaseSources): Publication => {
    const publication = makeIndex(sources, indexOptions);
    return knowsKey ? publication : withoutSignatures(publication);
  };
  const use = { settings, context, warn: (message: string) => tell(`warning: ${message}`) };
  await withCache(to, use, async ({ objects }) => {
    const published = await publishIndex(objects, make, { policy, keys, allowEmpty, dryRun });
    sayWarnings(context, published.warnings);
    if (options.json) return writeJson(context.stdout, { ...published, dryRun });
    const { written, removed } = published;
    for (const key of removed.slice(0, NAMED)) tell(`${dryRun ? 'to be removed' : 'removed'}: ${key}`);
    if (removed.length > NAMED) tell(`and ${removed.length - NAMED} more`);
    if (written.length + removed.length === 0) tell('nothing has changed');
    else if (dryRun) tell('nothing was changed: this is a dry run');
    await writeLines(context.stdout, written);
  });
}

/** For a dry run that has no key: those that are there stay. */
function withoutSignatures(publication: Publication): Publication {
  return { ...publication, owns: (key) => !key.endsWith('.minisig') && publication.owns(key) };
}
