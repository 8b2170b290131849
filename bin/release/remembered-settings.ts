/** What the ledger of an index remembers of settings, and what is given anew. */

import { CarportError } from '../../lib/errors.js';
import type { Project } from '../../release/documents/kinds.js';
import { LEDGER_KEY } from '../../release/layout.js';
import { printableLine } from '../cli/printable.js';
import { createSetting, isGiven, type Origin, type Setting } from '../settings/setting.js';
import { SETTINGS } from '../settings/table.js';
import { REMEMBERED, type RememberedKey } from './remembered-keys.js';
import type { IndexSettings } from './settings.js';

/** Where such a value is said to be from. */
const ORIGIN: Origin = { kind: 'remembered', name: `\`${LEDGER_KEY}\`` };

/**
 * The settings that a command uses, and what is remembered where they say nothing. Values that are remembered are parsed as
 * others are. `forget` names those that are not to be remembered any more.
 */
export function withRemembered<S extends Partial<IndexSettings>>(
  settings: S,
  project: Project | undefined,
  forget: readonly RememberedKey[] = [],
): S {
  if (!project) return settings;
  const isNew = (key: RememberedKey) => isSet(settings[key]) || forget.includes(key);
  const isOf: Readonly<Record<RememberedKey, readonly (string | null)[]>> = {
    'base-url': [project.baseUrl],
    title: [project.title],
    forge: [project.forge],
    // Another forge is of its own kind.
    'forge-kind': isNew('forge') ? [] : [project.forgeKind],
    'stable-pattern': [project.stablePattern],
    'required-targets': project.requiredTargets,
    logo: [project.logo ?? null],
    'accent-color': [project.accentColor ?? null],
    'accent-color-dark': [project.accentColorDark ?? null],
    'index-html': [project.indexHtml === 'replace' ? null : (project.indexHtml ?? null)],
    'simple-index': [project.simpleIndex ?? null],
  };
  const remembered = REMEMBERED.filter((key) => !isNew(key)).flatMap((key) => {
    const values = isOf[key].filter((value) => value !== null);
    return values.length === 0 ? [] : [[key, createSetting(key, values, ORIGIN)] as const];
  });
  return { ...settings, ...Object.fromEntries(remembered) };
}

/** What a ledger is to remember of settings. */
export function projectOf(settings: IndexSettings): Project {
  const single = (key: RememberedKey) => settings[key].texts.at(-1) ?? null;
  return {
    baseUrl: single('base-url'),
    title: single('title'),
    forge: single('forge'),
    forgeKind: single('forge-kind'),
    stablePattern: single('stable-pattern'),
    requiredTargets: [...settings['required-targets'].value],
    ...optional('logo', single('logo')),
    ...optional('accentColor', single('accent-color')),
    ...optional('accentColorDark', single('accent-color-dark')),
    // What is said once of a page of somebody else does not hold for the next one.
    ...optional('indexHtml', settings['index-html'].value === 'replace' ? 'keep' : single('index-html')),
    ...optional('simpleIndex', single('simple-index')),
  };
}

function optional<K extends keyof Project>(key: K, value: string | null): { readonly [P in K]?: string } {
  return value === null ? {} : ({ [key]: value } as { readonly [P in K]?: string });
}

/** Which of the settings are remembered ones, as people read it; of those alone that a command uses. */
export function tellRemembered<K extends RememberedKey>(
  settings: Pick<IndexSettings, K>,
  keys: readonly K[],
): string | undefined {
  const from = keys.filter((key) => settings[key].origin === ORIGIN);
  if (from.length === 0) return undefined;
  const told = from.map((key) => `${key} ${settings[key].texts.map(shown).join(' ')}`);
  return printableLine(
    `as in the run before (${ORIGIN.name}): ${told.join(', ')}; \`index publish --forget NAME\` takes one back`,
  );
}

/** A picture is long, and tells nobody anything. */
function shown(text: string): string {
  return text.startsWith('data:') ? '(a picture)' : `\`${text}\``;
}

/** Throws where a setting is to be forgotten, and given all the same. */
export function requireForgotten(settings: IndexSettings, forget: readonly RememberedKey[]): void {
  const given = forget.find((key) => isGiven(settings[key]));
  if (given === undefined) return;
  throw new CarportError(
    'E_USAGE',
    `\`${given}\` is to be forgotten (--forget), and is set by ${settings[given].origin.name}`,
    {
      hint: `take it away there, or leave out \`--forget ${given}\`: \`${SETTINGS[given].option}\` replaces what is remembered`,
    },
  );
}

function isSet(setting: Setting<unknown> | undefined): boolean {
  return setting !== undefined && isGiven(setting);
}
