/** The command `release download`. */

import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mapAtMost } from '../../../lib/concurrency.js';
import { CarportError } from '../../../lib/errors.js';
import { makePrivateDirectory } from '../../../lib/filesystem/private-directory.js';
import type { ObjectStore } from '../../../lib/object-store/object-store.js';
import { nearest } from '../../../lib/suggestion.js';
import { type Fetched, fetchFile } from '../../../release/download/fetch.js';
import {
  channelNamed,
  findRelease,
  type Offer,
  type OfferedRelease,
  readOffer,
} from '../../../release/download/offered.js';
import { type WantedFile, wantedFiles } from '../../../release/download/wanted.js';
import { type Context, note, workingDirectory, write, writeJson, writeLines } from '../../cli/context.js';
import { printableLine } from '../../cli/printable.js';
import { count, formatBytes } from '../../cli/terminal.js';
import { sayWarnings, warnPeople } from '../../cli/warnings.js';
import { withCache } from '../../cli/with-caches.js';
import { withActivity } from '../../reporters/activity.js';
import { requireSource } from '../../settings/places.js';
import { withRemembered } from '../remembered-settings.js';
import { channelRuleOf, checkChannelRule, releaseTrustOf } from '../settings.js';
import type { DownloadOptions } from './command.js';

/** Files that are fetched at a time: each is one connection, which a disk keeps up with. */
const AT_ONCE = 4;

/** Downloads the files of a release, each of which is what was signed. */
export async function download(wanted: string, options: DownloadOptions, context: Context): Promise<void> {
  const { settings, out = '.' } = options;
  const { policy } = await releaseTrustOf(settings, options);
  checkChannelRule(settings);
  await withCache(requireSource(settings), { options, context }, async ({ objects }, signal) => {
    const offer = await readOffer(objects, wanted, {
      policy,
      rulesOf(project) {
        const used = withRemembered(settings, project);
        return { channelOf: channelRuleOf(used), requiredTargets: used['required-targets'].value };
      },
      pause: (milliseconds) => sleep(milliseconds, undefined, { signal }),
    });
    const release = findRelease(offer, wanted) ?? refuse(offer, wanted);
    const files = wantedFiles(release, { targets: options.target ?? [], names: options.name ?? [] });
    sayWarnings(
      context,
      offer.warnings.filter(({ about }) => about?.version === release.version),
    );
    warnOf(release, context);
    checkSigned(files, options.allowUnsigned);
    if (out === '-') return toStdout(objects, files, { options, context, signal });
    const directory = resolve(workingDirectory(context), out);
    const fetched = options.dryRun ? [] : await fetchAll(objects, files, { directory, options, context, signal });
    await tell({ release, files, fetched, directory, offer }, options, context);
  });
}

function refuse({ releases }: Offer, wanted: string): never {
  const known = releases.map(({ version }) => version);
  const meant = known.find((each) => wanted !== '' && each.startsWith(wanted)) ?? nearest(wanted, known);
  const what = channelNamed(wanted) ? `no release of \`${wanted}\` that can be used` : `no release \`${wanted}\``;
  throw new CarportError('E_NOT_FOUND', `there is ${what}`, {
    hint: meant !== undefined ? `did you mean \`${meant}\`?` : '`carport release ls` lists those that are there',
  });
}

function warnOf({ version, yanked, incomplete }: OfferedRelease, context: Context): void {
  const say = (message: string) => warnPeople(context)({ type: 'warning', about: { version }, message });
  if (yanked !== undefined) say(`\`${version}\` should not be used any more${yanked === '' ? '' : `: ${yanked}`}`);
  if (incomplete) say(`\`${version}\` is not complete`);
}

function checkSigned(files: readonly WantedFile[], allowUnsigned: boolean): void {
  const unknown = files.find(({ sha256 }) => sha256 === undefined);
  if (unknown === undefined || allowUnsigned) return;
  throw new CarportError('E_SIGNATURE', `nobody who is trusted has signed \`${unknown.key}\``, {
    hint: 'give the key of the project with `--trusted-key`; `--allow-unsigned` takes what is there',
  });
}

interface Surroundings {
  readonly options: DownloadOptions;
  readonly context: Context;
  readonly signal: AbortSignal;
}

function fetchAll(
  objects: ObjectStore,
  files: readonly WantedFile[],
  { directory, options, context, signal }: Surroundings & { readonly directory: string },
): Promise<readonly Fetched[]> {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return withActivity(context, options, async ({ emit }) => {
    emit({ type: 'started', verb: 'download', unit: 'files', items: files.length, bytes });
    return mapAtMost(
      AT_ONCE,
      files,
      async (file) => {
        const onBytes = (more: number) => emit({ type: 'progress', bytes: more });
        const fetched = await fetchFile(objects, file, { directory, signal, onBytes });
        emit({ type: 'item-finished', name: file.parts.join('/'), size: file.size });
        return fetched;
      },
      signal,
    );
  });
}

/** Nothing is printed before all of it is known to be right. */
async function toStdout(
  objects: ObjectStore,
  files: readonly WantedFile[],
  { options, context, signal }: Surroundings,
) {
  const [file, ...more] = files;
  if (more.length > 0 || options.json || options.dryRun) {
    const why = more.length > 0 ? `there are ${files.length} files` : '`--json` and `--dry-run` print something else';
    throw new CarportError('E_USAGE', `\`--out -\` prints one file: ${why}`, {
      hint: 'name one, with `--target` and `--name`, or a directory',
    });
  }
  const directory = await makePrivateDirectory(tmpdir());
  try {
    const { path } = await fetchFile(objects, file!, { directory: directory.path, signal, onBytes: () => undefined });
    for await (const bytes of createReadStream(path, { highWaterMark: 256 * 1024 }))
      await write(context.stdout, bytes as Buffer);
  } finally {
    await directory.remove();
  }
}

interface Done {
  readonly release: OfferedRelease;
  readonly files: readonly WantedFile[];
  readonly fetched: readonly Fetched[];
  readonly directory: string;
  readonly offer: Offer;
}

async function tell({ release, files, fetched, directory, offer }: Done, options: DownloadOptions, context: Context) {
  const { version, channel } = release;
  const stateOf = (file: WantedFile) => fetched.find((each) => each.file === file);
  if (options.json) {
    const told = files.map((file) => {
      const { target, name, size, sha256 = null, parts } = file;
      const done = stateOf(file);
      const state = done?.state ?? 'planned';
      return { target, name, path: parts.join('/'), size, sha256, state, resumed: done?.resumed ?? 0 };
    });
    const signedBy = offer.keyName ?? null;
    return writeJson(context.stdout, {
      release: version,
      channel,
      out: directory,
      signedBy,
      files: told,
      dryRun: options.dryRun,
    });
  }
  const shown = (parts: readonly string[]) =>
    printableLine([relative(workingDirectory(context), directory), ...parts].filter(Boolean).join('/'));
  await writeLines(
    context.stdout,
    files.map(({ parts }) => shown(parts)),
  );
  const here = fetched.filter(({ state }) => state === 'here').length;
  const size = formatBytes(
    fetched.reduce((sum, each) => sum + (each.state === 'here' ? 0 : each.file.size - each.resumed), 0),
  );
  if (options.dryRun)
    note(context, options, `\`${version}\`: would be ${count(files.length, 'file')}; nothing was changed`);
  else
    note(
      context,
      options,
      `\`${version}\`: fetched ${count(fetched.length - here, 'file')} (${size})${here > 0 ? `, ${here} here already` : ''}`,
    );
}
