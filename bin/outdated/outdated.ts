/** The command `outdated`. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { parseCacheUrl } from '../../cache/cache-url.js';
import { canonicalUrl } from '../../cache/open.js';
import { lookForNewer, type Newer } from '../../cache/pins/newer.js';
import { type PinReference, parsePinReference } from '../../cache/pins/reference.js';
import { readLock } from '../../cache/toolchains/lock-file.js';
import { CarportError } from '../../lib/errors.js';
import { nixPins } from '../../lib/store/nix/pins.js';
import { NIX, openOwnForReading } from '../../lib/store/open.js';
import { listPulledPins, type PinStore, type PulledPin } from '../../lib/store/own/pulled-pins.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { ExitWith } from '../cli/exit-code.js';
import { printable } from '../cli/printable.js';
import { count } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { withCaches } from '../cli/with-caches.js';
import { followingPolicyOf, pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import { dayOf, fromTo } from '../project/days.js';
import { cachesOf, isLocked } from '../project/locked.js';
import { readProject } from '../project/toolchains.js';
import type { OutdatedOptions } from './command.js';

/** What somebody has here of a pin. */
interface Here {
  /** As people call it: the pin, or the project's name for it. */
  readonly name: string;
  readonly kind: 'pin' | 'toolchain';
  readonly reference: PinReference;
  readonly storePaths: readonly string[];
  readonly since: string;
  readonly caches: readonly CacheUrl[];
}

type Looked = Here & { readonly newer: Newer };

/** Prints what has a newer value; ends with 1 where there is any, and as an error where it cannot be told. */
export async function run(names: readonly string[], options: OutdatedOptions, context: Context): Promise<void> {
  const all = [...(await lockedHere(options, context)), ...(await pulledHere(options, context))];
  const unknown = names.find((name) => !all.some((each) => each.name === name));
  if (unknown !== undefined) throw notHere(unknown);
  const chosen = names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
  const looked = await lookAt(chosen, options, context);
  const outdated = looked.filter(({ newer }) => newer.state === 'outdated');
  if (options.json) await writeJson(context.stdout, { pins: looked.map((each) => jsonOf(each, context)) });
  else await writeLines(context.stdout, outdated.map(lineOf).map(printable));
  for (const { name, newer } of looked) {
    if (newer.state === 'gone') note(context, options, `\`${name}\`: there is no such pin in its cache any more`);
    if (newer.state === 'unknown')
      warnPeople(context)({ type: 'warning', message: `\`${name}\`: ${newer.error.message}` });
  }
  note(context, options, `${count(outdated.length, 'pin')} of ${looked.length} outdated`);
  if (outdated.length > 0) throw new ExitWith(1);
  for (const { newer } of looked) if (newer.state === 'unknown') throw newer.error;
}

/** Toolchains of the project as its lock has them. */
async function lockedHere(options: OutdatedOptions, context: Context): Promise<readonly Here[]> {
  const project = await readProject(context);
  const lock = project && (await readLock(project.lockFile));
  return (project?.toolchains ?? []).flatMap((toolchain): readonly Here[] => {
    const locked = lock?.get(toolchain.name);
    if (locked === undefined || !isLocked(toolchain, lock) || toolchain.pin.at !== undefined) return [];
    const { name, pin: reference } = toolchain;
    const storePaths = locked.paths.map(({ storePath }) => storePath);
    const caches = cachesOf(toolchain, options);
    return [{ name, kind: 'toolchain', reference, storePaths, since: locked.since, caches }];
  });
}

/** Pins that were pulled: into the store that is named, else into either. A value of the past is never outdated. */
async function pulledHere({ settings }: OutdatedOptions, { env }: Context): Promise<readonly Here[]> {
  const selection = settings.store.value;
  const own = selection === NIX ? undefined : openOwnForReading(selection, env);
  const places: readonly PinStore[] = [
    ...(own ? [own] : []),
    ...(selection === undefined || selection === NIX ? [nixPins(env)] : []),
  ];
  const pins = (await Promise.all(places.map(listPulledPins))).flat();
  const unique = new Map(pins.map((pin) => [`${pin.reference} ${pin.from} ${pin.storePaths.join()}`, pin]));
  return [...unique.values()].flatMap((pin) => hereOf(pin, settings.from, env));
}

function hereOf(pin: PulledPin, from: OutdatedOptions['settings']['from'], env: NodeJS.ProcessEnv): readonly Here[] {
  const reference = parsePinReference(pin.reference);
  if (reference === undefined || reference.at !== undefined) return [];
  const named = from.origin.kind === 'option' ? from.value : undefined;
  // A cache of the settings may have parameters that are not in a record.
  const known = from.value.find((url) => canonicalUrl(url, env) === pin.from);
  const caches = named ?? [known ?? parseCacheUrl(pin.from)];
  const { storePaths, updatedAt: since } = pin;
  return [{ name: pin.reference, kind: 'pin', reference, storePaths, since, caches }];
}

async function lookAt(chosen: readonly Here[], options: OutdatedOptions, context: Context): Promise<readonly Looked[]> {
  const emit = warnPeople(context);
  const policy = followingPolicyOf(pinPolicyOf(options.settings, options), context);
  const work = { policy, seen: seenPinsOf(context), emit };
  const urls = new Map(chosen.flatMap(({ caches }) => caches).map((url) => [canonicalUrl(url, context.env), url]));
  return withCaches([...urls.values()], { context, options, emit }, (opened) => {
    const byUrl = new Map([...urls.keys()].map((url, index) => [url, opened[index]!.objects]));
    return Promise.all(
      chosen.map(async (here) => {
        const objects = here.caches.map((url) => byUrl.get(canonicalUrl(url, context.env))!);
        return { ...here, newer: await lookForNewer(here, objects, work) };
      }),
    );
  });
}

function lineOf({ name, kind, since, newer }: Looked): string {
  const more = kind === 'toolchain' ? ` (\`carport lock --update ${name}\` takes it)` : '';
  return `${name}: ${newer.state === 'outdated' ? fromTo(since, newer.now) : dayOf(since)}${more}`;
}

function jsonOf({ name, kind, since, storePaths, caches, newer }: Looked, { env }: Context): object {
  return {
    ...{ name, kind, caches: caches.map((url) => canonicalUrl(url, env)), state: newer.state, since, storePaths },
    newest: newer.state === 'outdated' ? { since: newer.now, storePaths: newer.storePaths } : null,
    reason: newer.state === 'unknown' ? newer.error.message : null,
  };
}

function notHere(name: string): CarportError {
  return new CarportError('E_NOT_FOUND', `no pin was pulled here as \`${name}\``, {
    hint: '`carport store ls --roots` prints pins that were pulled; one with a time, such as `toolchain@previous`, stays what it is',
  });
}
