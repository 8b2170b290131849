/** The commands of `narinfo`. */

import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { formatHash } from '../../lib/nix/hash.js';
import { type NarInfo, parseNarInfo, renderNarInfo } from '../../lib/nix/narinfo.js';
import type { PublicKey } from '../../lib/signing/key.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { type Context, write, writeJson } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { count } from '../cli/terminal.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option } from '../declaration/options.js';
import { publicKey } from '../settings/keys.js';

/** More open files than this may be more than the system allows. */
const FILES_AT_ONCE = 64;

/** Keys that are given here, and none of the settings: showing a file must not fail for a key of the user's. */
const OPTIONS = [
  option('--trusted-key <name:base64>', 'public keys whose signatures are accepted; repeatable', {
    parse: publicKey,
    repeatable: true,
  }),
];

export function configure(command: Command, context: Context): void {
  command.description('Narinfo files: what a cache says of a path.');
  declareCommand(command.command('show'), context, {
    description:
      'Prints narinfos in their canonical text. With trusted keys, fails unless each is signed by one of them.',
    examples: [
      'carport narinfo show HASH.narinfo',
      'carport narinfo show *.narinfo --trusted-key cache.example.org-1:BASE64 > /dev/null',
    ],
    arguments: [argument('<file...>', 'narinfo files; `-` is stdin')],
    options: OPTIONS,
    run: (files, options) => show(files, options, context),
  });
}

async function show(files: readonly string[], options: OptionsOf<typeof OPTIONS>, context: Context): Promise<void> {
  const infos = await mapAtMost(FILES_AT_ONCE, files, (file) => readNarInfoFile(file, context));
  if (options.json) await writeJson(context.stdout, { narinfos: infos.map(toJson) });
  else {
    const text = infos.map(renderNarInfo).join('\n');
    await write(context.stdout, Buffer.from(context.stdout.isTTY ? printable(text) : text, 'latin1'));
  }
  if (options.trustedKey !== undefined) checkSignatures(files, infos, options.trustedKey);
}

function checkSignatures(files: readonly string[], infos: readonly NarInfo[], keys: readonly PublicKey[]): void {
  const bad = infos.flatMap((info, index) => {
    const { state } = verifyPath(info, keys);
    return state === 'valid'
      ? []
      : [`\`${files[index]}\`: ${state === 'invalid' ? 'the signature is wrong' : 'no signature by a trusted key'}`];
  });
  if (bad.length === 0) return;
  throw new CarportError(
    'E_SIGNATURE',
    `${count(bad.length, 'narinfo')} of ${infos.length} not signed by a trusted key`,
    {
      cause: new Error(bad.join('\n  and ')),
      hint: 'do not use what these narinfos point to',
    },
  );
}

async function readNarInfoFile(file: string, context: Context): Promise<NarInfo> {
  const bytes = file === '-' ? await buffer(context.stdin) : await readFile(file);
  try {
    return parseNarInfo(bytes.toString('latin1'));
  } catch (cause) {
    throw new CarportError('E_FORMAT', `\`${file}\` is not a narinfo`, { cause });
  }
}

function toJson(info: NarInfo) {
  return {
    storePath: info.path,
    url: info.url,
    compression: info.compression,
    fileHash: info.fileHash ? formatHash(info.fileHash, 'sri') : null,
    fileSize: info.fileSize ?? null,
    narHash: formatHash(info.narHash, 'sri'),
    narSize: info.narSize,
    references: info.references,
    deriver: info.deriver ?? null,
    signatures: info.signatures,
    ca: info.ca ?? null,
    unknownFields: info.unknownFields.map(({ key, value }) => ({ key, value })),
  };
}
