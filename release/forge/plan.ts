/** What a release of a forge has beside what it should have. Pure. */

import type { ForgeAsset, ForgeTraits } from '../../lib/forge/contract.js';
import type { WantedAsset } from './wanted.js';

/** What is wrong with a file. */
export type Fault = 'missing' | 'unfinished' | 'size' | 'content' | 'twice' | 'extra';

/** A file that is not as it should be; sizes in bytes, hashes in hex. */
export interface Difference {
  readonly name: string;
  readonly fault: Fault;
  readonly wanted?: { readonly size: number; readonly sha256: string };
  readonly found?: { readonly size: number; readonly sha256?: string };
}

export interface AssetsPlan {
  /** What is right already, by the name that was wanted. */
  readonly right: ReadonlyMap<string, ForgeAsset>;
  readonly send: readonly WantedAsset[];
  /** In the way of what is sent, or there twice. */
  readonly remove: readonly ForgeAsset[];
  readonly differences: readonly Difference[];
}

/** What is known of the bytes of assets that were read, by their ids: 64 hex digits. */
export type ReadDigests = ReadonlyMap<number, string>;

/** Whether a file that is there is this one. A forge that has changed its name keeps it as a label. */
function isNamed(asset: ForgeAsset, { name }: Pick<WantedAsset, 'name'>, traits: ForgeTraits): boolean {
  const stored = traits.storedName(name);
  return asset.name === stored || (stored !== name && asset.label === name);
}

/** Assets that may be right, of which it is not known: with `all`, also those that the forge vouches for. */
export function unreadAssets(
  wanted: readonly WantedAsset[],
  found: readonly ForgeAsset[],
  digests: ReadDigests,
  { traits, all }: { readonly traits: ForgeTraits; readonly all: boolean },
): readonly ForgeAsset[] {
  return found.filter((asset) => {
    if (!asset.isWhole || digests.has(asset.id)) return false;
    const file = wanted.find((each) => isNamed(asset, each, traits));
    if (file?.size !== asset.size) return false;
    return asset.sha256 === undefined || (all && asset.sha256 === file.sha256);
  });
}

/** What is right, and what is to be done for the rest. Of several that are right the oldest stays, whoever decides. */
export function planAssets(
  wanted: readonly WantedAsset[],
  found: readonly ForgeAsset[],
  digests: ReadDigests,
  traits: ForgeTraits,
): AssetsPlan {
  const right = new Map<string, ForgeAsset>();
  const [send, remove, differences]: [WantedAsset[], ForgeAsset[], Difference[]] = [[], [], []];
  const digestOf = ({ id, sha256 }: ForgeAsset) => digests.get(id) ?? sha256;
  const named = new Set<number>();
  for (const file of wanted) {
    const there = found.filter((asset) => isNamed(asset, file, traits)).sort((a, b) => a.id - b.id);
    for (const { id } of there) named.add(id);
    const keep = there.find((asset) => asset.isWhole && asset.size === file.size && digestOf(asset) === file.sha256);
    if (keep) right.set(file.name, keep);
    else send.push(file);
    const others = there.filter((asset) => asset !== keep);
    remove.push(...others);
    const { name, size, sha256 } = file;
    const told = { name, wanted: { size, sha256 } };
    if (there.length === 0) differences.push({ ...told, fault: 'missing' });
    for (const asset of others) {
      const known = digestOf(asset);
      const bytes = { found: { size: asset.size, ...(known !== undefined && { sha256: known }) } };
      differences.push({ ...told, ...bytes, fault: faultOf(asset, file, known) });
    }
  }
  const extra = found.filter(({ id }) => !named.has(id));
  differences.push(...extra.map(({ name, size }): Difference => ({ name, fault: 'extra', found: { size } })));
  return { right, send, remove, differences };
}

function faultOf(asset: ForgeAsset, wanted: WantedAsset, digest: string | undefined): Fault {
  if (!asset.isWhole) return 'unfinished';
  if (asset.size !== wanted.size) return 'size';
  return digest === wanted.sha256 ? 'twice' : 'content';
}

/** A difference in words. */
export function tellDifference({ name, fault, wanted, found }: Difference): string {
  switch (fault) {
    case 'missing':
      return `\`${name}\` is missing`;
    case 'extra':
      return `\`${name}\` is there, and not of the release`;
    case 'twice':
      return `\`${name}\` is there twice`;
    case 'unfinished':
      return `the upload of \`${name}\` has broken off`;
    case 'size':
      return `\`${name}\` has ${found?.size} bytes and should have ${wanted?.size}`;
    case 'content':
      return `\`${name}\` has the hash ${found?.sha256} and should have ${wanted?.sha256}`;
  }
}
