/** The command `release put`. */

import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CacheUrl } from '../../cache/cache-url.js';
import { CarportError } from '../../lib/errors.js';
import { type Build, noVersion, readBuild } from '../../release/ci/detect.js';
import { FRAGMENT_LIMITS, toReleaseTime } from '../../release/documents/kinds.js';
import { isFileName, isSidecar, isTarget } from '../../release/layout.js';
import type { FileToPut, PutFile, PutRequest } from '../../release/put/request.js';
import { putRelease } from '../../release/put/session.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { warnPeople } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { withActivity } from '../reporters/activity.js';
import { requireCache } from '../settings/places.js';
import type { PutOptions } from './command.js';
import { findLocalFiles } from './local-files.js';
import { checkNotesOptions, readNotes } from './notes.js';
import { channelRuleOf, releaseTrustOf, signingOf } from './settings.js';
import { adviceOnTag } from './stable-advice.js';

const DEFAULT_CACHE_CONTROL = 'public, max-age=86400';

export async function put(words: readonly string[], options: PutOptions, context: Context): Promise<void> {
  const { replace, dryRun, contentType, cacheControl = DEFAULT_CACHE_CONTROL, settings } = options;
  const warn = warnPeople(context);
  const build = readBuild(context.env, channelRuleOf(settings), options);
  for (const message of build.warnings) warn({ type: 'warning', message });
  const { version, commit = null } = build;
  if (version === undefined) throw noVersion(build);
  const target = targetOf(options, context);
  checkNotesOptions(options);
  for (const [option, value] of [
    ['--content-type', contentType],
    ['--cache-control', cacheControl],
  ] as const) {
    checkHeader(option, value);
  }
  const to = requireCache(settings.to);
  const signing = await (dryRun ? releaseTrustOf : signingOf)(settings, options);
  const files = filesToPut(await findLocalFiles(words), options.name);
  const notes = await readNotes(options, { version, tag: build.tag }, context);
  const ci = { system: build.system, event: short(build.event), runUrl: short(build.runUrl) };
  const request: PutRequest = {
    version,
    target,
    commit,
    ci,
    files,
    time: toReleaseTime(new Date()),
    replace,
    allowFaulty: options.allowFaultyPackages,
    dryRun,
    cacheControl,
    ...(contentType !== undefined && { contentType }),
    ...(notes !== undefined && { notes }),
    keys: signing.keys,
    policy: signing.policy,
  };
  const done = await putTo(to, request, options, context);
  const sorted = [...done].sort((a, b) => (a.key < b.key ? -1 : 1));
  if (options.json) {
    const release = { version, channel: build.channel, target, commit, files: sorted };
    return writeJson(context.stdout, { dryRun, release });
  }
  const advice = build.channel === 'extra' ? adviceOnTag(version, settings['stable-pattern']) : undefined;
  if (advice !== undefined) note(context, options, advice);
  for (const file of sorted) note(context, options, `${stateOf(file, dryRun)}: ${file.key}`);
  await writeLines(
    context.stdout,
    sorted.map(({ key }) => key),
  );
}

/** Puts what was asked for, and shows how far it is. */
function putTo(to: CacheUrl, request: PutRequest, options: PutOptions, context: Context): Promise<readonly PutFile[]> {
  return withActivity(context, options, ({ emit }) =>
    withCache(to, { options, context, emit }, ({ objects }, signal) => {
      const pause = (milliseconds: number) => sleep(milliseconds, undefined, { signal });
      return putRelease(objects, request, { emit, signal, pause });
    }),
  );
}

function targetOf({ target: option }: PutOptions, { env }: Context): string {
  const target = option ?? env.TARGET;
  const origin = option === undefined ? 'TARGET' : '--target';
  const hint = 'give the triple of the platform, such as `--target x86_64-unknown-linux-musl`, or set TARGET to it';
  if (target === undefined) throw new CarportError('E_USAGE', 'it is not said for which target', { hint });
  if (target === '') throw new CarportError('E_USAGE', `the target (${origin}) is empty`, { hint });
  if (isTarget(target)) return target;
  throw new CarportError('E_USAGE', `\`${target}\` (${origin}) cannot be the name of a target`, { hint });
}

/** What a server would take for the end of a header, or would not take at all. */
function checkHeader(option: string, value: string | undefined): void {
  if (value === undefined || /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return;
  throw new CarportError('E_USAGE', `what \`${option}\` gives cannot be sent`, {
    hint: 'it takes letters, digits and punctuation of ASCII, and spaces between them',
  });
}

function filesToPut(paths: readonly string[], given: string | undefined): readonly FileToPut[] {
  if (given !== undefined && paths.length > 1) {
    throw new CarportError('E_USAGE', `\`--name\` is for one file, and there are ${paths.length}`, {
      hint: 'publish them one by one, or under their own names',
    });
  }
  const byName = new Map<string, string>();
  for (const path of paths) {
    const name = given ?? basename(path);
    checkName(name, path);
    const other = byName.get(name);
    if (other !== undefined) {
      throw new CarportError('E_USAGE', `\`${other}\` and \`${path}\` would be published under one name`, {
        hint: 'publish one of them alone, with `--name`',
      });
    }
    byName.set(name, path);
  }
  return [...byName].map(([name, path]) => ({ name, path }));
}

function checkName(name: string, path: string): void {
  if (isSidecar(name)) {
    throw new CarportError('E_USAGE', `\`${path}\` is a file about a file, and no build`, {
      hint: 'leave it out: `carport index publish` makes checksums and signatures of all that is published',
    });
  }
  if (isFileName(name)) return;
  throw new CarportError('E_USAGE', `\`${name}\` cannot be the name of a published file`, {
    hint: 'give another with `--name`: at most 128 letters, digits and `.`, `_`, `-`, `+`, `~`, `@`, `=`, `,`, the first a letter or digit',
  });
}

/** Not known, where it is longer than a fragment has it. */
function short(text: Build['event']): string | null {
  return text === undefined || text.length > FRAGMENT_LIMITS.text ? null : text;
}

function stateOf({ state }: PutFile, dryRun: boolean): string {
  return state === 'uploaded' && dryRun ? 'would upload' : state;
}
