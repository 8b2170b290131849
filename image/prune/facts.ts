/** What is known of the tags of a repository before some of them are removed. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { type Descriptor, parseConfig, parseIndex, parseManifest, type RawManifest } from '../../lib/oci/documents.js';
import { DOCKER, isIndexType, OCI } from '../../lib/oci/media-types.js';
import type { ImageStore } from '../../lib/oci/store.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import { CONFIG_LIMIT, readSmall } from '../base.js';
import { MOST_LEVELS, MOST_MANIFESTS } from '../copy.js';

/** A manifest or an index. */
export interface Node {
  readonly digest: string;
  /** Manifests of an index. */
  readonly children: readonly string[];
  /** What it is about, where it is a signature or the like. */
  readonly subject?: string | undefined;
  /** When it was made, in milliseconds; nothing where that is not said, as by images that are the same on any machine. */
  readonly created?: number | undefined;
}

export interface TagFact {
  readonly tag: string;
  readonly digest: string;
}

export interface RepositoryFacts {
  readonly tags: readonly TagFact[];
  /** By digest: what tags name, and what is in that. */
  readonly nodes: ReadonlyMap<string, Node>;
}

const AT_ONCE = 8;

/** A time of before is what tools write that want no time. */
const EARLIEST = Date.UTC(1980, 0, 2);

/**
 * Looks at all tags. What cannot be read is an error: it may refer to what would be removed. `known`: what was read before, and
 * is not read again.
 */
export async function readFacts(
  store: ImageStore,
  { emit, signal }: Work<ActivityEvent>,
  known: RepositoryFacts['nodes'] = new Map(),
): Promise<RepositoryFacts> {
  const names = await store.tags();
  emit({ type: 'started', verb: 'look at', unit: 'tags', items: names.length });
  const nodes = new Map(known);
  const found = await mapAtMost(
    AT_ONCE,
    names,
    async (tag): Promise<TagFact | undefined> => {
      const manifest = await store.manifest(tag);
      emit({ type: 'progress', items: 1 });
      // Somebody has removed it meanwhile.
      if (manifest === undefined) return undefined;
      await addNode(store, manifest, nodes, 0);
      return { tag, digest: manifest.descriptor.digest };
    },
    signal,
  );
  return { tags: found.filter((each) => each !== undefined), nodes };
}

async function addNode(
  store: ImageStore,
  manifest: RawManifest,
  nodes: Map<string, Node>,
  level: number,
): Promise<void> {
  const { digest, mediaType } = manifest.descriptor;
  if (nodes.has(digest)) return;
  const what = `\`${digest}\` of ${store.description}`;
  if (!isIndexType(mediaType)) {
    const { subject, config, annotations = {} } = parseManifest(what, manifest.bytes);
    const created = timeOf(annotations[CREATED]) ?? (await timeOfConfig(store, config, what));
    nodes.set(digest, { digest, children: [], subject: subject?.digest, created });
    return;
  }
  const { manifests, subject, annotations = {} } = parseIndex(what, manifest.bytes);
  if (level === MOST_LEVELS || manifests.length > MOST_MANIFESTS) {
    throw new CarportError('E_UNSUPPORTED', `${what} is an index of too many`, {
      hint: `at most ${MOST_MANIFESTS} are read, ${MOST_LEVELS} levels deep`,
    });
  }
  const children = manifests.map((child) => child.digest);
  // Before what is in it, so that an index of itself ends.
  nodes.set(digest, { digest, children, subject: subject?.digest });
  for (const child of children) {
    const found = nodes.has(child) ? undefined : await store.manifest(child);
    if (found) await addNode(store, found, nodes, level + 1);
  }
  const times = children.flatMap((child) => nodes.get(child)?.created ?? []);
  const created = timeOf(annotations[CREATED]) ?? (times.length > 0 ? Math.max(...times) : undefined);
  nodes.set(digest, { digest, children, subject: subject?.digest, created });
}

const CREATED = 'org.opencontainers.image.created';

function timeOf(text: string | undefined): number | undefined {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) || time < EARLIEST ? undefined : time;
}

/** What is no image has another config, or an empty one. */
async function timeOfConfig(store: ImageStore, config: Descriptor, what: string): Promise<number | undefined> {
  if (config.mediaType !== OCI.config && config.mediaType !== DOCKER.config) return undefined;
  try {
    return timeOf(parseConfig(`the config of ${what}`, await readSmall(store, config, CONFIG_LIMIT)).created);
  } catch (error) {
    if (hasCode(error, 'E_NOT_FOUND', 'E_FORMAT', 'E_UNSUPPORTED')) return undefined;
    throw error;
  }
}
