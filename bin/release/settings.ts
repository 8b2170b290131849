/** What settings say of releases: keys, channels, the index. */

import type { IndexOptions } from '../../index-generator/index-files.js';
import { type Forge, webAddress } from '../../index-generator/links.js';
import { CarportError } from '../../lib/errors.js';
import { mistakeIn } from '../../lib/mistaken-place.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { type TrustPolicy, withOwnKeys } from '../../lib/signing/trust.js';
import { type ChannelRule, channelRule } from '../../release/version.js';
import { loadSecretKeys, parseTrustedKeys } from '../settings/keys.js';
import { type Setting, type Settings, singleValue } from '../settings/settings.js';

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

/** The keys of a command that writes; there must be one, unless it is said that there need not. */
export async function signingOf(settings: Settings, options: TrustOptions): Promise<ReleaseTrust> {
  const trust = await releaseTrustOf(settings, options);
  if (trust.keys.length > 0 || options.allowUnsigned) return trust;
  throw new CarportError('E_CREDENTIALS', 'nothing can be signed: no key is given', {
    hint: 'give `--secret-key FILE` or set CARPORT_SECRET_KEY_FILES; `carport key generate NAME --out FILE` makes one. `--allow-unsigned` does without',
  });
}

/** The keys of a command that reads. */
export async function releaseTrustOf(
  settings: Settings,
  { allowUnsigned = false, allowLostSignatures = false }: TrustOptions,
): Promise<ReleaseTrust> {
  const keys = await loadSecretKeys(settings['secret-key-files'].values);
  const policy = { keys: parseTrustedKeys(settings['trusted-keys']), allowUnsigned };
  return { keys, policy: withOwnKeys(policy, keys), allowLost: allowLostSignatures };
}

/** The rule that tells channels, as it is set. */
export function channelRuleOf(settings: Settings): ChannelRule {
  const pattern = settings['stable-pattern'];
  return channelRule(singleValue(pattern), pattern.origin);
}

/** Throws `E_USAGE` where what is set could tell no channel: before anything is asked of a server. */
export function checkChannelRule(settings: Settings): void {
  channelRuleOf(settings);
}

/** Throws `E_USAGE` where no index could be made by what is set: before anything is asked of a server. */
export function checkIndexSettings(settings: Settings): void {
  indexOptionsOf(settings, []);
}

/** What settings say of the index. */
export function indexOptionsOf(settings: Settings, keys: readonly SecretKey[]): IndexOptions {
  const baseUrl = baseUrlOf(settings['base-url']);
  const title = titleOf(settings.title);
  const forge = forgeOf(settings);
  return {
    channelOf: channelRuleOf(settings),
    requiredTargets: settings['required-targets'].values,
    ...(baseUrl !== undefined && { baseUrl }),
    ...(title !== undefined && { title }),
    ...(forge && { forge }),
    ...(keys[0] && { key: keys[0] }),
  };
}

function titleOf(setting: Setting): string | undefined {
  const title = singleValue(setting);
  if (title?.trim() !== '') return title;
  throw new CarportError('E_USAGE', `the heading of the page (${setting.origin}) is empty`, {
    hint: 'give the name of the project; `index publish --forget title` takes back what was said before',
  });
}

/** `new URL` takes `https:host` and `https:///host`, too, and another host for it. */
const WEB = /^https?:\/\/[^/\\][^\\]*$/i;

/** Words of what was given would be on a public page. */
function checkAddress(text: string, what: string): void {
  const mistake = mistakeIn(text);
  if (mistake) throw new CarportError('E_USAGE', `${what} ${mistake.reason}`, { hint: mistake.hint });
}

/** With a `/` at the end. */
function baseUrlOf(setting: Setting): string | undefined {
  const text = singleValue(setting);
  if (text === undefined) return undefined;
  // One that is empty may be meant to forget it, which is a command of its own.
  if (text !== '') checkAddress(text, `the address for users (${setting.origin})`);
  const url = URL.canParse(text) && WEB.test(text) ? new URL(text) : undefined;
  const isPlain =
    url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (!isPlain) {
    throw new CarportError('E_USAGE', `the address for users (${setting.origin}) is not that of a web site`, {
      hint: 'give one such as `https://releases.example.org/`, without a password or a query; `index publish --forget base-url` takes back what was said before',
    });
  }
  return url.href.endsWith('/') ? url.href : `${url.href}/`;
}

const FORGES = ['gitea', 'github', 'gitlab'] as const satisfies readonly Forge['kind'][];

function forgeOf({ forge, 'forge-kind': kindSetting }: Settings): Forge | undefined {
  const address = singleValue(forge);
  const kind = singleValue(kindSetting);
  if (kind !== undefined && !isForgeKind(kind)) {
    throw new CarportError('E_USAGE', `\`${kind}\` (${kindSetting.origin}) is no kind of forge`, {
      hint: `it is one of ${FORGES.map((each) => `\`${each}\``).join(', ')}; \`gitea\` is for Forgejo, too`,
    });
  }
  if (address === undefined) return undefined;
  checkAddress(address, `the address of the sources (${forge.origin})`);
  const url = WEB.test(address) ? webAddress(address) : undefined;
  if (url === undefined) {
    throw new CarportError('E_USAGE', `the address of the sources (${forge.origin}) is not that of a web site`, {
      hint: 'give that of the project, such as `https://git.example.org/owner/project`',
    });
  }
  return { kind: kind ?? kindOfHost(new URL(url).hostname), url };
}

function isForgeKind(text: string): text is Forge['kind'] {
  return FORGES.some((kind) => kind === text);
}

/** Most forges of a project's own are Gitea or Forgejo, as Codeberg is. */
function kindOfHost(host: string): Forge['kind'] {
  return FORGES.find((kind) => host.split('.').includes(kind)) ?? 'gitea';
}
