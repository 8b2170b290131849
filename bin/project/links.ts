/** Links from a project to its toolchains in the store, which keep these from garbage collection: `.carport/toolchains`. */

import { readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../lib/errors.js';
import { namesIn } from '../../lib/filesystem/exists.js';
import { makeRealDirectory } from '../../lib/filesystem/make-directory.js';
import { leadsToStorePath } from '../../lib/nix/store-path.js';
import type { UsedToolchain } from './locked.js';
import type { Project } from './toolchains.js';

/** What carport keeps in a project for itself. */
function projectState({ directory }: Pick<Project, 'directory'>): string {
  return join(directory, '.carport');
}

/** The links of toolchains, and the paths that they are to lead to. */
export function linksOf(project: Project, used: readonly UsedToolchain[]): ReadonlyMap<string, string> {
  const directory = join(projectState(project), 'toolchains');
  const links = used.flatMap(({ name, locked }) =>
    locked.paths.map(({ storePath }, index) => {
      // No toolchain has a name with a `~`.
      const link = index === 0 ? name : `${name}~${index + 1}`;
      return [join(directory, link), storePath] as const;
    }),
  );
  return new Map(links);
}

/** Makes links, by `makeOne`, where they do not lead there yet, and removes those of toolchains that are gone. */
export async function makeProjectLinks(
  project: Project,
  used: readonly UsedToolchain[],
  makeOne: (link: string, storePath: string) => Promise<void>,
): Promise<void> {
  await makeProjectState(project);
  const links = linksOf(project, used);
  for (const [link, storePath] of links) await makeOne(link, storePath);
  const kept = new Set(project.toolchains.map(({ name }) => name));
  const directory = join(projectState(project), 'toolchains');
  for (const name of await namesIn(directory)) {
    const link = join(directory, name);
    const toolchain = name.split('~')[0]!;
    const mayStay = links.has(link) || (kept.has(toolchain) && !used.some((each) => each.name === toolchain));
    const target = mayStay ? '' : await readlink(link).catch(() => '');
    if (leadsToStorePath(target)) await rm(link, { force: true });
  }
}

/** Makes the directory, which git is to leave out. One that a checkout has brought as a link leads elsewhere, and is refused. */
async function makeProjectState(project: Pick<Project, 'directory'>): Promise<string> {
  const directory = projectState(project);
  for (const each of [directory, join(directory, 'toolchains')]) await makeRealDirectory(each);
  await writeFile(join(directory, '.gitignore'), '*\n', { flag: 'wx' }).catch((error) => {
    if (!isErrno(error, 'EEXIST')) throw error;
  });
  return directory;
}
