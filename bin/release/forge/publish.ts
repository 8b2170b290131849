/** The command `release forge-publish`. */

import { CarportError } from '../../../lib/errors.js';
import type { Forge, ForgeKind } from '../../../lib/forge/contract.js';
import { openForge } from '../../../lib/forge/open.js';
import type { ForgePlace } from '../../../lib/forge/place.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import { versionOfTag } from '../../../release/component.js';
import { checkPattern } from '../../../release/forge/names.js';
import { tellDifference } from '../../../release/forge/plan.js';
import { promoteOnForge } from '../../../release/forge/promote.js';
import { type ForgeRequest, type ForgeResult, publishOnForge } from '../../../release/forge/publish.js';
import { withSums } from '../../../release/forge/sums.js';
import { checkCommit, checkTag } from '../../../release/version.js';
import { type Context, note, writeJson, writeLines } from '../../cli/context.js';
import { interruptible } from '../../cli/interrupt.js';
import { printableLine } from '../../cli/printable.js';
import { count, formatBytes } from '../../cli/terminal.js';
import { withCache } from '../../cli/with-caches.js';
import { withActivity } from '../../reporters/activity.js';
import { openClient } from '../../reporters/http-client.js';
import { requireSource } from '../../settings/places.js';
import { checkNotesOptions, readNotes } from '../notes.js';
import { withRemembered } from '../remembered-settings.js';
import { channelRuleOf, checkChannelRule, releaseTrustOf } from '../settings.js';
import { notesFor } from '../steps/notes.js';
import type { ForgeOptions } from './command.js';
import { type FoundFiles, filesOfBucket, filesOfPaths } from './files.js';
import { tokenFor } from './token.js';
import { placeOf } from './where.js';

export async function forgePublish(
  version: string,
  words: readonly string[],
  options: ForgeOptions,
  context: Context,
): Promise<void> {
  const { place, files } = placeOf(words, options, context.env);
  checkNotesOptions(options);
  checkChannelRule(options.settings);
  if (options.assetName !== undefined) checkPattern(options.assetName);
  const tag = options.tag ?? version;
  checkTag(tag, options.tag === undefined ? 'the version' : '--tag');
  if (options.commit !== undefined) checkCommit(options.commit, '--commit');
  const token = await tokenFor(place, options.tokenFile, context);
  if (token === undefined && !options.dryRun) throw noToken(place.kind);
  const said = await notesOf({ version: versionOfTag(version), tag, place }, options, context);
  const stop = new AbortController();
  const result = await withActivity(context, options, ({ emit }) =>
    interruptible(
      () => stop.abort(),
      async () => {
        const work: Work<ActivityEvent> = { emit, signal: stop.signal };
        const use = { options, context, emit };
        return withFiles(versionOfTag(version), files, use, async (found) => {
          const forge = open(place, token, use, work);
          try {
            const assets = await assetsOf(forge, versionOfTag(version), found, options);
            const request = requestOf({ version, tag, said }, { ...found, assets }, options);
            return await (options.promote ? promoteOnForge : publishOnForge)(forge, request, work);
          } finally {
            forge.close();
          }
        });
      },
    ),
  );
  await tell(result, { place, tag }, options, context);
}

/** The files, and their sums where these are asked for. */
async function assetsOf(
  { traits }: Forge,
  version: string,
  { assets, time }: FoundFiles,
  options: ForgeOptions,
): Promise<FoundFiles['assets']> {
  if (!options.checksums || assets.length === 0) return assets;
  const { keys } = await releaseTrustOf(options.settings, options);
  return withSums(assets, traits, { version, time, key: keys[0] });
}

/** What was asked for, of a file, of the tag or of commits. */
async function notesOf(
  { version, tag, place }: { readonly version: string; readonly tag: string; readonly place: ForgePlace },
  options: ForgeOptions,
  context: Context,
): Promise<string | undefined> {
  if (!options.notesFromCommits) return readNotes(options, { version, tag }, context);
  const forge = { kind: place.kind === 'github' ? ('github' as const) : ('gitea' as const), url: place.address };
  const request = { version, fromCommits: true, forge, channelOf: channelRuleOf(options.settings) };
  return (await notesFor(request, context)).notes;
}

interface Use {
  readonly options: ForgeOptions;
  readonly context: Context;
  readonly emit: Work<ActivityEvent>['emit'];
}

/** Finds the files, which are there until the work is done. A promotion needs none. */
async function withFiles<T>(
  version: string,
  files: readonly string[] | undefined,
  use: Use,
  work: (found: FoundFiles) => Promise<T>,
): Promise<T> {
  const { options } = use;
  const none = { assets: [], commit: undefined, notes: undefined, targets: [], time: undefined, project: undefined };
  if (files) return work({ ...none, assets: await filesOfPaths(files) });
  const { from, to } = options.settings;
  if (options.promote && from.value.length === 0 && to.value === undefined) return work(none);
  const source = requireSource(options.settings);
  const { policy } = await releaseTrustOf(options.settings, options);
  return withCache(source, use, async ({ objects }) => {
    const found = await filesOfBucket(objects, policy, { version, pattern: options.assetName });
    return work(found);
  });
}

function open(
  place: ForgePlace,
  token: string | undefined,
  { options, context, emit }: Use,
  { signal }: Work<ActivityEvent>,
): Forge {
  const http = openClient({ context, options, emit, signal, stallMs: STALL_MS });
  const limits = {
    ...{ patienceMs: options.rateLimitWait, signal },
    onPause: ({ host, seconds }: { readonly host: string; readonly seconds: number }) =>
      emit({
        type: 'warning',
        message: `\`${host}\` asks for fewer requests: going on in ${count(seconds, 'second')}`,
      }),
  };
  return openForge({ place, http, token, limits });
}

/** A forge that has got all of a large file looks at it before it answers. */
const STALL_MS = 120_000;

function requestOf(
  { version, tag, said }: { readonly version: string; readonly tag: string; readonly said: string | undefined },
  { assets, commit, notes, targets, project }: FoundFiles,
  options: ForgeOptions,
): ForgeRequest {
  const settings = withRemembered(options.settings, project);
  const channelOf = channelRuleOf(settings);
  const lacking = settings['required-targets'].value.filter((target) => !targets.includes(target));
  if (lacking.length > 0 && targets.length > 0 && !options.draft) {
    throw new CarportError('E_GATE', `\`${version}\` lacks ${lacking.map((each) => `\`${each}\``).join(', ')}`, {
      hint: 'publish those targets in the bucket first, or leave it a draft with `--draft`',
    });
  }
  const { title, prerelease, latest, createTag, draft, amend, keepExtra, dryRun } = options;
  const isPrerelease = prerelease ?? channelOf(versionOfTag(tag)) !== 'stable';
  const wanted = {
    ...{ tag, commit: options.commit ?? commit, createsTag: createTag, title, notes: said, usualNotes: notes ?? '' },
    ...{ isPrerelease, isPrereleaseSaid: prerelease !== undefined, isLatest: latest, assets },
  };
  if (assets.length === 0 && !options.promote) {
    throw new CarportError('E_USAGE', 'there is no file to publish', { hint: 'name files with `--files`' });
  }
  return { wanted, channelOf, dryRun, staysDraft: draft, amends: amend, keepsExtra: keepExtra };
}

const DONE: Readonly<Record<ForgeResult['state'], string>> = {
  published: 'is published',
  amended: 'is published, and what was different is mended',
  draft: 'is a draft with all files',
  unchanged: 'is published already: nothing to do',
  promoted: 'is a stable release now',
  planned: 'would be published: nothing was changed',
};

/** A plan for what is published already says what the run would. */
function doneOf({ state, release, differences }: ForgeResult, { amend, keepExtra, promote }: ForgeOptions): string {
  if (state !== 'planned' || promote || !release || release.isDraft) return DONE[state];
  const isRight = differences.every(({ fault }) => fault === 'twice' || (fault === 'extra' && (amend || keepExtra)));
  if (isRight) return 'is published already, with these files';
  return amend
    ? 'is published, and would be mended'
    : 'is published and differs: it would be refused without `--amend`';
}

async function tell(
  result: ForgeResult,
  { place, tag }: { readonly place: ForgePlace; readonly tag: string },
  options: ForgeOptions,
  context: Context,
): Promise<void> {
  const { state, release, assets, removed, differences, isLatest } = result;
  if (options.json) {
    return writeJson(context.stdout, {
      result: state === 'planned' ? 'planned' : state === 'unchanged' ? 'skipped' : 'done',
      forge: {
        ...{ kind: place.kind, address: place.address, tag, state },
        release: release
          ? {
              id: release.id,
              title: release.title,
              draft: release.isDraft,
              prerelease: release.isPrerelease,
              url: release.page ?? null,
            }
          : null,
        latest: isLatest ?? null,
        assets: assets.map(({ storedName, ...asset }) => ({ ...asset, storedName })),
        ...{ removed, differences },
      },
    });
  }
  if (state === 'planned') for (const each of differences) note(context, options, tellDifference(each));
  const bytes = assets.reduce((sum, { size }) => sum + size, 0);
  const sent = assets.filter((asset) => asset.state === 'sent' || asset.state === 'replaced').length;
  const amount = assets.length === 0 ? '' : `: ${count(assets.length, 'file')} (${formatBytes(bytes)}), ${sent} sent`;
  note(
    context,
    options,
    `\`${tag}\` ${doneOf(result, options)}${amount}${removed.length > 0 ? `, ${removed.length} removed` : ''}`,
  );
  if (release?.page !== undefined) await writeLines(context.stdout, [printableLine(release.page)]);
}

function noToken(kind: ForgeKind): CarportError {
  const name = { github: 'GITHUB_TOKEN', gitea: 'GITEA_TOKEN', forgejo: 'FORGEJO_TOKEN' }[kind];
  return new CarportError('E_CREDENTIALS', 'there is no token for the forge', {
    hint: `set CARPORT_FORGE_TOKEN or ${name}, or give \`--token-file FILE\``,
  });
}
