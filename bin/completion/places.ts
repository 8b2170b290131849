/** The places in the tree of commands where a shell completes, and what may follow at each. */

import type { Command, Option } from 'commander';
import { commandPath } from '../help/command-help.js';
import { TOOLCHAIN_WORDS } from '../project/options.js';
import { SETTINGS, type SettingSpec } from '../settings/table.js';

/** A word that may come next, and what it is for. */
export interface Word {
  readonly word: string;
  readonly description: string;
  /** What the value of an option is; a flag has none. Words stand for themselves. */
  readonly value?: readonly string[] | ValueKind;
}

/** What the value of an option may be, where it is no fixed word; of a text nothing is known. */
export const VALUE_KINDS = ['caches', 'pins', 'files', 'text'] as const;
type ValueKind = (typeof VALUE_KINDS)[number];

/** A place in the command tree: `carport store add`, and what may follow there. */
export interface Place {
  readonly path: string;
  readonly words: readonly Word[];
  /** What arguments may be; files where nothing is said. */
  readonly takes: readonly ('toolchains' | 'pins' | 'caches' | 'files')[];
}

/** The options that name a cache, whose pins are offered. */
export const CACHE_OPTIONS: readonly string[] = [SETTINGS.cache.option, SETTINGS.to.option, SETTINGS.from.option];

const SPECS = new Map(Object.values(SETTINGS).map((spec: SettingSpec) => [spec.option, spec]));

/** The place of a command, and those of its subcommands. */
export function placesIn(command: Command): readonly Place[] {
  const subcommands = command.commands.map((child) => ({
    word: child.name(),
    description: child.summary() || child.description(),
  }));
  const options = command.options.filter(({ hidden }) => !hidden).map(wordOf);
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  const words = [
    ...subcommands,
    ...choices.map((word) => ({ word, description: '' })),
    ...options,
    { word: '--help', description: 'show help' },
  ];
  return [{ path: commandPath(command), words, takes: takenBy(command) }, ...command.commands.flatMap(placesIn)];
}

function wordOf(option: Option): Word {
  const { description, argChoices, required, flags } = option;
  const word = option.long!;
  const values = argChoices ?? SPECS.get(word)?.values;
  if (values) return { word, description, value: values };
  return { word, description, ...(required && { value: kindOf(word, flags) }) };
}

/** What an option takes is told by its name, and by what help calls its value. */
function kindOf(word: string, flags: string): ValueKind {
  if (CACHE_OPTIONS.includes(word) || flags.includes('<cache>')) return 'caches';
  if (word === '--pin') return 'pins';
  return /<(file|dir|directory|root|path|link|command)>/.test(flags) ? 'files' : 'text';
}

/** What the arguments are is told by what help says of them. */
function takenBy(command: Command): Place['takes'] {
  const args = command.registeredArguments;
  const says = (pattern: RegExp) => args.some(({ description }) => pattern.test(description));
  return [
    ...(args.some(({ description }) => description.startsWith(TOOLCHAIN_WORDS)) ? (['toolchains'] as const) : []),
    ...(says(/\bpins?\b/) ? (['pins'] as const) : []),
    ...(args.some((argument) => argument.name() === 'cache') ? (['caches'] as const) : []),
    ...(says(/\b(paths?|links?)\b/) ? (['files'] as const) : []),
  ];
}

/** The options whose values are of a kind, with the commands that have them: `carport push --closure`. */
export function optionsWith(places: readonly Place[], kind: ValueKind): readonly string[] {
  return places.flatMap(({ path, words }) =>
    words.filter(({ value }) => value === kind).map(({ word }) => `${path} ${word}`),
  );
}

/** The options whose values are fixed words, by these words. */
export function enumerations(places: readonly Place[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const { path, words } of places) {
    for (const { word, value } of words) {
      if (!Array.isArray(value)) continue;
      const key = value.join(' ');
      found.set(key, [...(found.get(key) ?? []), `${path} ${word}`]);
    }
  }
  return found;
}

/** Patterns of a `case` of bash and zsh. */
export function patterns(texts: readonly string[]): string {
  return texts.map((text) => `'${text}'`).join('|');
}

/** The paths of the places that take something. */
export function takersOf(places: readonly Place[], what: Place['takes'][number]): readonly string[] {
  return places.filter(({ takes }) => takes.includes(what)).map(({ path }) => path);
}
