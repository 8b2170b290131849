/** What settings say of releases: keys, channels, the index. */

import type { IndexOptions } from '../../index-generator/index-files.js';
import type { Forge } from '../../index-generator/links.js';
import { CarportError } from '../../lib/errors.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { type TrustPolicy, withOwnKeys } from '../../lib/signing/trust.js';
import { type ChannelRule, channelRule } from '../../release/version.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { Settings } from '../settings/setting.js';
import { FORGE_KINDS } from '../settings/values.js';
import type { RememberedKey } from './remembered-keys.js';

/** What a command signs releases with, and whose it believes. */
export interface ReleaseTrust {
  /** Empty only where unsigned documents are allowed, or nothing is written. */
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
  /** Go on where others have signed something that would not count any more. */
  readonly allowLost: boolean;
}

/** What is said of it on the command line. */
export interface TrustOptions {
  readonly allowUnsigned?: boolean;
  readonly allowLostSignatures?: boolean;
}

type KeySettings = Pick<Settings, 'secret-key-files' | 'trusted-keys'>;

/** The keys of a command that writes; there must be one, unless it is said that there need not. */
export async function signingOf(settings: KeySettings, options: TrustOptions): Promise<ReleaseTrust> {
  const trust = await releaseTrustOf(settings, options);
  if (trust.keys.length > 0 || options.allowUnsigned) return trust;
  throw new CarportError('E_CREDENTIALS', 'nothing can be signed: no key is given', {
    hint: 'give `--secret-key FILE` or set CARPORT_SECRET_KEY_FILES; `carport key generate NAME --out FILE` makes one. `--allow-unsigned` does without',
  });
}

/** The keys of a command that reads. */
export async function releaseTrustOf(
  settings: KeySettings,
  { allowUnsigned = false, allowLostSignatures = false }: TrustOptions,
): Promise<ReleaseTrust> {
  const keys = await loadSecretKeys(settings['secret-key-files'].value);
  const policy = { keys: settings['trusted-keys'].value, allowUnsigned };
  return { keys, policy: withOwnKeys(policy, keys), allowLost: allowLostSignatures };
}

/** The rule that tells channels, as it is set. */
export function channelRuleOf(settings: Pick<Settings, 'stable-pattern'>): ChannelRule {
  return settings['stable-pattern'].value ?? channelRule();
}

/** Throws `E_USAGE` where what is set could tell no channel: before anything is asked of a server. */
export function checkChannelRule(settings: Pick<Settings, 'stable-pattern'>): void {
  channelRuleOf(settings);
}

/** Throws `E_USAGE` where no index could be made by what is set: before anything is asked of a server. */
export function checkIndexSettings(settings: CatalogSettings): void {
  indexOptionsOf(settings, []);
}

/** The settings that an index is made by. */
export type IndexSettings = Pick<Settings, RememberedKey>;

/** Those of them that releases are shown by, wherever that is. */
export type CatalogSettings = Omit<
  IndexSettings,
  'logo' | 'accent-color' | 'accent-color-dark' | 'index-html' | 'simple-index'
>;

/** What settings say of the index. Throws `E_USAGE` for what is no such thing. */
export function indexOptionsOf(settings: CatalogSettings, keys: readonly SecretKey[]): IndexOptions {
  const baseUrl = settings['base-url'].value;
  const title = settings.title.value;
  const forge = forgeOf(settings);
  return {
    channelOf: channelRuleOf(settings),
    requiredTargets: settings['required-targets'].value,
    ...(baseUrl !== undefined && { baseUrl }),
    ...(title !== undefined && { title }),
    ...(forge && { forge }),
    ...(keys[0] && { key: keys[0] }),
  };
}

/** The forge that settings name. */
export function forgeOf({ forge, 'forge-kind': kind }: Pick<Settings, 'forge' | 'forge-kind'>): Forge | undefined {
  const given = kind.value;
  const url = forge.value;
  return url === undefined ? undefined : { kind: given ?? kindOfHost(new URL(url).hostname), url };
}

/** Most forges of a project's own are Gitea or Forgejo, as Codeberg is. */
function kindOfHost(host: string): Forge['kind'] {
  return FORGE_KINDS.find((kind) => host.split('.').includes(kind)) ?? 'gitea';
}
