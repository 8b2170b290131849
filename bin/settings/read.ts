/** Reads settings from where they are given: options, variables, files. */

import { HIDDEN_KEY } from '../../lib/signing/secret-form.js';
import { workingDirectory } from '../cli/context.js';
import { type FileSettings, readProjectFile, readUserFile } from './config-file.js';
import type { HeldKeys } from './held-key.js';
import { createSetting, type Origin, type Settings } from './setting.js';
import { SETTINGS, type SettingKey, type SettingSpec } from './table.js';

/** The texts of options, by the keys of their settings. */
export type GivenSettings = Readonly<Partial<Record<SettingKey, readonly string[]>>>;

/** Where settings are looked for beside the options. */
export interface SettingPlaces {
  readonly env: NodeJS.ProcessEnv;
  /** The working directory, in whose checkout a project's file is looked for. */
  cwd(): string;
  /** Secret keys that a variable holds. */
  readonly heldKeys?: HeldKeys | undefined;
}

interface Found {
  readonly texts: readonly string[];
  readonly origin: Origin;
}

const NOWHERE: Found = { texts: [], origin: { kind: 'default', name: 'default' } };

/**
 * Every setting, from the first place that has it: options, `CARPORT_*`, the checkout's `carport.toml`, then
 * `$XDG_CONFIG_HOME/carport/config.toml`. Throws `E_USAGE` for a file that is not as it should be, an unknown key for one.
 */
export async function readSettings(options: GivenSettings, places: SettingPlaces): Promise<Settings> {
  const { env, heldKeys } = places;
  const [project, user] = await Promise.all([readProjectFile(workingDirectory(places)), readUserFile(env)]);
  const entries = (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const spec: SettingSpec = SETTINGS[key];
    const given = options[key] ?? [];
    if (key === 'secret-key-files' && heldKeys && given.length === 0) return [key, ofHeldKeys(heldKeys)] as const;
    // Each place is asked for the setting, and then for what stands for it.
    const keys = spec.default === undefined ? [key] : [key, spec.default];
    const found = [
      ...keys.map((each) => fromOption(SETTINGS[each], options[each])),
      ...keys.map((each) => fromVariable(SETTINGS[each], env)),
      ...keys.map((each) => fromProject(each, project, user)),
      ...keys.map((each) => fromFile(each, user)),
    ];
    const { texts, origin } = found.find((each) => each !== undefined) ?? NOWHERE;
    return [key, createSetting(key, texts, origin)] as const;
  });
  return Object.fromEntries(entries) as unknown as Settings;
}

function ofHeldKeys(held: HeldKeys): Settings['secret-key-files'] {
  return { texts: [HIDDEN_KEY], origin: { kind: 'variable', name: held.variable }, value: [held] };
}

function fromOption({ option }: SettingSpec, texts: readonly string[] = []): Found | undefined {
  return texts.length > 0 ? { texts, origin: { kind: 'option', name: option } } : undefined;
}

/** Lists are separated by white space, as Nix's `trusted-public-keys` are, unless their values have some. */
function fromVariable({ env: name, list, lines }: SettingSpec, env: NodeJS.ProcessEnv): Found | undefined {
  const text = env[name];
  if (!text) return undefined;
  const texts = list ? text.split(lines ? /\n/ : /\s+/).filter((part) => part.trim() !== '') : [text];
  return { texts, origin: { kind: 'variable', name } };
}

function fromFile(key: SettingKey, settings: FileSettings | undefined): Found | undefined {
  const texts = settings?.texts.get(key);
  return settings && texts && { texts, origin: { kind: 'file', name: settings.file, key } };
}

function fromProject(key: SettingKey, project: FileSettings | undefined, user: FileSettings | undefined) {
  const found = fromFile(key, project);
  const isSame = found?.texts.join('\n') === user?.texts.get(key)?.join('\n');
  return found && { ...found, origin: { ...found.origin, isProject: !isSame } };
}
