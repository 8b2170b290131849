/** The commands of `hash`. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import { walkTree } from '../../lib/filesystem/walk.js';
import { formatHash, HASH_ALGORITHMS, HASH_FORMATS, type HashAlgorithm, type HashFormat } from '../../lib/nix/hash.js';
import { encodeNar } from '../../lib/nix/nar/encode.js';
import { describeCommand } from '../cli/command.js';
import { type CommonOptions, type Context, writeJson, writeLines } from '../cli/context.js';

interface HashCommandOptions extends CommonOptions {
  readonly format: HashFormat;
  readonly algorithm: HashAlgorithm;
}

type Feed = (path: string, hasher: ReturnType<typeof createHash>) => Promise<void>;

export function configure(command: Command, context: Context): void {
  command.description('Hashes as Nix computes them.');
  add(
    command.command('path'),
    "Prints the hash of a path's NAR, as `nix-hash` does.",
    'carport hash path ./out',
    hashNar,
  );
  add(command.command('file'), "Prints the hash of a file's bytes.", 'carport hash file ./a --format nix32', hashFile);

  function add(child: Command, description: string, example: string, feed: Feed): void {
    describeCommand(child, description, example)
      .argument('<path>', 'what to hash')
      .addOption(new Option('--format <format>', 'how to print it').choices(HASH_FORMATS).default('sri'))
      .addOption(new Option('--algorithm <name>', 'hash function').choices(HASH_ALGORITHMS).default('sha256'))
      .action((path: string, options: HashCommandOptions) => print(path, feed, options, context));
  }
}

async function print(path: string, feed: Feed, options: HashCommandOptions, context: Context): Promise<void> {
  const { algorithm, format } = options;
  const hasher = createHash(algorithm);
  await feed(path, hasher);
  const hash = formatHash({ algorithm, digest: hasher.digest() }, format);
  if (options.json) await writeJson(context.stdout, { path, algorithm, format, hash });
  else await writeLines(context.stdout, [hash]);
}

async function hashNar(path: string, hasher: ReturnType<typeof createHash>): Promise<void> {
  for (const bytes of encodeNar(walkTree(path))) hasher.update(bytes);
}

async function hashFile(path: string, hasher: ReturnType<typeof createHash>): Promise<void> {
  await pipeline(createReadStream(path), async (source: AsyncIterable<Uint8Array>) => {
    for await (const bytes of source) hasher.update(bytes);
  });
}
