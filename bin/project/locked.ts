/** The toolchains of a project as `carport.lock` has them; what it does not have is locked first, unless it is frozen. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { canonicalUrl } from '../../cache/open.js';
import { type Lock, type LockedToolchain, readLock, writeLock } from '../../cache/toolchains/lock-file.js';
import { type NamedCache, resolveToolchain } from '../../cache/toolchains/resolve.js';
import { CarportError, isErrno } from '../../lib/errors.js';
import { type CommonOptions, type Context, note } from '../cli/context.js';
import { warnPeople } from '../cli/warnings.js';
import { withCaches } from '../cli/with-caches.js';
import { followingPolicyOf, type PinReadOptions, pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import type { Settings } from '../settings/setting.js';
import { dayOf } from './days.js';
import { chooseToolchains, type Project, type Toolchain } from './toolchains.js';

/** What options say of toolchains. */
export type ToolchainOptions = CommonOptions &
  PinReadOptions & {
    /** Change nothing in the lock, and ask no pin. */
    readonly frozen: boolean;
    readonly settings: Pick<Settings, 'from' | 'trusted-keys' | 'retry-seconds'>;
  };

/** A toolchain, and what it is locked to. */
export interface UsedToolchain extends Toolchain {
  readonly locked: LockedToolchain;
}

/**
 * The toolchains that are named, or all of the project, as they are locked. Throws `E_NOT_FOUND` or `E_USAGE` where the lock is
 * frozen and is not there, or does not match the project's file.
 */
export async function lockedToolchains(
  project: Project,
  names: readonly string[],
  options: ToolchainOptions,
  context: Context,
): Promise<readonly UsedToolchain[]> {
  const chosen = chooseToolchains(project, names);
  const lock = await readLock(project.lockFile);
  if (options.frozen) requireMatch(project, lock);
  const missing = chosen.filter((toolchain) => !isLocked(toolchain, lock));
  const added = missing.length > 0 ? await resolveAll(missing, lock, options, context) : new Map();
  const whole: Lock = new Map([...(lock ?? []), ...added]);
  if (added.size > 0) {
    await saveLock(project, whole);
    for (const { name, pin } of missing) {
      note(
        context,
        options,
        `\`${name}\`: locked \`${pin.text}\` of ${dayOf(whole.get(name)!.since)} in \`${project.lockFile}\``,
      );
    }
  }
  return chosen.map((toolchain) => ({ ...toolchain, locked: whole.get(toolchain.name)! }));
}

/** Whether the lock has a toolchain as the project's file names it. */
export function isLocked({ name, pin, caches }: Toolchain, lock: Lock | undefined): boolean {
  const locked = lock?.get(name);
  if (locked?.pin !== pin.text) return false;
  return caches.length === 0 || caches.some((cache) => cache.name === locked.cache);
}

/** Throws where a lock is missing, or is not of the project's file. */
export function requireMatch({ file, lockFile, toolchains }: Project, lock: Lock | undefined): void {
  const hint = 'run `carport lock`, and commit what it has written';
  if (lock === undefined) throw new CarportError('E_NOT_FOUND', `there is no \`${lockFile}\``, { hint });
  const names = new Set(toolchains.map(({ name }) => name));
  const wrong = [
    ...toolchains.filter((toolchain) => !isLocked(toolchain, lock)).map(({ name }) => name),
    ...[...lock.keys()].filter((name) => !names.has(name)),
  ];
  if (wrong.length === 0) return;
  const list = wrong.map((name) => `\`${name}\``).join(', ');
  throw new CarportError('E_USAGE', `\`${lockFile}\` does not match \`${file}\`: ${list}`, { hint });
}

/** What the pins of toolchains stand for now. `before` is the lock as it is: an older pin of the same name is refused. */
export async function resolveAll(
  toolchains: readonly Toolchain[],
  before: Lock | undefined,
  options: ToolchainOptions,
  context: Context,
): Promise<Lock> {
  const emit = warnPeople(context);
  const work = {
    policy: followingPolicyOf(pinPolicyOf(options.settings, options), context),
    seen: seenPinsOf(context),
    emit,
  };
  if (toolchains.length === 0) return new Map();
  const urls = toolchains.flatMap((toolchain) => cachesOf(toolchain, options));
  return withCaches(urls, { context, options, emit }, async (opened) => {
    const caches = [...opened];
    const named = toolchains.map((toolchain) => ({
      toolchain,
      // In the order in which they were opened.
      caches: caches
        .splice(0, cachesOf(toolchain, options).length)
        .map(({ objects }, index): NamedCache => ({ objects, name: nameOf(toolchain, index, objects.url) })),
    }));
    const found = new Map<string, LockedToolchain>();
    for (const { toolchain, caches } of named) {
      const { name, pin } = toolchain;
      const known = isLocked(toolchain, before) ? before?.get(name) : undefined;
      found.set(name, await resolveToolchain({ name, pin, before: known }, caches, work));
    }
    return found;
  });
}

/** A cache that stands in for those of the project's file goes by their name. */
function nameOf({ caches }: Toolchain, index: number, url: string): string {
  return (caches[index] ?? caches[0])?.name ?? url;
}

/** Where a toolchain is pulled from: what the command line says, else what the project says of it, else the settings. */
export function cachesOf(
  { name, caches, pin }: Toolchain,
  { settings }: { readonly settings: Pick<Settings, 'from'> },
): readonly CacheUrl[] {
  const isGiven = settings.from.origin.kind === 'option' || caches.length === 0;
  const urls = isGiven ? settings.from.value : caches.map(({ url }) => url);
  if (urls.length > 0) return urls;
  throw new CarportError(
    'E_USAGE',
    `it is not said which cache has the pin \`${pin.text}\` of the toolchain \`${name}\``,
    {
      hint: `write \`${name} = { pin = "${pin.text}", cache = "https://…" }\` or \`from = ["https://…"]\` into carport.toml, or give \`--from\``,
    },
  );
}

/** All caches of toolchains, each once. */
export function allCachesOf(
  toolchains: readonly Toolchain[],
  options: ToolchainOptions,
  { env }: Context,
): readonly CacheUrl[] {
  const all = toolchains.flatMap((toolchain) => cachesOf(toolchain, options));
  return [...new Map(all.map((url) => [canonicalUrl(url, env), url])).values()];
}

/** Writes the lock of a project. */
export async function saveLock({ lockFile }: Project, lock: Lock): Promise<void> {
  await writeLock(lockFile, lock).catch((cause) => {
    if (!isErrno(cause, 'EACCES', 'EPERM', 'EROFS')) throw cause;
    throw new CarportError('E_IO', `\`${lockFile}\` cannot be written`, {
      cause,
      hint: 'run `carport lock` where you may write, and commit the lock',
    });
  });
}
