/** The commands of `nar`. */

import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CarportError } from '../../lib/errors.js';
import { writeAtomically } from '../../lib/filesystem/atomic-write.js';
import { createUnpacker } from '../../lib/filesystem/unpack.js';
import { walkTree } from '../../lib/filesystem/walk.js';
import { decodeNar } from '../../lib/nix/nar/decode.js';
import { encodeNar } from '../../lib/nix/nar/encode.js';
import { createListingBuilder, renderListing } from '../../lib/nix/nar/listing.js';
import { checkPath } from '../arguments/checked-path.js';
import { type CommonOptions, type Context, write } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { openSource } from '../cli/source.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { createLister } from './nar-lister.js';

export function configure(command: Command, context: Context): void {
  command.description('Nix archives: file trees as one stream of bytes, the same everywhere.');
  declareCommand(command.command('pack'), context, {
    description: 'Writes the NAR of a path to stdout.',
    examples: ['carport nar pack ./out > out.nar'],
    arguments: [argument('<path>', 'a file, directory or symlink')],
    run: (path) => pack(path, context),
  });
  declareCommand(command.command('unpack'), context, {
    description: 'Writes the file tree of a NAR. What is not a proper NAR is refused, and nothing of it is left.',
    examples: ['carport nar unpack out.nar ./out', 'carport nar unpack - ./out < out.nar'],
    arguments: [
      argument('<file>', 'a NAR; `-` is stdin'),
      argument('<dest>', 'where to; must not exist', { parse: checkPath }),
    ],
    run: (file, destination) => unpack(file, destination, context),
  });
  declareCommand(command.command('ls'), context, {
    description: 'Lists what a NAR holds.',
    examples: ['carport nar ls out.nar'],
    arguments: [argument('<file>', 'a NAR; `-` is stdin')],
    run: (file, options) => list(file, options, context),
  });
}

async function pack(path: string, context: Context): Promise<void> {
  if (context.stdout.isTTY) {
    throw new CarportError('E_USAGE', 'a NAR is not for terminals', { hint: `carport nar pack ${path} > FILE` });
  }
  for (const bytes of encodeNar(walkTree(path))) await write(context.stdout, Uint8Array.from(bytes));
}

async function unpack(file: string, destination: string, context: Context): Promise<void> {
  const path = resolve(destination);
  // Elsewhere such a path names a directory that is there, and what is in it.
  if (/(^|\/)\.{1,2}\/*$/.test(destination)) {
    throw new CarportError('E_USAGE', `\`${destination}\` names a directory that is there, and no new place`, {
      hint: 'name what is to be made, such as `./out`',
    });
  }
  if (await lstat(path).catch(() => undefined)) {
    throw new CarportError('E_USAGE', `\`${destination}\` is there already`, { hint: 'name a place that is free' });
  }
  const stop = new AbortController();
  await writeAtomically(path, (temporary) =>
    interruptible(
      () => stop.abort(),
      async () => {
        const apply = createUnpacker(temporary, 'user');
        try {
          for await (const event of decodeNar(await openSource(file, context, stop.signal))) apply(event);
        } finally {
          apply.close();
        }
      },
    ),
  );
}

async function list(file: string, options: CommonOptions, context: Context): Promise<void> {
  if (!options.json) {
    const lister = createLister(context.stdout.isTTY === true);
    for await (const event of decodeNar(await openSource(file, context))) {
      const line = lister(event);
      if (line) await write(context.stdout, line);
    }
    return;
  }
  const builder = createListingBuilder();
  for await (const event of decodeNar(await openSource(file, context))) for (const _ of builder.tap([event]));
  const listing = builder.finish();
  if (listing === undefined) {
    throw new CarportError('E_UNSUPPORTED', 'JSON cannot hold this NAR: a name or target is not UTF-8', {
      hint: 'leave `--json` out',
    });
  }
  await write(context.stdout, `${renderListing(listing)}\n`);
}
