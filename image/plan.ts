/** What goes into an image, as layers. */

import { basename } from 'node:path';
import { CarportError } from '../lib/errors.js';
import type { PathGraph } from '../lib/nix/closure.js';
import type { PathInfo } from '../lib/nix/path-info.js';
import type { LayerPlan } from './build.js';
import { layersOf } from './layers.js';
import { MOST_LAYERS } from './limits.js';

/** A file or a directory of this machine, and where it is in the image. */
export interface LocalContent {
  readonly path: string;
  readonly at: string;
}

export interface Contents {
  /** Store paths with all that they need; empty for none. */
  readonly graph: PathGraph;
  readonly roots: readonly string[];
  realPath(info: Pick<PathInfo, 'path'>): string;
  /** In the order in which they were named: a later one lies above. */
  readonly local: readonly LocalContent[];
}

/** Names in a comment about a layer. */
const NAMES_SHOWN = 5;

/** The layers of an image, the lowest first: those of the closure, then one for each file or directory. Throws `E_USAGE` where they are too many. */
export function planLayers({ graph, roots, realPath, local }: Contents, atMost: number): readonly LayerPlan[] {
  const least = local.length + (graph.size === 0 ? 0 : 1);
  if (least > atMost) {
    throw new CarportError(
      'E_USAGE',
      `each file and directory is a layer: ${least} in all, and ${atMost} may be added`,
      {
        hint: `put the files into one directory, or allow more with \`--max-layers\`; an image has ${MOST_LAYERS} with those of its base`,
      },
    );
  }
  const shared = graph.size === 0 ? [] : layersOf(graph, roots, atMost - local.length);
  const own = local.map(({ path, at }): LayerPlan => ({ trees: [{ path, at, modes: 'plain' }], comment: at }));
  return [...shared.map((infos) => layerOf(infos, realPath)), ...own];
}

function layerOf(infos: readonly PathInfo[], realPath: Contents['realPath']): LayerPlan {
  const sorted = [...infos].sort((a, b) => (a.path < b.path ? -1 : 1));
  const names = sorted.map(({ path }) => basename(path).slice(33));
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
  return {
    trees: sorted.map((info) => ({ path: realPath(info), at: info.path, modes: 'store' })),
    comment: `${names.slice(0, NAMES_SHOWN).join(', ')}${more}`,
  };
}
