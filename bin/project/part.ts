/** What of a command's arguments is the project's: its toolchains, as they are locked. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { canonicalUrl, type OpenCache } from '../../cache/open.js';
import { findPin } from '../../cache/pins/find.js';
import type { ToolchainEvent } from '../../cache/pull/events.js';
import type { WantedRoot } from '../../cache/pull/plan.js';
import type { ResolveWork } from '../../cache/toolchains/resolve.js';
import { CarportError, isErrno } from '../../lib/errors.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import type { Context } from '../cli/context.js';
import { warnPeople } from '../cli/warnings.js';
import { makeProjectLinks } from './links.js';
import { allCachesOf, cachesOf, lockedToolchains, type ToolchainOptions, type UsedToolchain } from './locked.js';
import { type Project, readProject } from './toolchains.js';

/** Arguments of a command, apart: toolchains of the project, and others. */
export interface ProjectPart {
  readonly used: readonly UsedToolchain[];
  /** The project, where something of it is used. */
  readonly project?: Project;
  /** The words that name no toolchain of the project. */
  readonly others: readonly string[];
  /** Where the toolchains are pulled from. */
  readonly caches: readonly CacheUrl[];
  /** Their paths, as they are locked. */
  readonly targets: readonly WantedRoot[];
  /** Keeps them from garbage collection, by links that `makeOutLink` makes. */
  keep(makeOutLink: (link: string, storePath: string) => Promise<void>): Promise<void>;
  /** Tells of pins that stand for something else than what is locked. */
  lookForNewer(caches: readonly OpenCache[], work: NewerWork): Promise<void>;
}

interface NewerWork extends Omit<ResolveWork, 'emit'> {
  readonly emit: Emit<ToolchainEvent | WarningEvent>;
}

/** Takes the toolchains of the project out of words: those that they name, or all where there are no words. */
export async function projectPart(
  words: readonly string[],
  options: ToolchainOptions,
  context: Context,
): Promise<ProjectPart> {
  const project = await readProject(context);
  const names = new Set(project?.toolchains.map(({ name }) => name));
  const named = words.filter((word) => names.has(word));
  const others = words.filter((word) => !names.has(word));
  if (project === undefined || names.size === 0 || (named.length === 0 && words.length > 0))
    return withoutProject(others);
  const used = await lockedToolchains(project, named, options, context);
  return partOf(project, used, others, options, context);
}

function partOf(
  project: Project,
  used: readonly UsedToolchain[],
  others: readonly string[],
  options: ToolchainOptions,
  context: Context,
): ProjectPart {
  return {
    ...{ used, project, others, caches: allCachesOf(used, options, context) },
    targets: used.flatMap((toolchain) => rootsOf(toolchain, project)),
    keep: (makeOutLink) => keepLinks(project, used, makeOutLink, context),
    async lookForNewer(caches, work) {
      for (const toolchain of used) {
        const urls = new Set(cachesOf(toolchain, options).map((url) => canonicalUrl(url, context.env)));
        await lookForNewer(
          toolchain,
          caches.filter(({ objects }) => urls.has(objects.url)),
          work,
        );
      }
    },
  };
}

/** Words where there is no project. */
function withoutProject(others: readonly string[]): ProjectPart {
  const nothing = async () => undefined;
  return { used: [], others, caches: [], targets: [], keep: nothing, lookForNewer: nothing };
}

function rootsOf({ name, locked: { paths, since } }: UsedToolchain, { lockFile }: Project): readonly WantedRoot[] {
  return paths.map(({ storePath, narHash }) => ({
    hashPart: hashPartOf(storePath),
    path: storePath,
    locked: { narHash, toolchain: name, file: lockFile, since },
  }));
}

/** Who may not write to a project can use its toolchains all the same. */
async function keepLinks(
  project: Project,
  used: readonly UsedToolchain[],
  makeOutLink: (link: string, storePath: string) => Promise<void>,
  context: Context,
): Promise<void> {
  try {
    await makeProjectLinks(project, used, makeOutLink);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
    const message = `a garbage collection of the store may remove the toolchains of \`${project.directory}\`, since links to them cannot be made: ${error.message}`;
    warnPeople(context)({ type: 'warning', message });
  }
}

async function lookForNewer(
  { name, pin: reference, locked }: UsedToolchain,
  caches: readonly OpenCache[],
  { policy, seen, emit }: NewerWork,
): Promise<void> {
  const all = caches.map(({ objects }) => objects);
  try {
    const found = await findPin(all, reference, policy, seen, emit);
    const isSame =
      JSON.stringify(found?.value.storePaths) === JSON.stringify(locked.paths.map((path) => path.storePath));
    if (found === undefined || isSame) return;
    emit({ type: 'toolchain', name, pin: reference.text, locked: locked.since, newest: found.value.since });
  } catch (error) {
    if (!(error instanceof CarportError)) throw error;
    emit({ type: 'warning', message: `it is not known whether there is a newer \`${name}\`: ${error.message}` });
  }
}
