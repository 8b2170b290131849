/** The command `lock`. */

import { type Lock, type LockedToolchain, readLock, renderLock } from '../../cache/toolchains/lock-file.js';
import { isSameContent } from '../../cache/toolchains/resolve.js';
import { formatHash } from '../../lib/nix/hash.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { tellStaleShims } from '../shims/stale.js';
import { dayOf, fromTo } from './days.js';
import type { LockCommandOptions } from './lock-command.js';
import { isLocked, requireMatch, resolveAll, saveLock } from './locked.js';
import { chooseToolchains, type Project, requireProject } from './toolchains.js';

/** What has become of a toolchain in the lock. */
interface Change {
  readonly name: string;
  readonly change: 'kept' | 'added' | 'updated' | 'removed';
  readonly before: LockedToolchain | undefined;
  readonly after: LockedToolchain | undefined;
}

/** Writes the lock of the project, and prints what has changed. */
export async function lock(names: readonly string[], options: LockCommandOptions, context: Context): Promise<void> {
  const project = await requireProject(context);
  const chosen = chooseToolchains(project, names);
  const before = await readLock(project.lockFile);
  if (options.frozen) requireMatch(project, before);
  const wanted = options.frozen ? [] : chosen.filter((each) => options.update || !isLocked(each, before));
  const resolved = await resolveAll(wanted, before, options, context);
  const after = nextLock(project, before, resolved);
  const changes = changesOf(project, before, after);
  const isChanged = before === undefined || renderLock(before) !== renderLock(after);
  if (isChanged && !options.dryRun && !options.frozen) await saveLock(project, after);
  await tellStaleShims(project.directory, after, options, context);
  if (options.json) await writeJson(context.stdout, jsonOf(project, changes, options));
  else await writeLines(context.stdout, changes.map(lineOf).map(printable));
  if (!options.dryRun && changes.some(({ change }) => change === 'updated' || change === 'added')) {
    note(context, options, `\`${project.lockFile}\` is written: commit it; \`carport pull\` fetches what it names`);
  }
}

/** What is locked of toolchains that the project names; what is the same as before stays as it was. */
function nextLock({ toolchains }: Project, before: Lock | undefined, resolved: Lock): Lock {
  const entries = toolchains.flatMap(({ name }) => {
    const [old, found] = [before?.get(name), resolved.get(name)];
    const isSame = old && found && old.pin === found.pin && old.cache === found.cache && isSameContent(old, found);
    const next = isSame ? old : (found ?? old);
    return next ? [[name, next] as const] : [];
  });
  return new Map(entries);
}

function changesOf({ toolchains }: Project, before: Lock | undefined, after: Lock): readonly Change[] {
  const names = new Set([...toolchains.map(({ name }) => name), ...(before?.keys() ?? [])]);
  return [...names].flatMap((name): readonly Change[] => {
    const [old, next] = [before?.get(name), after.get(name)];
    if (old === undefined && next === undefined) return [];
    const change = old === undefined ? 'added' : next === undefined ? 'removed' : old === next ? 'kept' : 'updated';
    return [{ name, change, before: old, after: next }];
  });
}

function lineOf({ name, change, before, after }: Change): string {
  switch (change) {
    case 'removed':
      return `${name}: removed`;
    case 'updated':
      return `${name}: ${after!.pin} ${fromTo(before!.since, after!.since)}`;
    case 'added':
      return `${name}: ${after!.pin} ${dayOf(after!.since)}, new`;
    case 'kept':
      return `${name}: ${after!.pin} ${dayOf(after!.since)}`;
  }
}

function jsonOf({ lockFile }: Project, changes: readonly Change[], { dryRun }: LockCommandOptions): object {
  return {
    ...{ file: lockFile, dryRun },
    toolchains: changes.map(({ name, change, before, after }) => ({
      ...{ name, change },
      ...toJson(after ?? before!),
      previous: change === 'updated' ? toJson(before!) : null,
    })),
  };
}

function toJson({ pin, cache, since, updatedAt, paths }: LockedToolchain) {
  const rendered = paths.map(({ storePath, narHash }) => ({ storePath, narHash: formatHash(narHash, 'sri') }));
  return { pin, cache, since, updatedAt, paths: rendered };
}
