import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { createSecretFile } from '../../lib/filesystem/secret-file.js';
import { type PublicKey, renderPublicKey, renderSecretKey, secretKeyFromSeed } from '../../lib/signing/key.js';
import { describeCommand } from '../command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../context.js';
import { loadSecretKey } from '../keys.js';

export function configure(command: Command, context: Context): void {
  command.description('Keys that caches are signed with: ed25519, in the files that Nix uses.');
  describeCommand(
    command.command('generate'),
    'Makes a secret key in a new file that only you can read, and prints its public key.',
    'carport key generate cache.example.org-1 --out ./cache.sec',
  )
    .argument('<name>', 'the name in signatures; change its number when you replace the key')
    .addOption(new Option('--out <file>', 'file of the secret key; never overwritten').makeOptionMandatory())
    .action((name: string, options: CommonOptions & { out: string }) => generate(name, options, context));
  describeCommand(
    command.command('public'),
    'Prints the public key of a secret key file, as `trusted-public-keys` and `--trusted-key` take it.',
    'carport key public ./cache.sec',
  )
    .argument('<file>', 'a secret key file')
    .action(async (file: string, options: CommonOptions) => {
      await printPublic((await loadSecretKey(file)).publicKey, options, context);
    });
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
