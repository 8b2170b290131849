/** Declares the commands of `key`. */

import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { createSecretFile } from '../../lib/filesystem/secret-file.js';
import { type PublicKey, renderPublicKey, renderSecretKey, secretKeyFromSeed } from '../../lib/signing/key.js';
import { formatMinisignId, minisignKey, minisignKeyLines, renderMinisignKey } from '../../lib/signing/minisign.js';
import { newPath } from '../arguments/checked-path.js';
import { describeCommand, settingOption } from '../cli/command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../cli/context.js';
import { loadSecretKey } from '../settings/keys.js';
import type { SignOptions, VerifyOptions } from './key.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./key.js');

export function configure(command: Command, context: Context): void {
  command.description('Keys that caches and files are signed with: ed25519, in the files that Nix uses.');
  describeCommand(
    command.command('generate'),
    'Makes a secret key in a new file that only you can read, and prints its public key.',
    'carport key generate cache.example.org-1 --out ./cache.sec',
  )
    .argument('<name>', 'the name in signatures; change its number when you replace the key')
    .addOption(
      new Option('--out <file>', 'file of the secret key; never overwritten')
        .argParser(newPath('--out'))
        .makeOptionMandatory(),
    )
    .action((name: string, options: CommonOptions & { out: string }) => generate(name, options, context));
  describeCommand(
    command.command('public'),
    'Prints the public key of a secret key file, as `trusted-public-keys` and `--trusted-key` take it.',
    'carport key public ./cache.sec',
    'carport key public ./cache.sec --minisign > minisign.pub',
  )
    .argument('<file>', 'a secret key file')
    .option('--minisign', 'print it as a public key file of minisign')
    .action(async (file: string, options: CommonOptions & { minisign?: boolean }) => {
      const { publicKey } = await loadSecretKey(file);
      if (options.minisign) await printMinisign(publicKey, options, context);
      else await printPublic(publicKey, options, context);
    });
  describeCommand(
    command.command('sign'),
    'Signs files as minisign does, each in a file of its own that ends in `.minisig`, and prints their names.',
    'carport key sign app.tar.gz --secret-key ./cache.sec',
    'carport key sign ./result/bin/app --out . --secret-key ./cache.sec',
  )
    .argument('<file...>', 'what to sign')
    .addOption(settingOption('secret-key-files', '<file>'))
    .option('--out <directory>', 'where to write the signatures (default: beside the files)', newPath('--out'))
    .action(async (files: readonly string[], options: SignOptions) => (await actions()).sign(files, options, context));
  describeCommand(
    command.command('verify'),
    'Checks a file against its signature, of carport or minisign, and prints the trusted comment.',
    'carport key verify app.tar.gz --trusted-key cache.example.org-1:BASE64',
    'carport key verify app.tar.gz --minisign-key "$(cat minisign.pub)"',
  )
    .argument('<file>', 'what was signed')
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .option('--minisign-key <base64>', 'a public key as minisign has it; repeatable', collect)
    .option('--signature <file>', 'the signature (default: FILE.minisig)')
    .option('--any-name', 'take the signature of a file with another name')
    .action(async (file: string, options: VerifyOptions) => (await actions()).verify(file, options, context));
}

async function generate(name: string, options: CommonOptions & { out: string }, context: Context): Promise<void> {
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

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
