/** The command `cache fsck`. */

import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CacheUrl } from '../../cache/cache-url.js';
import { type Finding, type FsckReport, levelOf, type Repair } from '../../cache/fsck/finding.js';
import { openCheckedNars } from '../../cache/fsck/look/checked.js';
import { NO_ODDITIES, oddFiles, oddUploads } from '../../cache/fsck/oddities.js';
import { REMOVING } from '../../cache/fsck/remove.js';
import { checkCache, type FsckRequest, type FsckResult } from '../../cache/fsck/session.js';
import { readLeases } from '../../cache/leases/documents.js';
import { timesFor } from '../../cache/leases/hold.js';
import { leasingFor } from '../../cache/leases/lease.js';
import type { OpenCache } from '../../cache/open.js';
import { CarportError, insteadOf } from '../../lib/errors.js';
import { asWritable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { withOwnKeys } from '../../lib/signing/trust.js';
import { stateDirectory } from '../../lib/state-directory.js';
import { openStoreForReading } from '../../lib/store/open.js';
import { type Context, note, writeJsonLine, writeLines } from '../cli/context.js';
import { count } from '../cli/terminal.js';
import { patienceOf, withCaches } from '../cli/with-caches.js';
import { withPool } from '../cli/with-pool.js';
import { packingOf } from '../push/packing.js';
import { withActivity } from '../reporters/activity.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { FsckOptions } from './life.js';

/** Checks a cache, and repairs it where that is wished. Throws `E_INTEGRITY` while something is broken. */
export async function fsck(url: CacheUrl, options: FsckOptions, context: Context): Promise<void> {
  if (options.repair && options.dryRun) {
    throw new CarportError('E_USAGE', '`--repair` and `--dry-run` exclude each other');
  }
  const urls = options.from === undefined ? [url] : [url, options.from];
  await withCaches(urls, { options, context }, async ([cache, from], signal) => {
    const { objects } = cache!;
    await requireDirectory(cache!);
    if (from?.objects.url === objects.url) throw sameCache(objects.url);
    const store = asWritable(objects, 'which cannot be listed, and so not be checked');
    const request = await requestOf(url, from?.objects, objects, options, context);
    const checked = await openCheckedNars(join(stateDirectory(context.env), 'fsck'), objects.url);
    try {
      if (options.contents && checked.known > 0) {
        note(context, options, `going on: ${count(checked.known, 'NAR')} were read by a check that was stopped`);
      }
      const patience = patienceOf(options) * 1000;
      const result = await withPool(options.settings.jobs.value, (pool) =>
        withActivity(context, options, ({ emit, stop }) => {
          const removing = { ...REMOVING, times: timesFor(REMOVING.times, patience) };
          const work = { emit, signal, pool, checked, oddities: odditiesOf(cache!), leasing: leasingFor(patience) };
          return checkCache(store, request, { ...work, removing, report: reportTo(context, options, stop) });
        }),
      );
      sum(objects, result, request.sources.trust.keys.length > 0, options, context);
      if (result.left.broken > 0) throw brokenError(objects, result, options);
    } finally {
      await checked.close();
    }
  });
}

/** A directory that is not there is not made, and a file is none. */
async function requireDirectory({ url: { location } }: OpenCache): Promise<void> {
  if (location.kind !== 'file') return;
  const there = await stat(location.root).catch(() => undefined);
  if (!there || there.isDirectory()) return;
  throw new CarportError('E_NOT_FOUND', `\`${location.root}\` is a file, and no directory of a cache`, {
    hint: 'name the directory that has `nix-cache-info` in it',
  });
}

async function requestOf(
  url: CacheUrl,
  from: ObjectStore | undefined,
  { url: name }: ObjectStore,
  options: FsckOptions,
  context: Context,
): Promise<FsckRequest> {
  const { settings, allowUnsigned, repair, contents, keepNewerThan } = options;
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...url.secretKeyFiles]);
  const trust = withOwnKeys({ keys: settings['trusted-keys'].value, allowUnsigned }, keys);
  const store = repair ? await openStoreForReading(settings.store.value, context.env) : undefined;
  const packing = packingOf(settings, url, { listing: true });
  const kept = join(stateDirectory(context.env), 'fsck', 'removed', name.replace(/[^A-Za-z0-9.]+/g, '-'));
  return {
    sources: { store, from, trust, keys, packing },
    ...{ repair, contents, keepNewerThan },
    async keep(key, bytes) {
      const path = join(kept, key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
      note(context, options, `a copy of \`${key}\` is kept at \`${path}\``);
    },
  };
}

function odditiesOf({ url, objects, bucket }: OpenCache) {
  if (url.location.kind === 'file') return oddFiles(url.location.root);
  if (bucket === undefined) return NO_ODDITIES;
  const isBusy = () => readLeases(objects).then(({ live }) => live.length > 0, insteadOf('E_INTEGRITY', true));
  return oddUploads(bucket, isBusy);
}

/** A line for each, as it comes. */
function reportTo(context: Context, options: FsckOptions, stop: () => void): FsckReport {
  const print = (line: string) => {
    stop();
    void writeLines(context.stdout, [line]);
  };
  if (options.json) {
    return {
      found: (finding) => writeJsonLine(context.stdout, { type: 'finding', level: levelOf(finding), ...finding }),
      repaired: (repair) => writeJsonLine(context.stdout, { type: 'repair', ...repair }),
    };
  }
  return {
    found(finding) {
      // Who asked for quiet has it from cron: what harms nobody is for those who look.
      if (!options.quiet || levelOf(finding) === 'broken') print(lineOf(finding));
    },
    repaired: ({ did, key, path, message }: Repair) => print(`${did} ${path ?? key}: ${message}`),
  };
}

function lineOf(finding: Finding): string {
  const { kind, key, path, message, hint } = finding;
  const about = path === undefined ? `\`${key}\`` : path;
  return `${levelOf(finding)} ${kind} ${about}: ${message}${hint === undefined ? '' : ` (${hint})`}`;
}

function sum(objects: ObjectStore, result: FsckResult, hasKeys: boolean, options: FsckOptions, context: Context): void {
  const { paths, found, mended, removed, left } = result;
  if (options.json) {
    const { repair, contents } = options;
    writeJsonLine(context.stdout, { type: 'result', url: objects.url, repair, contents, ...result });
    return;
  }
  if (!hasKeys) {
    note(context, options, 'signatures were not checked: `--trusted-key` names who is believed');
  }
  const waste = found.leftover > 0 ? `, ${count(found.leftover, 'leftover')}` : '';
  note(context, options, `checked ${count(paths, 'path')}: ${count(found.broken, 'fault')}${waste}`);
  if (options.repair && found.broken + found.leftover > 0) {
    note(context, options, `mended ${mended}, removed ${removed}; ${count(left.broken, 'fault')} left`);
  }
}

function brokenError({ url }: ObjectStore, { left }: FsckResult, { repair, contents }: FsckOptions): CarportError {
  return new CarportError('E_INTEGRITY', `\`${url}\` has ${count(left.broken, 'fault')}`, {
    hint: repair
      ? 'see what was refused, and why: `--from` names a cache to take from, `--trusted-key` whom to believe'
      : `\`--repair\` mends what a store or \`--from CACHE\` has, and removes the rest${contents ? '' : '; `--contents` reads the NARs, too'}`,
  });
}

function sameCache(url: string): CarportError {
  return new CarportError('E_USAGE', `\`${url}\` is to be repaired from itself`, {
    hint: 'name another cache with `--from`, such as a mirror',
  });
}
