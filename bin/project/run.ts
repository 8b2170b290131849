/** Toolchains of the project for commands that run programs: fetched where they are not here, and kept. */

import { readlink } from 'node:fs/promises';
import { requireSameHere } from '../../cache/toolchains/locked.js';
import { CarportError, hasCode, isErrno } from '../../lib/errors.js';
import { runtimeClosure } from '../../lib/store/closure.js';
import { withStoreWrite } from '../../lib/store/own/lock/lock.js';
import { makeOutLink } from '../../lib/store/own/out-links.js';
import type { LocalPaths } from '../arguments/local-paths.js';
import type { Context } from '../cli/context.js';
import type { RunCommandOptions } from '../run/options.js';
import { linksOf, makeProjectLinks } from './links.js';
import type { UsedToolchain } from './locked.js';
import { type ProjectPart, projectPart } from './part.js';

/** Toolchains that are here. */
export interface ToolchainsHere {
  readonly used: readonly UsedToolchain[];
  /** What was named, or, where nothing was, the toolchains of the project. */
  readonly names: readonly string[];
  /** The directory of the project, where all words are its toolchains. */
  readonly project: string | undefined;
  /** The words that name no toolchain. */
  readonly others: readonly string[];
  /** The store paths of a toolchain; `undefined` for other words. */
  storePathsOf(word: string): readonly string[] | undefined;
}

/** The toolchains of the project that words name, or all of them: they are here when this ends. */
export async function toolchainsForRun(
  words: readonly string[],
  here: LocalPaths,
  options: RunCommandOptions,
  context: Context,
): Promise<ToolchainsHere> {
  const part = await projectPart(words, options, context);
  const { used, others } = part;
  if (words.length === 0 && used.length === 0) {
    throw new CarportError('E_USAGE', 'it is not said which toolchain', {
      hint: 'name a pin or a store path; without any, the `[toolchains]` of the project are taken, and there is no `carport.toml` with such here',
    });
  }
  if (used.length > 0 && !(await areHere(part, here))) {
    const { pullParts } = await import('../pull/request.js');
    // It is for `pull` to look for newer ones.
    await pullParts({ ...part, others: [] }, { ...options, frozen: true, dryRun: false }, context);
  } else await keep(part, here);
  const paths = new Map(used.map(({ name, locked }) => [name, locked.paths.map(({ storePath }) => storePath)]));
  return {
    ...{ used, others, names: words.length > 0 ? words : used.map(({ name }) => name) },
    project: others.length === 0 ? part.project?.directory : undefined,
    storePathsOf: (word) => paths.get(word),
  };
}

/** Whether all that is locked is here, with its closure. Throws `E_INTEGRITY` where something else is. */
async function areHere({ targets }: ProjectPart, { store }: LocalPaths): Promise<boolean> {
  const paths = targets.flatMap(({ path }) => path ?? []);
  try {
    const { graph } = await runtimeClosure(store, paths);
    for (const { path, locked } of targets) requireSameHere(graph.get(path!)!, locked!, store.description);
    return true;
  } catch (error) {
    if (hasCode(error, 'E_NOT_FOUND')) return false;
    throw error;
  }
}

/** Makes the links that are missing, to what carport's own store has: what Nix has, Nix keeps or not. */
async function keep({ project, used }: ProjectPart, { own }: LocalPaths): Promise<void> {
  if (project === undefined || own === undefined) return;
  const links = linksOf(project, used);
  const registered = await own.queryInfos([...links.values()]);
  const missing: string[] = [];
  for (const [link, storePath] of links) {
    const info = registered.get(storePath);
    const leadsTo = info && (await readlink(link).catch(() => undefined));
    if (info && leadsTo !== own.realPath(info)) missing.push(link);
  }
  if (missing.length === 0) return;
  const make = () =>
    makeProjectLinks(project, used, async (link, storePath) => {
      const info = registered.get(storePath);
      if (info && missing.includes(link)) await makeOutLink(own, link, own.realPath(info));
    });
  await withStoreWrite(own, make).catch((error) => {
    // A store or a checkout of somebody else: a pull has said so.
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
  });
}
