/** A setting: its texts, where they are from, and the value that they are. */

import type { Parser } from './parsers.js';
import { SETTINGS, type SettingKey, type SettingSpec } from './table.js';
import { PARSERS, type SettingValue } from './values.js';

/** Where the texts of a setting are from. `name` is the option, the variable, or the file as errors name it. */
export interface Origin {
  readonly kind: 'default' | 'option' | 'variable' | 'file' | 'remembered';
  readonly name: string;
  /** The setting that was given there, where that is another one. */
  readonly key?: SettingKey;
  /** The file is a project's, and the user's own says something else: whoever runs a command in a clone has not chosen it. */
  readonly isProject?: boolean;
}

export interface Setting<T> {
  /** As they were given; none where the setting is not set, at most one unless it is a list. */
  readonly texts: readonly string[];
  readonly origin: Origin;
  /**
   * The texts, parsed when they are first asked for: a wrong value stops the commands that use it, and no others. Throws
   * `E_USAGE` with the place of a wrong value.
   */
  readonly value: T;
}

/** All settings. A command has those that it declares, `Pick<Settings, …>`. */
export type Settings = { readonly [K in SettingKey]: Setting<SettingValue<K>> };

/** The setting of a key, of its texts. */
export function createSetting<K extends SettingKey>(
  key: K,
  texts: readonly string[],
  origin: Origin,
): Setting<SettingValue<K>> {
  const parse: Parser<unknown> = PARSERS[key];
  const { list }: SettingSpec = SETTINGS[key];
  let parsed: { readonly value: unknown } | undefined;
  return {
    texts,
    origin,
    get value() {
      if (!parsed) {
        const place = placeOf(key, origin);
        const values = (list ? texts : texts.slice(-1)).map((each) => parse(each, place));
        parsed = { value: list ? values : values[0] };
      }
      return parsed.value as SettingValue<K>;
    },
  };
}

/** Where a value is from, as errors have it: `--jobs`, `CARPORT_JOBS`, `jobs in FILE`. */
function placeOf(key: SettingKey, { kind, name, key: given = key }: Origin): string {
  return kind === 'file' ? `${given} in ${name}` : name;
}

/** Whether somebody has set it, anywhere. */
export function isGiven({ texts }: Setting<unknown>): boolean {
  return texts.length > 0;
}
