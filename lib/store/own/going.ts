/** What goes of a store: what nothing needs, all of it, or what somebody names; and what is in the way of that. */

import { CarportError } from '../../errors.js';
import type { Registration, Registrations } from './metadata.js';
import type { OwnStore } from './own-store.js';
import type { Root } from './roots.js';

/** What no root reaches; all of it, with its out-links and pins; or these paths, which nothing may need. */
export type Going = 'garbage' | 'all' | readonly string[];

export function isList(going: Going): going is readonly string[] {
  return typeof going !== 'string';
}

/** What of the registered paths goes. Throws `E_UNAVAILABLE` for a path that is named and that something needs. */
export function chosen(
  going: Going,
  graph: Registrations,
  reached: ReadonlySet<string>,
  roots: readonly Root[],
  store: Pick<OwnStore, 'description'>,
): readonly Registration[] {
  if (!isList(going)) return [...graph.values()].filter(({ path }) => !reached.has(path));
  const named = new Set(going);
  const unknown = going.find((path) => !graph.has(path));
  if (unknown !== undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${unknown}\` is not valid in ${store.description}`, {
      hint: '`carport store ls` prints what is there',
    });
  }
  const used = going.find((path) => reached.has(path));
  if (used !== undefined) throw inUse(used, rootOf(used, graph, roots), store);
  const referrer = [...graph.values()].find(
    ({ path, references }) => !named.has(path) && references.some((reference) => named.has(reference)),
  );
  if (referrer !== undefined) {
    const needed = referrer.references.find((reference) => named.has(reference))!;
    throw new CarportError('E_UNAVAILABLE', `\`${needed}\` is needed by \`${referrer.path}\``, {
      hint: 'name that, too; or `carport store gc` removes all that nothing needs',
    });
  }
  return [...named].map((path) => graph.get(path)!);
}

/** Gives no roots. Throws `E_UNAVAILABLE` where a program runs from the store, or something is read there. */
export function requireNoneRunning(
  roots: readonly Root[],
  { description }: Pick<OwnStore, 'description'>,
): readonly Root[] {
  const running = roots.find(({ kind }) => kind === 'running');
  if (running === undefined) return [];
  throw new CarportError('E_UNAVAILABLE', `${description} is in use: ${running.name} runs from it, or reads it`, {
    hint: 'nothing was removed: try again when it has ended; `carport store ls --roots` prints what runs',
  });
}

function inUse(path: string, root: Root | undefined, { description }: Pick<OwnStore, 'description'>): CarportError {
  const by = { link: 'the out-link', pin: 'the pin', running: 'the running' } as const;
  const who = root ? `${by[root.kind]} \`${root.name}\`` : 'something';
  const drop = {
    link: 'remove the link first',
    pin: `drop it first: \`carport store forget ${root?.name}\``,
    running: 'try again when it has ended',
  } as const;
  return new CarportError('E_UNAVAILABLE', `${who} needs \`${path}\` in ${description}`, {
    hint: `nothing was removed: ${root ? drop[root.kind] : '`carport store ls --roots` prints what is in use'}`,
  });
}

function rootOf(path: string, graph: Registrations, roots: readonly Root[]): Root | undefined {
  return roots.find(({ storePaths }) => {
    const reached = new Set(storePaths);
    for (const each of reached) for (const reference of graph.get(each)?.references ?? []) reached.add(reference);
    return reached.has(path);
  });
}
