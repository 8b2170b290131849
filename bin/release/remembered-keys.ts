/** The settings that the ledger of an index remembers. */

import type { SettingKey } from '../settings/table.js';

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
  'logo',
  'accent-color',
  'accent-color-dark',
  'index-html',
  'simple-index',
] as const satisfies readonly SettingKey[];

export type RememberedKey = (typeof REMEMBERED)[number];
