/** Carport's own store: what is registered in it. */

import { createLimit, inTurns } from '../../concurrency.js';
import type { CarportError } from '../../errors.js';
import { namesIn } from '../../filesystem/exists.js';
import type { PathGraph } from '../../nix/closure.js';
import { hashPartOf, isStoreBaseName } from '../../nix/store-path.js';
import type { Store } from '../store.js';
import { walkReferences } from '../walk-references.js';
import { infoFile, realPathIn, type StoreLayout, storeLayout } from './layout.js';
import { isDamage, type Registrations, readMetadata } from './metadata.js';

/** Metadata files that are read at a time. */
const READS_AT_ONCE = 128;

/** carport's own store: `<root>/nix/store`, and metadata in narinfos below `<root>/nix/var/carport`. */
export interface OwnStore extends Store {
  readonly layout: StoreLayout;
  /** Every path that is registered, whether its files are still there or not. */
  queryAll(): Promise<Registrations>;
  /** Every path that is registered, and metadata that cannot be read: `queryAll` throws for the first of them. */
  queryReadable(): Promise<{ readonly registered: Registrations; readonly damaged: readonly DamagedMetadata[] }>;
}

/** A metadata file that says nothing. */
export interface DamagedMetadata {
  readonly file: string;
  /** What its name says, if anything. */
  readonly hashPart: string;
  readonly error: CarportError;
}

const METADATA_ENDING = '.narinfo';

export function openOwnStore(root: string): OwnStore {
  const layout = storeLayout(root);
  const limit = createLimit(READS_AT_ONCE);
  const read = (hashPart: string) => limit(() => readMetadata(layout, hashPart));
  const queryInfos = async (paths: readonly string[]): Promise<Registrations> => {
    const infos = await Promise.all(paths.map((path) => read(hashPartOf(path))));
    // Same hash part, another name: that path is not here.
    return new Map(infos.filter((info, index) => info?.path === paths[index]).map((info) => [info!.path, info!]));
  };
  const queryReadable: OwnStore['queryReadable'] = async () => {
    const names = (await namesIn(layout.infoDir)).filter((name) => name.endsWith(METADATA_ENDING));
    const damaged: DamagedMetadata[] = [];
    const infos = names.map(async (name) => {
      const hashPart = name.slice(0, -METADATA_ENDING.length);
      return read(hashPart).catch((error) => {
        if (!isDamage(error)) throw error;
        damaged.push({ file: infoFile(layout, hashPart), hashPart, error });
      });
    });
    const found = (await Promise.all(infos)).filter((info) => info !== undefined);
    return { registered: new Map(found.map((info) => [info.path, info])), damaged };
  };
  return {
    layout,
    storeDir: layout.storeDir,
    realStoreDirs: [layout.realStoreDir],
    description: `the store at \`${layout.root}\``,
    queryInfos,
    queryClosure: (paths) => walkReferences(paths, queryInfos),
    queryReadable,
    async queryAll() {
      const { registered, damaged } = await queryReadable();
      if (damaged[0]) throw damaged[0].error;
      return registered;
    },
    async queryHashParts() {
      const [names, infos] = await Promise.all([namesIn(layout.realStoreDir), namesIn(layout.infoDir)]);
      const valid = new Set(infos);
      const paths = new Map<string, string>();
      await inTurns(names, (name) => {
        if (!isStoreBaseName(name)) return;
        const part = hashPartOf(name);
        if (valid.has(`${part}.narinfo`)) paths.set(part, `${layout.storeDir}/${name}`);
      });
      return paths;
    },
    realPath: ({ path }) => realPathIn(layout, path),
  };
}

/** A store as it is, in which a path whose metadata cannot be read is not there: it can be pulled again. */
export function withoutDamagedMetadata(store: OwnStore): OwnStore {
  const queryInfos = (paths: readonly string[]) => queryUndamaged(store, paths);
  return { ...store, queryInfos, queryClosure: (paths) => walkReferences(paths, queryInfos) };
}

/** What is known of paths, without those whose metadata cannot be read. */
export async function queryUndamaged(store: Pick<Store, 'queryInfos'>, paths: readonly string[]): Promise<PathGraph> {
  try {
    return await store.queryInfos(paths);
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (paths.length < 2) return new Map();
  }
  const each = await Promise.all(paths.map((path) => queryUndamaged(store, [path])));
  return new Map(each.flatMap((infos) => [...infos]));
}
