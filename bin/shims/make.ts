/** Makes shims in a directory, and removes them. */

import { chmod, mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createNixTarget } from '../../cache/pull/nix-target.js';
import { CarportError, isErrno } from '../../lib/errors.js';
import { createTemporaryNames, removeLeftovers, removeTree } from '../../lib/filesystem/temporary.js';
import { findBubblewrap, isPowerlessRoot } from '../../lib/namespace/bubblewrap.js';
import { makeMounts } from '../../lib/namespace/mounts.js';
import { areInPlace, type PlacedPath } from '../../lib/namespace/placed-path.js';
import { findShield, succeeds, TERMINAL_SIGNALS } from '../../lib/namespace/shield.js';
import { renderShim, SHIM_START, type ShimEntry } from '../../lib/namespace/shim.js';
import { findProgram } from '../../lib/process/find-program.js';
import { rawBytes } from '../../lib/raw-text.js';
import { withStoreWrite } from '../../lib/store/own/lock/lock.js';
import { makeOutLink } from '../../lib/store/own/out-links.js';
import type { Context } from '../cli/context.js';
import { programDirectories } from '../run/environment.js';
import type { RunTargets } from '../run/targets.js';
import { makeOwnDirectories, ownDirectory, ownPlaces, removeOldLinks, removeOwn } from './own.js';
import { programsOf } from './programs.js';
import { forgetDirectory, noteDirectory, readRecord, type ShimsRecord, withoutShims, writeRecord } from './record.js';

/** Makes a script for each program of what was named, in place of those that are there. Gives the record. */
export async function makeShims(directory: string, found: RunTargets, context: Context): Promise<ShimsRecord> {
  const placed = placedOf(found);
  const roots = placed.slice(0, found.roots.length);
  const programs = await programsOf(roots, placed);
  if (programs.length === 0) {
    throw new CarportError('E_NOT_FOUND', `\`${found.names.join(' ')}\` has no programs`, {
      hint: 'name the path whose `bin` has them',
    });
  }
  const before = await readRecord(directory);
  await makeOwnDirectories(directory);
  for (const { name } of programs) await checkReplaceable(join(directory, name));
  await keepRoots(directory, found, context.env);
  const inPlace = await areInPlace(placed);
  const entry = inPlace ? undefined : await makeEntry(directory, placed, context.env);
  const directories = await programDirectories(roots);
  const shim = { directories, names: found.names.join(' '), ...(entry && { entry }) };
  await removeLeftovers(directory);
  const temporaryName = await createTemporaryNames(directory);
  for (const { name, path } of programs) {
    const temporary = temporaryName();
    await writeFile(temporary, renderShim({ ...shim, program: path }), { flag: 'wx' });
    await chmod(temporary, 0o755);
    await rename(temporary, join(directory, name));
  }
  const record = {
    ...recordOf(found),
    inPlace,
    programs: programs.map(({ name }) => name),
  };
  await removeScripts(directory, before?.programs.filter((name) => !record.programs.includes(name)) ?? []);
  await writeRecord(directory, record);
  await noteDirectory(directory, context.env);
  return record;
}

/** What a record says of what was named. */
export function recordOf(found: RunTargets): Pick<ShimsRecord, 'names' | 'project' | 'storePaths' | 'realPath'> {
  return {
    names: [...found.names],
    project: found.project ?? null,
    storePaths: found.roots.map(({ path }) => path),
    realPath: found.store.realPath(found.roots[0]!),
  };
}

/** Store paths of a closure and where they are, the roots first. */
export function placedOf({ closure, store }: RunTargets): readonly PlacedPath[] {
  return closure.map((info) => ({ path: info.path, realPath: store.realPath(info) }));
}

/** Removes the scripts that carport has made in a directory, and what it keeps there. Gives the names of the scripts. */
export async function removeShims(directory: string, env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const record = await readRecord(directory);
  if (record === undefined) {
    throw new CarportError('E_NOT_FOUND', `carport has made no scripts in \`${directory}\``, {
      hint: 'check the directory: `carport shims DIRECTORY` makes some',
    });
  }
  await removeScripts(directory, record.programs);
  await removeOwn(directory);
  await forgetDirectory(directory, env);
  await rmdir(directory).catch(() => undefined);
  return record.programs;
}

async function removeScripts(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const file = join(directory, name);
    if (!name.includes('/') && (await isShim(file))) await rm(file, { force: true });
  }
}

async function checkReplaceable(file: string): Promise<void> {
  if (await isShim(file).catch(() => false)) return;
  const isFree = await readFile(file).then(
    () => false,
    (error) => isErrno(error, 'ENOENT'),
  );
  if (isFree) return;
  throw new CarportError('E_USAGE', `\`${file}\` is there already, and carport has not made it`, {
    hint: 'give another directory, or remove it',
  });
}

async function isShim(file: string): Promise<boolean> {
  const text = await readFile(file, 'latin1').catch((error) => {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  });
  return text.startsWith(SHIM_START);
}

/** Links to the paths, which keep them as long as the directory is there. */
async function keepRoots(directory: string, { roots, store, own }: RunTargets, env: NodeJS.ProcessEnv): Promise<void> {
  const { links } = ownPlaces(directory);
  await removeTree(links);
  await removeOldLinks(directory);
  const isOwn = (realPath: string) => own !== undefined && dirname(realPath) === own.layout.realStoreDir;
  const ours = roots.map((info) => store.realPath(info)).filter(isOwn);
  if (own && ours.length > 0) {
    await withStoreWrite(own, async () => {
      for (const [index, realPath] of ours.entries()) await makeOutLink(own, join(links, `${index + 1}`), realPath);
    });
  }
  const nix = createNixTarget(store, { keys: [], allowUnsigned: false }, env);
  const others = roots.filter((info) => !isOwn(store.realPath(info)));
  if (others.length > 0) await mkdir(links, { recursive: true });
  for (const [index, { path }] of others.entries()) await nix.makeOutLink(join(links, `nix-${index + 1}`), path);
}

/** Writes down the mounts of the namespace. */
async function makeEntry(
  directory: string,
  placed: readonly PlacedPath[],
  whole: NodeJS.ProcessEnv,
): Promise<ShimEntry> {
  const env = await withoutShims(whole);
  const bubblewrap = await findBubblewrap(env);
  const { forests, mounts: mountsFile } = ownPlaces(directory);
  const setpriv = await findProgram('setpriv', env.PATH);
  const follow = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'TERM'];
  const canFollow = follow.length > 0 && (await succeeds([...follow, '/bin/sh', '-c', ':']));
  const { restore } = await findShield(env, TERMINAL_SIGNALS);
  // What the mounts need stays with the scripts.
  const mounts = await makeMounts({ paths: placed, temporaryDirectories: [forests] });
  const namespace = (await isPowerlessRoot()) ? ['--unshare-user'] : [];
  const options = [...namespace, ...mounts.options, ...(canFollow ? [] : ['--die-with-parent'])];
  const temporary = (await createTemporaryNames(ownDirectory(directory)))();
  await writeFile(temporary, rawBytes(options.map((option) => `${option}\0`).join('')), { flag: 'wx' });
  await rename(temporary, mountsFile);
  return { bubblewrap, mountsFile, follow: canFollow ? follow : [], restore };
}
