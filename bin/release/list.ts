/** The commands `release ls` and `show`. */

import { releaseJson, stateOf } from '../../index-generator/index-json.js';
import { pathOfKey } from '../../index-generator/links.js';
import { CarportError } from '../../lib/errors.js';
import { messagesOf, type Notice } from '../../lib/notice.js';
import { nearest } from '../../lib/suggestion.js';
import { buildReleaseIndex } from '../../release/catalog/build.js';
import type { HiddenReason } from '../../release/catalog/hidden.js';
import { allReleases, type Release } from '../../release/catalog/model.js';
import { ownRules } from '../../release/catalog/rules.js';
import { isKeyOfVersion } from '../../release/layout.js';
import { readSources } from '../../release/sources/sources.js';
import { type ChannelRule, isVersion } from '../../release/version.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { keyValueLines } from '../cli/key-values.js';
import { printable, printableLine } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';
import { sayWarnings } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { writeList } from '../reporters/table.js';
import { requireSource } from '../settings/places.js';
import type { ListReleasesOptions, ShowReleaseOptions } from './command.js';
import { withRemembered } from './remembered-settings.js';
import { channelRuleOf, checkIndexSettings, indexOptionsOf, releaseTrustOf } from './settings.js';

/** Hidden ones are in no index: they are being made, or will be removed. */
type State = ReturnType<typeof stateOf> | HiddenReason;

interface Listed {
  readonly release: Release;
  readonly state: State;
}

export async function list(options: ListReleasesOptions, context: Context): Promise<void> {
  await useReleases(options, context, async ({ url, read }) => {
    const { listed, baseUrl, warnings } = await read();
    const { channel } = options;
    const shown = listed.filter(({ release }) => channel === undefined || release.channel === channel);
    sayWarnings(context, warnings);
    if (listed.length === 0) note(context, options, `\`${url}\` has no release`);
    if (options.json) {
      return writeJson(context.stdout, {
        releases: shown.map((each) => listedJson(each, baseUrl)),
        warnings: messagesOf(warnings),
      });
    }
    await writeList(context, shown, {
      columns: ['version', 'channel', 'published', 'state', 'targets'].map((name) => ({ name })),
      row: (each) => cells(each).map(printableLine),
      line: (each) => printable(cells(each).join('  ')),
    });
  });
}

export async function show(version: string, options: ShowReleaseOptions, context: Context): Promise<void> {
  await useReleases(options, context, async ({ channelOf, read }) => {
    const isThis = ({ release }: Listed) => release.version === version;
    // Of a stable release it is told which targets others have.
    const isAlone = isVersion(version) && channelOf(version) !== 'stable';
    const alone = isAlone ? await read(version) : undefined;
    const isEnough = alone?.listed.some((each) => isThis(each) && each.release.channel !== 'stable');
    const { listed, baseUrl, warnings } = alone && isEnough ? alone : await read();
    const found = listed.find(isThis);
    if (!found) throw noSuchRelease(version, listed);
    const about = warnings.filter((warning) => isAbout(version, warning));
    sayWarnings(context, about);
    if (options.json)
      return writeJson(context.stdout, { release: listedJson(found, baseUrl), warnings: messagesOf(about) });
    await writeLines(context.stdout, facts(found, baseUrl).map(printable));
  });
}

/** Whether a notice is about a version, or about an object of it. */
function isAbout(version: string, { about }: Notice): boolean {
  return about?.version === version || (about?.key !== undefined && isKeyOfVersion(about.key, version));
}

interface Releases {
  readonly url: string;
  /** By the settings alone; an index may remember another. */
  readonly channelOf: ChannelRule;
  /** What the index would show, in its order, and after that what is hidden from it; or of one version only. */
  read(version?: string): Promise<ReadReleases>;
}

interface ReadReleases {
  readonly listed: readonly Listed[];
  readonly baseUrl: string | undefined;
  readonly warnings: readonly Notice[];
}

async function useReleases(
  options: ShowReleaseOptions,
  context: Context,
  work: (releases: Releases) => Promise<void>,
): Promise<void> {
  const { settings } = options;
  const { keys, policy } = await releaseTrustOf(settings, options);
  checkIndexSettings(settings);
  await withCache(requireSource(settings), { options, context }, ({ objects }) =>
    work({
      ...{ url: objects.url, channelOf: channelRuleOf(settings) },
      async read(version) {
        const sources = await readSources(objects, policy, version, { withLedger: true });
        const used = withRemembered(settings, sources.project);
        const { baseUrl, requiredTargets } = indexOptionsOf(used, keys);
        const channelOf = channelRuleOf(used);
        const { index, hidden, warnings } = buildReleaseIndex(sources, ownRules(channelOf), requiredTargets);
        const listed = [
          ...allReleases(index).map((release): Listed => ({ release, state: stateOf(release) })),
          ...hidden.map(({ release, reason }): Listed => ({ release, state: reason })),
        ];
        return { listed, baseUrl, warnings };
      },
    }),
  );
}

function listedJson({ release, state }: Listed, baseUrl: string | undefined) {
  return { ...releaseJson(release, baseUrl), state };
}

function cells({ release: { version, channel, time, targets }, state }: Listed): readonly string[] {
  return [version, channel, time, state, targets.map(({ target }) => target).join(' ')];
}

/** Fits the longest name of a fact. */
const WIDTH = 14;

/** A fact a line, then the files of each target. */
function facts({ release, state }: Listed, baseUrl: string | undefined): readonly string[] {
  const { version, channel, time, yanked, signed, commit, ci, promotedFrom, targets, missingTargets } = release;
  // No text of a bucket can look like another fact.
  const fact = (name: string, value: string | undefined) =>
    keyValueLines([[name, value === undefined ? undefined : printableLine(value)]], WIDTH);
  const ran = ci && [ci.system, ci.event, ci.runUrl].filter((part) => part !== null).join('  ');
  return [
    ...fact('version', version),
    ...fact('channel', channel),
    ...fact('state', state),
    ...fact('yanked', yanked && [yanked.time, yanked.reason].filter((part) => part !== null).join('  ')),
    ...fact('time', time),
    ...fact('signed', signed ?? 'no'),
    ...fact('commit', commit),
    ...fact('built by', ran),
    ...fact('made of', promotedFrom?.version),
    ...(promotedFrom?.gates ?? []).flatMap(({ gate, detail }) => fact('gate', `${gate}  ${detail}`)),
    ...fact('missing', missingTargets.length > 0 ? missingTargets.join(' ') : undefined),
    ...targets.flatMap(({ target, files }) => [
      '',
      ...fact('target', target),
      ...files.flatMap(({ name, key, size, sha256, storePath }) => {
        const path = pathOfKey(key);
        return [
          ...fact('file', `${name}  ${count(size, 'byte')} (${formatBytes(size)})`),
          ...fact('sha256', sha256 ?? 'not known: nothing that is signed tells of it'),
          ...fact('key', key),
          ...fact('url', baseUrl !== undefined && path !== undefined ? baseUrl + path : undefined),
          ...fact('store path', storePath),
        ];
      }),
    ]),
  ];
}

function noSuchRelease(version: string, listed: readonly Listed[]): CarportError {
  const known = listed.map(({ release }) => release.version);
  // People copy the first digits of a commit.
  const meant = known.find((each) => version !== '' && each.startsWith(version)) ?? nearest(version, known);
  return new CarportError('E_NOT_FOUND', `there is no release \`${version}\``, {
    hint: meant !== undefined ? `did you mean \`${meant}\`?` : '`carport release ls` lists those that are there',
  });
}
