/** The programs of store paths, wherever these are. */

import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../lib/errors.js';
import type { PlacedPath } from '../../lib/namespace/placed-path.js';
import { isProgram } from '../../lib/process/find-program.js';

/** Links that follow one another, at most, as in Linux. */
const MAX_LINKS = 40;

/** A program, by its name and the place where a namespace has it. */
export interface FoundProgram {
  readonly name: string;
  readonly path: string;
}

/** The programs in the `bin` of paths, of each name the first. `placed` is their closure: links lead through it. */
export async function programsOf(
  roots: readonly PlacedPath[],
  placed: readonly PlacedPath[],
): Promise<readonly FoundProgram[]> {
  const found = new Map<string, FoundProgram>();
  for (const { path } of roots) {
    const bin = `${path}/bin`;
    for (const name of await namesOf(await realPlace(bin, placed))) {
      if (!found.has(name) && (await leadsToProgram(`${bin}/${name}`, placed))) {
        found.set(name, { name, path: `${bin}/${name}` });
      }
    }
  }
  return [...found.values()];
}

/** Wrappers have what they wrap beside them, as `.name-wrapped`. */
async function namesOf(directory: string | undefined): Promise<readonly string[]> {
  if (directory === undefined) return [];
  const names = await readdir(directory).catch((error) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith('.') && !name.includes('\ufffd')).sort();
}

async function leadsToProgram(path: string, placed: readonly PlacedPath[]): Promise<boolean> {
  const real = await realPlace(path, placed);
  return real !== undefined && isProgram(real);
}

/** Where a path is that the namespace has, links followed; `undefined` where nothing is. */
async function realPlace(path: string, placed: readonly PlacedPath[]): Promise<string | undefined> {
  const realPaths = new Map(placed.map((each) => [each.path, each.realPath]));
  const inPlace = (at: string): string => {
    const [, storePath = '', rest = ''] = /^(\/nix\/store\/[^/]+)(.*)$/s.exec(at) ?? [];
    return realPaths.has(storePath) ? realPaths.get(storePath)! + rest : at;
  };
  let parts = path.split('/').slice(1);
  let done = '';
  for (let links = 0; parts.length > 0; ) {
    const [part, ...rest] = parts;
    const at = join(done || '/', part!);
    const target = await readlink(inPlace(at)).catch(() => undefined);
    if (target === undefined) [done, parts] = [at, rest];
    else if (++links > MAX_LINKS) return undefined;
    else
      [done, parts] = [
        '',
        [
          ...join(target.startsWith('/') ? '/' : done || '/', target)
            .split('/')
            .slice(1),
          ...rest,
        ],
      ];
  }
  const real = inPlace(done);
  return (await stat(real).catch(() => undefined)) ? real : undefined;
}
