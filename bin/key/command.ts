/** Declares the commands of `key`. */

import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { createSecretFile } from '../../lib/filesystem/secret-file.js';
import { type PublicKey, renderPublicKey, renderSecretKey, secretKeyFromSeed } from '../../lib/signing/key.js';
import { formatMinisignId, minisignKey, minisignKeyLines, renderMinisignKey } from '../../lib/signing/minisign.js';
import { checkPath } from '../arguments/checked-path.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { loadSecretKey, minisignPublicKey } from '../settings/keys.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./key.js');

const GENERATE_OPTIONS = [
  option('--out <file>', 'file of the secret key; never overwritten', { parse: checkPath, required: true }),
];

const PUBLIC_OPTIONS = [flag('--minisign', 'print it as a public key file of minisign')];

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
}

async function generate(name: string, options: OptionsOf<typeof GENERATE_OPTIONS>, context: Context): Promise<void> {
  const key = secretKeyFromSeed(name, randomBytes(32));
  await createSecretFile(options.out, `${renderSecretKey(key)}\n`);
  note(context, options, `the secret key is in \`${options.out}\`; this is its public key:`);
  await printPublic(key.publicKey, options, context);
}

async function printPublic(key: PublicKey, options: CommonOptions, context: Context): Promise<void> {
  const publicKey = renderPublicKey(key);
  if (options.json) await writeJson(context.stdout, { name: key.name, publicKey });
  else await writeLines(context.stdout, [publicKey]);
}

async function printMinisign(publicKey: PublicKey, options: CommonOptions, context: Context): Promise<void> {
  const key = minisignKey(publicKey);
  if (!options.json) return writeLines(context.stdout, minisignKeyLines(key));
  const shown = { name: publicKey.name, keyId: formatMinisignId(key.id), publicKey: renderMinisignKey(key) };
  await writeJson(context.stdout, shown);
}
