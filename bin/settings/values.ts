/** What each setting is when it is read: the parser of its texts. */

import { parseColour } from '../../index-generator/html/theme.js';
import type { Forge } from '../../index-generator/links.js';
import {
  isWritableCompression,
  WRITABLE_COMPRESSIONS,
  type WritableCompression,
} from '../../lib/compression/compressor.js';
import { CarportError } from '../../lib/errors.js';
import { channelRule } from '../../release/version.js';
import { baseUrl, cacheUrl, projectPage, storeRoot } from './addresses.js';
import type { SecretKeySource } from './held-key.js';
import { publicKey } from './keys.js';
import { duration, integer, notBlank, oneOf, type Parser, text } from './parsers.js';
import type { SETTINGS, SettingKey } from './table.js';

const MAX_JOBS = 256;
const MAX_SECONDS = 24 * 60 * 60;

/** More than any compression has: which levels one takes is known when that is. */
const MAX_LEVEL = 1000;

/** What a forge may be that an index has links to. */
export const FORGE_KINDS = ['gitea', 'github', 'gitlab'] as const satisfies readonly Forge['kind'][];

/** The parser of each setting; of a list, that of each of its values. */
export const PARSERS = {
  cache: cacheUrl,
  to: cacheUrl,
  from: cacheUrl,
  'trusted-keys': publicKey,
  'secret-key-files': text as Parser<SecretKeySource>,
  store: storeRoot,
  compression,
  level: integer(0, MAX_LEVEL),
  jobs: integer(1, MAX_JOBS, { of: 'jobs' }),
  'skip-signed-by': text,
  'retry-seconds': integer(0, MAX_SECONDS, { of: 'seconds' }),
  'stable-pattern': channelRule,
  'base-url': baseUrl,
  title,
  forge: projectPage,
  'forge-kind': oneOf(FORGE_KINDS, 'kind of forge', '; `gitea` is for Forgejo, too'),
  logo,
  'accent-color': colour,
  'accent-color-dark': colour,
  'index-html': oneOf(['keep', 'replace', 'none'], 'way to treat `index.html`'),
  'simple-index': oneOf(['auto', 'always', 'never'], 'time for simple indexes'),
  'required-targets': text,
  'minimum-age': duration,
  'ancestor-of': notBlank('the name of a branch'),
  'gate-commands': notBlank('a command line'),
  'gate-seconds': integer(1, MAX_SECONDS, { of: 'seconds' }),
  releases: cacheUrl,
  'release-keys': publicKey,
} as const satisfies Readonly<Record<SettingKey, Parser<unknown>>>;

/** The value of a setting: of a list all of them, of others one, or nothing where it is not set. */
export type SettingValue<K extends SettingKey> = (typeof SETTINGS)[K]['list'] extends true
  ? readonly ReturnType<(typeof PARSERS)[K]>[]
  : ReturnType<(typeof PARSERS)[K]> | undefined;

function compression(given: string, place: string): WritableCompression {
  if (isWritableCompression(given)) return given;
  throw new CarportError('E_USAGE', `compression \`${given}\` (${place}) cannot be written`, {
    hint: `use ${Object.keys(WRITABLE_COMPRESSIONS).join(', ')}`,
  });
}

/** Bytes of a picture, which is a part of the page. */
export const LOGO_LIMIT = 64 * 1024;

/** A picture that was read, as it is remembered. */
export const LOGO_URL = /^data:image\/(?:svg\+xml|png);base64,[A-Za-z0-9+/]+={0,2}$/;

/** The name of a file, or a picture that was read. */
function logo(given: string, place: string): string {
  const isPicture = LOGO_URL.test(given) && given.length <= LOGO_LIMIT * 1.4;
  if (isPicture || (given.trim() !== '' && !given.includes('\0') && !/^data:/i.test(given))) return given;
  throw new CarportError('E_USAGE', `the logo (${place}) is no file`, { hint: 'give the name of an SVG or PNG file' });
}

/** As `#rrggbb`, in lower case. */
function colour(given: string, place: string): string {
  const found = parseColour(given);
  if (found !== undefined) return found;
  throw new CarportError('E_USAGE', `\`${given}\` (${place}) is no colour`, {
    hint: 'give one as `#0b5d83`: red, green and blue, each two digits of 0-9a-f',
  });
}

function title(given: string, place: string): string {
  if (given.trim() !== '') return given;
  throw new CarportError('E_USAGE', `the heading of the page (${place}) is empty`, {
    hint: 'give the name of the project; `index publish --forget title` takes back what was said before',
  });
}
