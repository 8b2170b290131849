/** Rows of a command's table of options: what help says of each, and the type and value that the command gets. */

import { Option } from 'commander';
import type { CommonOptions } from '../cli/context.js';
import type { Settings } from '../settings/setting.js';
import { SETTINGS, type SettingKey } from '../settings/table.js';

/** What commander has collected of an option: its texts, whether a flag is set, or nothing. */
type Given = readonly string[] | boolean | undefined;

/** An option of a command's own. `N` is the name of its value among the options, `V` the type of that. */
export interface OptionRow<N extends string = string, V = unknown> {
  readonly kind: 'option';
  readonly name: N;
  /** As commander takes it: one, or a flag and its opposite. */
  readonly declared: readonly Option[];
  read(given: Given): V;
}

/** A setting that the command uses. Without an option it is given in a variable or a file only. */
export interface SettingRow<K extends SettingKey = SettingKey> {
  readonly kind: 'setting';
  readonly key: K;
  /** The first is in the help, and so are further ones that are not hidden. Each gives the setting of its name. */
  readonly declared: readonly Option[];
}

/** A row of a command's table of options. */
export type Row = OptionRow | SettingRow;

/** The options that give a setting. */
interface SettingNames {
  /** The setting whose option is in the help. */
  readonly shown?: SettingKey;
  /** Those whose options go on to work, and are in no help. */
  readonly hidden?: readonly SettingKey[];
}

/** A setting with its option, its variable and its key in files. `names` are for one that has the option of another. */
export function setting<K extends SettingKey>(key: K, names: SettingNames = { shown: key }): SettingRow<K> {
  const { list } = SETTINGS[key];
  const declare = (named: SettingKey) => {
    const { option, argument, description, env } = SETTINGS[named];
    const declared = new Option(`${option} ${argument}`, `${description}${list ? '; repeatable' : ''} [${env}]`);
    return declared.argParser(list ? append : only);
  };
  const { shown, hidden = [] } = names;
  const declared = [...(shown ? [declare(shown)] : []), ...hidden.map((each) => declare(each).hideHelp())];
  return { kind: 'setting', key, declared };
}

/** A setting that the command takes from variables and files, and for which it has no option. */
export function settingWithoutOption<K extends SettingKey>(key: K): SettingRow<K> {
  return { kind: 'setting', key, declared: [] };
}

/** What more there is to say of an option that has an argument. */
interface ValueDetails {
  /** What makes the value of the text. It may be loaded only then: help needs no parsers. */
  readonly parse?: (text: string, place: string) => unknown;
  readonly choices?: readonly string[];
  readonly repeatable?: boolean;
  readonly required?: boolean;
  /** The text that stands for an option that is not given. */
  readonly default?: string;
  /** It is for carport itself, or goes on to work, and is in no help. */
  readonly hidden?: boolean;
}

interface FlagDetails {
  /** A letter that is known from other programs. */
  readonly short?: `-${string}`;
  /** The texts of other options, by their names, where this one is given and they are not. */
  readonly implies?: Readonly<Record<string, string>>;
  /** It goes on to work, and is in no help. */
  readonly hidden?: boolean;
}

/** `dry-run` as a property: `dryRun`. */
type CamelCase<S extends string> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<CamelCase<B>>}` : S;
type FlagName<F extends string> = F extends `--no-${infer N}` ? N : F extends `--${infer N}` ? N : never;
type Name<F extends string> = CamelCase<F extends `${infer G} ${string}` ? FlagName<G> : FlagName<F>>;

type ParsedOne<D> = D extends { parse: (text: string, place: string) => infer T }
  ? Awaited<T>
  : D extends { choices: readonly (infer C)[] }
    ? C
    : string;
type Parsed<D> = D extends { repeatable: true } ? readonly ParsedOne<D>[] : ParsedOne<D>;
type ValueOf<D> = D extends { required: true } | { default: string } ? Parsed<D> : Parsed<D> | undefined;

/** An option with an argument, `--out <file>`. It is given once, or the last one counts, unless it is repeatable. */
export function option<const F extends `--${string} <${string}>`, const D extends ValueDetails = object>(
  flags: F,
  description: string,
  details?: D,
): OptionRow<Name<F>, ValueOf<D> | Promise<ValueOf<D>>>;
export function option(flags: string, description: string, details: ValueDetails = {}): OptionRow {
  const { parse = (text) => text, choices, repeatable = false, required = false, hidden, default: fallback } = details;
  const declared = new Option(flags, description).hideHelp(hidden === true);
  if (choices) declared.choices(choices);
  const check = declared.parseArg;
  declared.argParser((text: string, before: readonly string[] | undefined) => {
    check?.(text, undefined);
    return repeatable ? append(text, before) : only(text);
  });
  const place = declared.long!;
  if (fallback !== undefined) declared.default([fallback], shown(parse(fallback, place), fallback));
  return {
    ...{ kind: 'option', name: declared.attributeName(), declared: [declared.makeOptionMandatory(required)] },
    async read(texts) {
      if (!Array.isArray(texts)) return undefined;
      if (!repeatable) return parse(texts.at(-1), place);
      return Promise.all(texts.map((text) => parse(text, place)));
    },
  };
}

/** A flag, `--dry-run`: true where it is given. One that begins with `--no-` is true where it is not. */
export function flag<const F extends `--${string}`>(
  flags: F,
  description: string,
  { implies = {}, hidden = false, short }: FlagDetails = {},
): OptionRow<Name<F>, boolean> {
  const declared = new Option(short ? `${short}, ${flags}` : flags, description).hideHelp(hidden);
  const implied = Object.entries(implies).map(([option, text]) => [option, only(text)]);
  if (implied.length > 0) declared.implies(Object.fromEntries(implied));
  const name = declared.attributeName() as Name<F>;
  return { kind: 'option', name, declared: [declared], read: (given) => (given ?? declared.negate) === true };
}

/** A flag and its opposite, `--public` and `--no-public`: nothing where neither is given. */
export function toggle<const F extends `--${string}`>(
  flags: F,
  description: string,
  opposite: string,
): OptionRow<Name<F>, boolean | undefined> {
  const declared = [new Option(flags, description), new Option(flags.replace(/^--/, '--no-'), opposite)];
  const name = declared[0]!.attributeName() as Name<F>;
  return { kind: 'option', name, declared, read: (given) => (typeof given === 'boolean' ? given : undefined) };
}

type OwnValues<R> = R extends OptionRow<infer N, infer V> ? { readonly name: N; readonly value: Awaited<V> } : never;
type Optional<E> = E extends { name: infer N extends string; value: infer V }
  ? undefined extends V
    ? N
    : never
  : never;
type Valued<E extends { name: string; value: unknown }, N extends string> = Extract<E, { name: N }>['value'];
type Own<E extends { name: string; value: unknown }> = {
  readonly [N in Exclude<E['name'], Optional<E>>]: Valued<E, N>;
} & { readonly [N in Optional<E>]?: Exclude<Valued<E, N>, undefined> };
type KeysOf<R> = R extends SettingRow<infer K> ? K : never;

/** What a command with a table of options gets: its own options, those that every command has, and the settings it uses. */
export type OptionsOf<T extends readonly Row[]> = CommonOptions &
  Own<OwnValues<T[number]>> & { readonly settings: Pick<Settings, KeysOf<T[number]>> };

function append(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function only(text: string): readonly string[] {
  return [text];
}

/** A default as help shows it: numbers plain, words in quotes. */
function shown(value: unknown, text: string): string {
  return String(value) === text && typeof value === 'number' ? text : JSON.stringify(text);
}
