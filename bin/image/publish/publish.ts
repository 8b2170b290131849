/** The command `image publish`: all images of a project in order. */

import type { PublishedBuild } from '../../../image/publication/tags.js';
import type { Destination, Unit } from '../../../image/publication/units.js';
import { CarportError } from '../../../lib/errors.js';
import { renderPlatform } from '../../../lib/oci/platform.js';
import { renderReference } from '../../../lib/oci/reference.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import { compareVersions } from '../../../release/catalog/version-order.js';
import { type Context, note, writeJson, writeLines } from '../../cli/context.js';
import { count, formatBytes } from '../../cli/terminal.js';
import { withPool } from '../../cli/with-pool.js';
import { channelRuleOf } from '../../release/settings.js';
import { withScratchLayout } from '../layouts.js';
import { working } from '../push.js';
import type { PublishOptions } from './command.js';
import { type Project, readProjectImages } from './plan.js';
import { belowOf, checkApart, checkTaken, lookInto, type Repository } from './repositories.js';
import { type Sent, sendAll } from './send.js';
import { signerOf } from './signer.js';
import { openWorkshop, type Workshop } from './workshop.js';

/** Builds and pushes the images of the project, or those that are named. */
export async function publish(names: readonly string[], options: PublishOptions, context: Context): Promise<void> {
  const project = await readProjectImages(names, options, context);
  const { units, destinations } = project.publication;
  if (destinations.length === 0) {
    throw new CarportError('E_USAGE', 'none of the images is to be pushed', {
      hint: 'leave out `push = false`, or name the image',
    });
  }
  checkApart(destinations, project.build);
  const ordered = inOrderOf(units, destinations);
  const sign = await signerOf(options, project.build, context);
  await working(options, context, (work) =>
    withRepositories(ordered, project, { ...work, options, context }, async (repositories) => {
      if (options.dryRun) return tellPlan(repositories, project, options, context);
      const sent = await withWorkshop(project, { ...work, options, context }, async (workshop) => {
        const now: Repository[] = [];
        for (const each of repositories) {
          const repository = { ...each, tags: await each.lookAgain(each.tags) };
          if (!options.replace) checkTaken(repository, digestOf(each.destination.unit, workshop));
          now.push(repository);
        }
        return sendAll(now, workshop, { sign, replaces: options.replace === true }, work);
      });
      await tell(sent, project, options, context);
    }),
  );
}

/** Builds all, and does work with what was built. */
function withWorkshop<T>(project: Project, use: Use, work: (workshop: Workshop) => Promise<T>): Promise<T> {
  return withScratchLayout(use.context, (layout) =>
    withPool(use.options.settings.jobs.value, async (pool) => {
      const workshop = openWorkshop(layout, { ...use, project, pool });
      try {
        for (const unit of project.publication.units) await building(unit, workshop);
        return await work(workshop);
      } finally {
        await workshop.close();
      }
    }),
  );
}

/** What others are built on goes first. */
function inOrderOf(units: readonly Unit[], destinations: readonly Destination[]): readonly Destination[] {
  return units.flatMap((unit) => destinations.filter((destination) => destination.unit === unit));
}

function digestOf(unit: Unit, { built }: Workshop): string {
  return built.get(unit)!.manifest.descriptor.digest;
}

/** Names the image that cannot be built: nothing was sent. */
async function building(unit: Unit, workshop: Workshop): Promise<void> {
  try {
    await workshop.build(unit);
  } catch (error) {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
    const { code, message, cause, hint } = error;
    throw new CarportError(code, `\`${unit.id}\` is not built, and nothing was pushed: ${message}`, { cause, hint });
  }
}

interface Use extends Work<ActivityEvent> {
  readonly options: PublishOptions;
  readonly context: Context;
}

/** Looks into all repositories first: what cannot be published there is not built either. */
async function withRepositories<T>(
  destinations: readonly Destination[],
  { build }: Project,
  use: Use,
  work: (repositories: readonly Repository[]) => Promise<T>,
): Promise<T> {
  const channelOf = channelRuleOf(use.options.settings);
  const order = { isStable: (version: string) => channelOf(version) === 'stable', compare: compareVersions };
  const repositories: Repository[] = [];
  try {
    for (const destination of destinations) {
      const from = belowOf(destination, repositories, build);
      repositories.push(await lookInto(destination, { build, order, from }, use));
    }
    return await work(repositories);
  } finally {
    for (const { open } of repositories) await open.store.close();
  }
}

async function tell(
  sent: readonly Sent[],
  { build }: Project,
  options: PublishOptions,
  context: Context,
): Promise<void> {
  if (options.json) {
    const images = sent.map(({ repository, built, state, blobs, signed }) => {
      const { digest, mediaType } = built.manifest.descriptor;
      const platforms = built.images.map(({ platform }) => renderPlatform(platform));
      return { ...placeJson(repository, digest), digest, mediaType, platforms, state, blobs, signed };
    });
    return writeJson(context.stdout, { build: buildJson(build), images, result: 'done' });
  }
  for (const { repository, built, state, blobs } of sent) {
    tellNewer(repository, options, context);
    const { sent: amount, sentBytes } = blobs;
    const what = state === 'current' ? 'is up to date' : `sent ${count(amount, 'blob')} (${formatBytes(sentBytes)})`;
    note(context, options, `${repository.destination.repository}: ${what}`);
    const { digest } = built.manifest.descriptor;
    await writeLines(
      context.stdout,
      given(repository).map((tag) => `${nameOf(repository, tag)}  ${digest}`),
    );
  }
}

async function tellPlan(
  repositories: readonly Repository[],
  { build, publication }: Project,
  options: PublishOptions,
  context: Context,
): Promise<void> {
  if (options.json) {
    const units = publication.units.map(({ id, on, recipe, platforms }) => ({
      ...{ name: id, base: on?.id ?? recipe.base ?? null, platforms: platforms ?? null },
    }));
    const images = repositories.map((repository) => ({ ...placeJson(repository, undefined), state: 'planned' }));
    return writeJson(context.stdout, { build: buildJson(build), units, images, result: 'planned' });
  }
  for (const { id, on, recipe } of publication.units) {
    const base = on?.id ?? recipe.base;
    await writeLines(context.stdout, [`build ${id}${base === undefined ? '' : ` on ${base}`}`]);
  }
  for (const repository of repositories) {
    tellNewer(repository, options, context);
    await writeLines(
      context.stdout,
      given(repository).map((tag) => `push ${nameOf(repository, tag)}`),
    );
  }
}

function given({ tags }: Repository): readonly string[] {
  return tags.filter(({ newer }) => newer === undefined).map(({ tag }) => tag);
}

function nameOf({ open }: Repository, tag: string): string {
  return renderReference({ ...open.reference, tag });
}

function tellNewer({ tags, destination }: Repository, options: PublishOptions, context: Context): void {
  for (const { tag, newer } of tags)
    if (newer !== undefined)
      note(context, options, `${destination.repository}: \`${tag}\` stays with \`${newer}\`, which is newer`);
}

function buildJson({ version, channel, commit }: PublishedBuild): object {
  return { version: version ?? null, channel: channel ?? null, commit: commit ?? null };
}

/** `digest` undefined: of what is not built. */
function placeJson({ destination, tags }: Repository, digest: string | undefined): object {
  const { unit, image, variant, registry, repository } = destination;
  const told = tags.map(({ tag, was, newer }) => {
    const state = newer !== undefined ? 'newer' : digest === undefined ? 'planned' : was === digest ? 'there' : 'set';
    return { tag, was: was ?? null, state, ...(newer !== undefined && { newer }) };
  });
  return {
    ...{ name: unit.id, image: image.name, variant: variant?.name ?? null, registry: registry ?? null },
    ...{ repository, tags: told },
  };
}
