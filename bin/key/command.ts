/** Declares the commands of `key`. */

import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { createSecretFile } from '../../lib/filesystem/secret-file.js';
import {
  keyFingerprint,
  type PublicKey,
  renderPublicKey,
  renderSecretKey,
  secretKeyFromSeed,
} from '../../lib/signing/key.js';
import { formatMinisignId, minisignKey, minisignKeyLines, renderMinisignKey } from '../../lib/signing/minisign.js';
import { checkPath } from '../arguments/checked-path.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { BUCKET } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { expiry } from '../pin/expiry.js';
import { loadSecretKey, minisignPublicKey, publicKey } from '../settings/keys.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./key.js');

const GENERATE_OPTIONS = [
  option('--out <file>', 'file of the secret key; never overwritten', { parse: checkPath, required: true }),
];

const PUBLIC_OPTIONS = [
  flag('--minisign', 'print it as a public key file of minisign'),
  flag('--fingerprint', 'print its fingerprint, as `carport use` shows it'),
];

const SIGN_OPTIONS = [
  setting('secret-key-files'),
  option('--out <directory>', 'where to write the signatures (default: beside the files)', { parse: checkPath }),
];

const VERIFY_OPTIONS = [
  setting('trusted-keys'),
  option('--minisign-key <base64>', 'a public key as minisign has it; repeatable', {
    parse: minisignPublicKey,
    repeatable: true,
  }),
  option('--signature <file>', 'the signature (default: FILE.minisig)'),
  flag('--any-name', 'take the signature of a file with another name'),
];

const CACHE_KEYS_OPTIONS = [
  BUCKET,
  setting('secret-key-files'),
  option('--url <url>', 'where readers find the cache, if not there; repeatable', { repeatable: true }),
  setting('base-url'),
  flag('--allow-rollback', 'carry on with a statement that is older than one that was seen: the cache was restored'),
  flag('--dry-run', 'print what would be written; write nothing'),
  setting('retry-seconds'),
];

const PUBLISH_OPTIONS = [...CACHE_KEYS_OPTIONS, flag('--no-successors', 'vouch for no other key any more')];

const ROTATE_OPTIONS = [
  ...CACHE_KEYS_OPTIONS,
  option('--successor <name:base64>', 'the public key that is to be trusted, too', {
    parse: publicKey,
    required: true,
  }),
  option('--until <time>', 'until when: a span such as `90d`, a day or a time, a year at most', {
    parse: expiry,
    default: '90d',
  }),
];

export type PublishOptions = OptionsOf<typeof PUBLISH_OPTIONS>;
export type RotateOptions = OptionsOf<typeof ROTATE_OPTIONS>;
export type SignOptions = OptionsOf<typeof SIGN_OPTIONS>;
export type VerifyOptions = OptionsOf<typeof VERIFY_OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description('Keys that caches and files are signed with: ed25519, in the files that Nix uses.');
  declareCommand(command.command('generate'), context, {
    description: 'Makes a secret key in a new file that only you can read, and prints its public key.',
    examples: ['carport key generate cache.example.org-1 --out ./cache.sec'],
    arguments: [argument('<name>', 'the name in signatures; change its number when you replace the key')],
    options: GENERATE_OPTIONS,
    run: (name, options) => generate(name, options, context),
  });
  declareCommand(command.command('public'), context, {
    description: 'Prints the public key of a secret key file, as `trusted-public-keys` and `--trusted-key` take it.',
    examples: ['carport key public ./cache.sec', 'carport key public ./cache.sec --minisign > minisign.pub'],
    arguments: [argument('<file>', 'a secret key file')],
    options: PUBLIC_OPTIONS,
    async run(file, options) {
      const { publicKey } = await loadSecretKey(file);
      if (options.minisign) await printMinisign(publicKey, options, context);
      else if (options.fingerprint && !options.json) await writeLines(context.stdout, [keyFingerprint(publicKey)]);
      else await printPublic(publicKey, options, context);
    },
  });
  declareCommand(command.command('sign'), context, {
    description:
      'Signs files as minisign does, each in a file of its own that ends in `.minisig`, and prints their names.',
    examples: [
      'carport key sign app.tar.gz --secret-key ./cache.sec',
      'carport key sign ./result/bin/app --out . --secret-key ./cache.sec',
    ],
    arguments: [argument('<file...>', 'what to sign')],
    options: SIGN_OPTIONS,
    run: async (...values) => (await actions()).sign(...values, context),
  });
  declareCommand(command.command('verify'), context, {
    description: 'Checks a file against its signature, of carport or minisign, and prints the trusted comment.',
    examples: [
      'carport key verify app.tar.gz --trusted-key cache.example.org-1:BASE64',
      'carport key verify app.tar.gz --minisign-key "$(cat minisign.pub)"',
    ],
    arguments: [argument('<file>', 'what was signed')],
    options: VERIFY_OPTIONS,
    run: async (...values) => (await actions()).verify(...values, context),
  });
  configureCacheKeys(command, context);
}

function configureCacheKeys(command: Command, context: Context): void {
  declareCommand(command.command('publish'), context, {
    description:
      'Writes into a cache, signed, which keys sign it and where readers find it, for `carport use`. Prints what it says.',
    examples: [
      'carport key publish --cache file:///srv/cache --secret-key cache.sec',
      "carport key publish --cache 's3://nix?endpoint=https://garage.example.org' --url https://nix.example.org --secret-key cache.sec",
    ],
    options: PUBLISH_OPTIONS,
    run: async (...values) => (await import('./cache-keys.js')).publish(...values, context),
  });
  declareCommand(command.command('rotate'), context, {
    description:
      'Has the keys of a cache vouch for the one that follows: until then `pull` takes what that has signed in this cache from who trusts the old key.',
    examples: [
      'carport key rotate --cache file:///srv/cache --secret-key old.sec --successor "$(cat new.pub)" --until 90d',
    ],
    options: ROTATE_OPTIONS,
    run: async (...values) => (await import('./cache-keys.js')).rotate(...values, context),
  });
}

async function generate(name: string, options: OptionsOf<typeof GENERATE_OPTIONS>, context: Context): Promise<void> {
  const key = secretKeyFromSeed(name, randomBytes(32));
  await createSecretFile(options.out, `${renderSecretKey(key)}\n`);
  note(context, options, `the secret key is in \`${options.out}\`; this is its public key:`);
  await printPublic(key.publicKey, options, context);
}

async function printPublic(key: PublicKey, options: CommonOptions, context: Context): Promise<void> {
  const publicKey = renderPublicKey(key);
  const fingerprint = keyFingerprint(key);
  if (options.json) await writeJson(context.stdout, { name: key.name, publicKey, fingerprint });
  else await writeLines(context.stdout, [publicKey]);
}

async function printMinisign(publicKey: PublicKey, options: CommonOptions, context: Context): Promise<void> {
  const key = minisignKey(publicKey);
  if (!options.json) return writeLines(context.stdout, minisignKeyLines(key));
  const shown = { name: publicKey.name, keyId: formatMinisignId(key.id), publicKey: renderMinisignKey(key) };
  await writeJson(context.stdout, shown);
}
