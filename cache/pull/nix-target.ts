import { mkdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { writeFileAtomic } from '../../lib/filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';
import { renderCacheInfo } from '../../lib/nix/cache-info.js';
import { type NarInfo, type PathInfo, renderNarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf, isStorePath } from '../../lib/nix/store-path.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { withStoreWrite } from '../../lib/store/activity.js';
import { importIntoNix, makeNixRoot } from '../../lib/store/nix-import.js';
import { openStoreForWriting } from '../../lib/store/open.js';
import { writePulledPin } from '../../lib/store/pulled-pins.js';
import { checkReplaceable } from '../../lib/store/roots.js';
import type { Store } from '../../lib/store/store.js';
import type { PathReceiver, PullTarget } from './target.js';

/** Bytes of NARs that wait for Nix, roughly: then it takes them in, so that temporary space is not needed for all. */
const BATCH_SIZE = 512 * 1024 * 1024;

/**
 * The system's Nix. Checked NARs are put into a private binary cache, which Nix copies into its store: it checks the
 * signatures and hashes itself, and keeps the signatures.
 */
export function createNixTarget(
  store: Store,
  trust: TrustPolicy,
  env: NodeJS.ProcessEnv,
  batchSize = BATCH_SIZE,
): PullTarget {
  return {
    store,
    // Nix's own business: what it has just copied it keeps until the copying process ends.
    protect: (work) => work(),
    async receive(_pool, signal, work) {
      const directory = await makePrivateDirectory(env);
      try {
        await writeFileAtomic(
          join(directory, 'nix-cache-info'),
          join(directory, 'new-cache-info'),
          renderCacheInfo({ storeDir: store.storeDir }),
        );
        const take = (infos: readonly PathInfo[]) =>
          importIntoNix(infos, {
            cache: directory,
            keys: trust.keys,
            checkSignatures: !trust.allowUnsigned,
            env,
            signal,
          });
        const { receiver, finish } = await createReceiver(directory, take, batchSize);
        const result = await work(receiver);
        await finish();
        return result;
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
    async makeOutLink(link, path) {
      await removeForeignLink(link, store.storeDir);
      await makeNixRoot(path, resolve(link), env);
    },
    async keepPin(pin) {
      const own = openStoreForWriting(undefined, env);
      if (own.storeDir === store.storeDir) await withStoreWrite(own, () => writePulledPin(own, pin));
    },
  };
}

/** Nix replaces its own out-links, but not those of carport's own store. */
async function removeForeignLink(link: string, storeDir: string): Promise<void> {
  await checkReplaceable(link);
  const target = await readlink(link).catch(() => undefined);
  if (target !== undefined && !isStorePath(target, storeDir)) await rm(link);
}

async function makePrivateDirectory({ TMPDIR }: NodeJS.ProcessEnv): Promise<string> {
  const parent = TMPDIR || tmpdir();
  await removeLeftovers(parent);
  const directory = (await createTemporaryNames(parent))();
  await mkdir(directory, { mode: 0o700 });
  return directory;
}

async function createReceiver(
  directory: string,
  take: (infos: readonly PathInfo[]) => Promise<void>,
  batchSize: number,
) {
  const temporaryName = await createTemporaryNames(directory);
  let waiting: NarInfo[] = [];
  let size = 0;
  let taking: Promise<void> = Promise.resolve();
  const narInfoFile = ({ path }: PathInfo) => join(directory, `${hashPartOf(path)}.narinfo`);

  const takeAll = async (): Promise<void> => {
    const infos = waiting;
    waiting = [];
    size = 0;
    await take(infos);
    for (const info of infos) {
      for (const file of [narInfoFile(info), join(directory, info.url)]) await rm(file);
    }
  };
  const receiver: PathReceiver = {
    job: 'save',
    temporaryName,
    hasLeft: async () => false,
    async place(temporary, info) {
      const narInfo = toNarInfo(info, basename(temporary));
      await writeFileAtomic(narInfoFile(info), temporaryName(), renderNarInfo(narInfo));
      waiting.push(narInfo);
      size += info.narSize;
      if (size >= batchSize) taking = taking.then(takeAll);
      await taking;
    },
    register: () => Promise.resolve(),
  };
  return { receiver, finish: () => taking.then(takeAll) };
}

/** What was signed, the signatures, and hints that harm nobody: Nix itself keeps a content address only if it fits. */
function toNarInfo(info: PathInfo, url: string): NarInfo {
  return { ...info, url, compression: 'none', unknownFields: [] };
}
