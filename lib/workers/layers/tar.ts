/**
 * Trees as a tar archive of which every byte follows from what is in them: no times, no owners, no modes but what can be run;
 * in the order of bytes. Source of the format: image-spec 1.1, layer.md.
 */

import { once } from 'node:events';
import { type Header, type Pack, pack } from 'tar-stream';
import { CarportError } from '../../errors.js';
import { walkTree } from '../../filesystem/walk.js';
import type { NarEvent } from '../../nix/nar/event.js';
import type { LayerTree } from './layer.js';

/** One second, as Nix has it: there are programs that take 0 for no time at all. */
const MTIME = new Date(1000);

const MODES = {
  store: { directory: 0o555, file: 0o444, program: 0o555 },
  plain: { directory: 0o755, file: 0o644, program: 0o755 },
} as const;

const LINK_MODE = 0o777;

/** A name that begins so stands for one that is removed. */
const WHITEOUT = '.wh.';

type EntryHeader = Partial<Header> & Pick<Header, 'name'>;

interface TreesOptions {
  readonly trees: readonly LayerTree[];
  /** Whether directories above the trees are in it. */
  readonly parents: boolean;
}

/** The archive, in pieces. It reads the disk synchronously: use it in a thread. */
export async function* tarOf(options: TreesOptions): AsyncGenerator<Uint8Array> {
  const archive = pack();
  const filled = fill(archive, options).then(
    () => archive.finalize(),
    (error) => archive.destroy(error),
  );
  for await (const bytes of archive) yield bytes as Uint8Array;
  await filled;
}

async function fill(archive: Pack, { trees, parents }: TreesOptions): Promise<void> {
  const seen = new Set<string>();
  for (const { path, at, modes } of trees) {
    const name = at.replace(/^\/+/, '');
    if (parents) for (const parent of parentsOf(name)) await addDirectory(archive, parent, MODES.plain.directory, seen);
    await addTree(archive, { events: walkTree(path), name, modes: MODES[modes], seen });
  }
}

function parentsOf(name: string): readonly string[] {
  const names = name.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

interface Tree {
  readonly events: Generator<NarEvent>;
  readonly name: string;
  readonly modes: (typeof MODES)[keyof typeof MODES];
  readonly seen: Set<string>;
}

async function addTree(archive: Pack, { events, name, modes, seen }: Tree): Promise<void> {
  /** Names of directories that are open, and the name of the next thing. */
  const open: string[] = [];
  let next = name;
  for (const event of events) {
    if (event.type === 'directory') {
      // The root of an image is there.
      if (next !== '') await addDirectory(archive, next, modes.directory, seen);
      open.push(next);
    } else if (event.type === 'entry') {
      const directory = open.at(-1)!;
      next = join(directory, textOf(event.name, directory));
    } else if (event.type === 'symlink') {
      await addEntry(archive, { name: next, type: 'symlink', linkname: textOf(event.target, next), mode: LINK_MODE });
    } else if (event.type === 'regular') {
      await addFile(archive, events, {
        name: next,
        size: event.size,
        mode: event.executable ? modes.program : modes.file,
      });
    } else if (event.type === 'end') {
      open.pop();
    }
  }
}

function join(directory: string, name: string): string {
  if (name.startsWith(WHITEOUT)) {
    throw new CarportError(
      'E_UNSUPPORTED',
      `\`${directory}/${name}\`: in a layer, a name that begins with \`${WHITEOUT}\` stands for one that is removed`,
      {
        hint: 'leave the file out, or rename it',
      },
    );
  }
  return directory === '' ? name : `${directory}/${name}`;
}

/** Names are text in an archive that everybody can read. */
function textOf(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CarportError('E_UNSUPPORTED', `a name in \`/${where}\` is not UTF-8`, {
      cause,
      hint: 'programs that unpack images take names for UTF-8: rename it',
    });
  }
}

async function addDirectory(archive: Pack, name: string, mode: number, seen: Set<string>): Promise<void> {
  if (seen.has(name)) return;
  seen.add(name);
  await addEntry(archive, { name: `${name}/`, type: 'directory', mode });
}

/** Waits until the entry is in the archive, so that few are held. */
async function addEntry(archive: Pack, header: EntryHeader): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    archive.entry({ ...header, mtime: MTIME }, (error) => (error ? reject(error) : resolve()));
  });
}

/** Takes the contents of a file from the events. */
async function addFile(archive: Pack, events: Generator<NarEvent>, header: EntryHeader): Promise<void> {
  let done: (error: Error | null | undefined) => void = () => undefined;
  const added = new Promise<void>((resolve, reject) => {
    done = (error) => (error ? reject(error) : resolve());
  });
  // Whoever breaks off has said why.
  added.catch(() => undefined);
  const entry = archive.entry({ ...header, type: 'file', mtime: MTIME }, (error) => done(error));
  for (let event = events.next(); !event.done && event.value.type !== 'end'; event = events.next()) {
    if (event.value.type !== 'contents') continue;
    // The walk fills its buffer again.
    if (!entry.write(Buffer.from(event.value.bytes))) await once(entry, 'drain');
  }
  entry.end(undefined);
  await added;
}
