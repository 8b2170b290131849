/** The commands of `hash`. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { walkTree } from '../../lib/filesystem/walk.js';
import { formatHash, HASH_ALGORITHMS, HASH_FORMATS } from '../../lib/nix/hash.js';
import { encodeNar } from '../../lib/nix/nar/encode.js';
import { type Context, writeJson, writeLines } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option } from '../declaration/options.js';

const OPTIONS = [
  option('--format <format>', 'how to print it', { choices: HASH_FORMATS, default: 'sri' }),
  option('--algorithm <name>', 'hash function', { choices: HASH_ALGORITHMS, default: 'sha256' }),
];

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
    declareCommand(child, context, {
      description,
      examples: [example],
      arguments: [argument('<path>', 'what to hash')],
      options: OPTIONS,
      run: (path, options) => print(path, feed, options, context),
    });
  }
}

async function print(path: string, feed: Feed, options: OptionsOf<typeof OPTIONS>, context: Context): Promise<void> {
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
