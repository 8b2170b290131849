/** The commands of `narinfo`. */

import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { formatHash } from '../../lib/nix/hash.js';
import { type NarInfo, parseNarInfo, renderNarInfo } from '../../lib/nix/narinfo.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { describeCommand, settingOption, settingsOf } from '../cli/command.js';
import { type CommonOptions, type Context, write, writeJson } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { count } from '../cli/terminal.js';
import { parseTrustedKeys } from '../settings/keys.js';

/** More open files than this may be more than the system allows. */
const FILES_AT_ONCE = 64;

export function configure(command: Command, context: Context): void {
  command.description('Narinfo files: what a cache says of a path.');
  describeCommand(
    command.command('show'),
    'Prints narinfos in their canonical text. With trusted keys, fails unless each is signed by one of them.',
    'carport narinfo show HASH.narinfo',
    'carport narinfo show *.narinfo --trusted-key cache.example.org-1:BASE64 > /dev/null',
  )
    .argument('<file...>', 'narinfo files; `-` is stdin')
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .action((files: readonly string[], options: CommonOptions & { trustedKey?: readonly string[] }) =>
      show(files, options, context),
    );
}

async function show(
  files: readonly string[],
  options: CommonOptions & { trustedKey?: readonly string[] },
  context: Context,
): Promise<void> {
  const infos = await mapAtMost(FILES_AT_ONCE, files, (file) => readNarInfoFile(file, context));
  if (options.json) await writeJson(context.stdout, { narinfos: infos.map(toJson) });
  else {
    const text = infos.map(renderNarInfo).join('\n');
    await write(context.stdout, Buffer.from(context.stdout.isTTY ? printable(text) : text, 'latin1'));
  }
  // Only keys that were given here: showing a file must not fail for a key of the user's settings.
  if (options.trustedKey === undefined) return;
  const settings = await settingsOf({ ...options }, context);
  checkSignatures(files, infos, parseTrustedKeys(settings['trusted-keys']));
}

function checkSignatures(
  files: readonly string[],
  infos: readonly NarInfo[],
  keys: ReturnType<typeof parseTrustedKeys>,
): void {
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
