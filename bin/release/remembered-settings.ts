/** Settings that the ledger of an index remembers. */

import { CarportError } from '../../lib/errors.js';
import type { Project } from '../../release/documents/kinds.js';
import { LEDGER_KEY } from '../../release/layout.js';
import { printableLine } from '../cli/printable.js';
import { SETTINGS, type Setting, type Settings } from '../settings/settings.js';

/**
 * Settings of the index that its ledger remembers: what the project says of itself, and not who runs a command. Without its
 * rule of stable versions all addresses below `releases/latest/stable/` would go, and stable releases could be pruned.
 */
export const REMEMBERED = [
  'base-url',
  'title',
  'forge',
  'forge-kind',
  'stable-pattern',
  'required-targets',
] as const satisfies readonly (keyof Settings)[];

export type RememberedKey = (typeof REMEMBERED)[number];

/** Where such a value is said to be from. */
const ORIGIN = `\`${LEDGER_KEY}\``;

/** The settings, and what is remembered where they say nothing. Values that are remembered are checked as others are. */
export function withRemembered(
  settings: Settings,
  project: Project | undefined,
  forget: readonly RememberedKey[] = [],
): Settings {
  if (!project) return settings;
  const isNew = (key: RememberedKey) => isGiven(settings[key]) || forget.includes(key);
  const isOf: Readonly<Record<RememberedKey, readonly (string | null)[]>> = {
    'base-url': [project.baseUrl],
    title: [project.title],
    forge: [project.forge],
    // Another forge is of its own kind.
    'forge-kind': isNew('forge') ? [] : [project.forgeKind],
    'stable-pattern': [project.stablePattern],
    'required-targets': project.requiredTargets,
  };
  const remembered = REMEMBERED.filter((key) => !isNew(key)).flatMap((key) => {
    const values = isOf[key].filter((value) => value !== null);
    return values.length === 0 ? [] : [[key, { values, origin: ORIGIN }] as const];
  });
  return { ...settings, ...Object.fromEntries(remembered) };
}

/** What a ledger is to remember of settings. */
export function projectOf(settings: Settings): Project {
  const single = (key: RememberedKey) => settings[key].values.at(-1) ?? null;
  return {
    ...{ baseUrl: single('base-url'), title: single('title'), forge: single('forge'), forgeKind: single('forge-kind') },
    ...{ stablePattern: single('stable-pattern'), requiredTargets: [...settings['required-targets'].values] },
  };
}

/** Which of the settings are remembered ones, as people read it; of those alone that a command uses. */
export function tellRemembered(settings: Settings, keys: readonly RememberedKey[] = REMEMBERED): string | undefined {
  const from = keys.filter((key) => settings[key].origin === ORIGIN);
  if (from.length === 0) return undefined;
  const told = from.map((key) => `${key} ${settings[key].values.map((value) => `\`${value}\``).join(' ')}`);
  return printableLine(
    `as in the run before (${ORIGIN}): ${told.join(', ')}; \`index publish --forget NAME\` takes one back`,
  );
}

/** Throws where a setting is to be forgotten, and given all the same. */
export function requireForgotten(settings: Settings, forget: readonly RememberedKey[]): void {
  const given = forget.find((key) => isGiven(settings[key]));
  if (given === undefined) return;
  throw new CarportError(
    'E_USAGE',
    `\`${given}\` is to be forgotten (--forget), and is set by ${settings[given].origin}`,
    {
      hint: `take it away there, or leave out \`--forget ${given}\`: \`${SETTINGS[given].option}\` replaces what is remembered`,
    },
  );
}

function isGiven({ values }: Setting): boolean {
  return values.length > 0;
}
