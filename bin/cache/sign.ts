/** The command `cache sign`. */

import { requireCacheInfo } from '../../cache/binary-cache.js';
import type { CacheUrl } from '../../cache/cache-url.js';
import { leasingFor } from '../../cache/leases/lease.js';
import type { PathRefusal } from '../../cache/resign/paths.js';
import {
  type DocumentRefusal,
  gatherDocuments,
  type ResignedCache,
  type ResignedDocuments,
  resignCache,
} from '../../cache/resign/session.js';
import { CarportError } from '../../lib/errors.js';
import { withOwnKeys } from '../../lib/signing/trust.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { whyDoubted } from '../../release/documents/doubt.js';
import { hasIndex, listReleaseDocuments, resignReleaseDocument } from '../../release/documents/resign.js';
import { type Context, note, writeJson } from '../cli/context.js';
import { count } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { patienceOf, withCache } from '../cli/with-caches.js';
import { withPool } from '../cli/with-pool.js';
import { withActivity } from '../reporters/activity.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { SignOptions } from './life.js';

/** What became of a bucket. */
interface Resigned extends ResignedCache {
  readonly documents: ResignedDocuments;
}

/** Signs all of a cache, its pins and the releases beside it with other keys. Throws at the end where something was refused. */
export async function signCache(url: CacheUrl, options: SignOptions, context: Context): Promise<void> {
  const { settings, remove = [], dryRun } = options;
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...url.secretKeyFiles]);
  const trust = withOwnKeys({ keys: settings['trusted-keys'].value, allowUnsigned: false }, keys);
  if (keys.length === 0 && remove.length === 0) throw nothingToDo();
  const both = keys.find(({ name }) => remove.includes(name));
  if (both) throw bothWays(both.name);
  const resigned = await withCache(url, { options, context }, async ({ objects }, signal) => {
    await requireCacheInfo(objects);
    const use = (contents?: WorkerPool) =>
      withActivity(context, options, async ({ emit }): Promise<Resigned> => {
        const leasing = leasingFor(patienceOf(options) * 1000);
        const request = { keys, trust, remove, dryRun, leasing, ...(contents && { contents }) };
        const cache = await resignCache(objects, request, { emit, signal });
        const documents = await gatherDocuments(await listReleaseDocuments(objects), (key) =>
          resignReleaseDocument(objects, key, request),
        );
        return { ...cache, documents };
      });
    const done = await (options.contents ? withPool(settings.jobs.value, use) : use());
    if (!dryRun && (await hasIndex(objects)))
      note(context, options, 'run `carport index publish` with the same keys next: it signs the index of releases');
    return done;
  });
  await report(url, resigned, options, context);
}

async function report(url: CacheUrl, resigned: Resigned, options: SignOptions, context: Context): Promise<void> {
  const { paths, pins, realisations, documents } = resigned;
  const warn = warnPeople(context);
  const refusals = [
    ...paths.refused.map(({ path, why }) => ({ what: path, why: PATH_REFUSALS[why] })),
    ...[...pins.refused, ...realisations.refused, ...documents.refused].map(({ key, why }) => ({
      what: key,
      why: whyDocument(why),
    })),
  ];
  for (const { what, why } of refusals) warn({ type: 'warning', message: `\`${what}\` stays as it is: ${why}` });
  if (options.json) {
    const shown = (of: ResignedDocuments) => ({
      ...of,
      refused: of.refused.map(({ key, why }) => ({ key, why: why.kind })),
    });
    await writeJson(context.stdout, {
      ...{ paths, pins: shown(pins), realisations: shown(realisations), documents: shown(documents) },
      dryRun: options.dryRun,
    });
  }
  const said = options.dryRun ? 'would change' : 'changed';
  const each = [
    `${count(paths.signed, 'path')} of ${paths.signed + paths.asTheyWere + paths.refused.length}`,
    count(pins.signed, 'pin'),
    ...(realisations.signed > 0 ? [count(realisations.signed, 'realisation')] : []),
    `${count(documents.signed, 'document')} about releases`,
  ];
  note(context, options, `${said} the signatures of ${each.join(', ')}`);
  if (refusals.length > 0) throw incomplete(url, refusals.length);
}

const PATH_REFUSALS: Readonly<Record<PathRefusal, string>> = {
  damaged: 'its narinfo cannot be read',
  untrusted: 'no trusted key has signed it; `--trusted-key` names one, `--contents` reads its NAR instead',
  'wrong-signature': 'the signature by a trusted key is wrong',
  'nar-missing': 'its NAR is missing',
  'nar-damaged': 'its NAR is not what its narinfo says',
  'refers-to-refused': 'it refers to a path that stays as it is',
  'last-signature': 'no other trusted key has signed it',
  changed: 'somebody has written another narinfo meanwhile',
};

function whyDocument(why: DocumentRefusal): string {
  if (why.kind === 'last-signature') return PATH_REFUSALS['last-signature'];
  if (why.kind === 'unsigned-paths') return 'not all that it stands for has the new signatures';
  return whyDoubted(why);
}

function incomplete({ location }: CacheUrl, refused: number): CarportError {
  const where = location.kind === 'file' ? location.root : location.kind;
  return new CarportError(
    'E_SIGNATURE',
    `${count(refused, 'object')} in the cache (${where}) could not be signed again`,
    {
      hint: 'all others are signed; see the warnings, mend these, and run it again',
    },
  );
}

function nothingToDo(): CarportError {
  return new CarportError('E_USAGE', 'there is nothing to do: no key signs, and no signature is to go', {
    hint: 'give the new key with `--secret-key FILE`, or the name of an old one with `--remove NAME`',
  });
}

function bothWays(name: string): CarportError {
  return new CarportError('E_USAGE', `\`${name}\` is to sign, and its signatures are to go`, {
    hint: 'a key of the same name replaces the signatures of the old one without `--remove`',
  });
}
