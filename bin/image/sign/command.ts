/** Declares the commands `image sign` and `image verify`. */

import type { Command } from 'commander';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { READ_BUCKET } from '../../declaration/buckets.js';
import { declareCommand } from '../../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../../declaration/options.js';
import { COPY_OPTIONS } from '../options.js';

const SIGN_OPTIONS = [
  option(
    '--key <file>',
    'the secret key, in PEM: ECDSA on P-256, as cosign and openssl make it; `env://NAME` is a variable',
    {
      required: true,
    },
  ),
  flag('--provenance', 'also attest where it is from: what the CI system says of the build'),
  option('--tag <tag>', 'the tag that it was built of, whatever the environment says'),
  option('--commit <commit>', 'the commit that it was built of (40 or 64 digits)'),
  setting('stable-pattern'),
  option('--release <version>', 'also attest where it is from: what the release in the bucket says, with its files'),
  READ_BUCKET,
  setting('trusted-keys'),
  option('--predicate <file>', 'also attest this JSON, of the type that `--type` names'),
  option('--type <uri>', 'what kind of attestation `--predicate` is, such as `https://spdx.dev/Document`'),
  option(
    '--format <name>',
    'for which programs: `bundle` for those of sigstore of today, `simple` for cosign before version 3',
    {
      choices: ['both', 'bundle', 'simple'],
      default: 'both',
    },
  ),
  flag('--recursive', 'also sign the image of each platform'),
  flag('--dry-run', 'print what would be signed; sign and send nothing'),
  ...COPY_OPTIONS,
];

const VERIFY_OPTIONS = [
  option('--key <file>', 'a public key in PEM whose signatures count; `env://NAME` is a variable; repeatable', {
    repeatable: true,
    required: true,
  }),
  flag('--provenance', 'want an attestation where it is from'),
  option('--commit <commit>', 'want one that names this commit'),
  option('--type <uri>', 'want an attestation of this type'),
  ...COPY_OPTIONS,
];

export type SignOptions = OptionsOf<typeof SIGN_OPTIONS>;
export type VerifyOptions = OptionsOf<typeof VERIFY_OPTIONS>;

const IMAGE = argument('<image>', 'an image of a registry: `ghcr.io/owner/app:v1`, or with its digest');

export function configureSigning(command: Command, context: Context): void {
  declareCommand(command.command('sign'), context, {
    description:
      'Signs an image of a registry, beside it, so that cosign and others can verify it; with `--provenance` or `--release` it also attests where it is from. What the key has signed already is not signed again. The password of an encrypted key is in COSIGN_PASSWORD.',
    examples: [
      'carport image sign ghcr.io/owner/app:v1 --key image.key',
      'carport image sign ghcr.io/owner/app:v1 --key env://IMAGE_KEY --provenance',
      'carport image sign ghcr.io/owner/app:v1 --key image.key --release v1.2.3 --cache s3://releases?endpoint=…',
    ],
    arguments: [IMAGE],
    options: SIGN_OPTIONS,
    run: async (...values) => (await import('./sign.js')).sign(...values, context),
  });
  declareCommand(command.command('verify'), context, {
    description:
      'Checks that a trusted key has signed an image, and what it says of it. Prints the digest, by which it can be pulled as it was checked.',
    examples: [
      'carport image verify ghcr.io/owner/app:v1 --key image.pub',
      'carport image verify ghcr.io/owner/app:v1 --key image.pub --provenance --json',
    ],
    arguments: [IMAGE],
    options: VERIFY_OPTIONS,
    run: async (...values) => (await import('./verify.js')).verify(...values, context),
  });
}
