import type { NarEvent } from '#lib/nix/nar/event.js';

/** A file tree in memory; names and targets are bytes, one character each (latin1). */
export type Tree =
  | { readonly type: 'regular'; readonly executable: boolean; readonly contents: Uint8Array }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'directory'; readonly entries: ReadonlyMap<string, Tree> };

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A NAR string, written anew from its definition: length, bytes, zeros. */
export function narString(bytes: Uint8Array | string): Buffer {
  const body = typeof bytes === 'string' ? latin1(bytes) : bytes;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(body.length));
  return Buffer.concat([length, body, Buffer.alloc((8 - (body.length % 8)) % 8)]);
}

/** The bytes of a NAR of these tokens, magic included: for NARs that no encoder writes. */
export function narOf(...tokens: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat([narString('nix-archive-1'), ...tokens.map(narString)]);
}

export const FILE_TOKENS = ['(', 'type', 'regular', 'contents', 'x', ')'];

/** The tokens of a directory with an empty-ish file at each name, in the order given. */
export function directoryTokens(...names: readonly string[]): string[] {
  return ['(', 'type', 'directory', ...names.flatMap((name) => entryTokens(name, FILE_TOKENS)), ')'];
}

export function entryTokens(name: string, node: readonly string[]): string[] {
  return ['entry', '(', 'name', name, 'node', ...node, ')'];
}

/** The tokens of `depth` directories within each other around a file. */
export function nestedTokens(depth: number): string[] {
  const begin = ['(', 'type', 'directory', 'entry', '(', 'name', 'd', 'node'];
  return [...repeat(depth, begin), ...FILE_TOKENS, ...repeat(depth, [')', ')'])];
}

function repeat(times: number, tokens: readonly string[]): string[] {
  return Array.from({ length: times }, () => tokens).flat();
}

/** An oracle for the encoder, straight from the grammar. */
export function naiveNar(tree: Tree): Buffer {
  return Buffer.concat([narString('nix-archive-1'), ...naiveNode(tree)]);
}

function naiveNode(tree: Tree): Buffer[] {
  const tokens = (...texts: string[]) => texts.map(narString);
  if (tree.type === 'symlink') return tokens('(', 'type', 'symlink', 'target', tree.target, ')');
  if (tree.type === 'regular') {
    const executable = tree.executable ? ['executable', ''] : [];
    return [...tokens('(', 'type', 'regular', ...executable, 'contents'), narString(tree.contents), ...tokens(')')];
  }
  const entries = sortedEntries(tree.entries).flatMap(([name, child]) => [
    ...tokens('entry', '(', 'name', name, 'node'),
    ...naiveNode(child),
    ...tokens(')'),
  ]);
  return [...tokens('(', 'type', 'directory'), ...entries, ...tokens(')')];
}

/** The events of a tree; a file's contents come in pieces of at most `pieceSize` bytes. */
export function* eventsOf(tree: Tree, pieceSize = Number.POSITIVE_INFINITY): Generator<NarEvent> {
  if (tree.type === 'symlink') {
    yield { type: 'symlink', target: latin1(tree.target) };
    return;
  }
  if (tree.type === 'regular') {
    yield { type: 'regular', executable: tree.executable, size: tree.contents.length };
    for (let at = 0; at < tree.contents.length; at += pieceSize) {
      yield { type: 'contents', bytes: tree.contents.subarray(at, at + pieceSize) };
    }
  } else {
    yield { type: 'directory' };
    for (const [name, child] of sortedEntries(tree.entries)) {
      yield { type: 'entry', name: latin1(name) };
      yield* eventsOf(child, pieceSize);
    }
  }
  yield { type: 'end' };
}

/** The tree that events tell of. */
export function treeOf(events: Iterable<NarEvent>): Tree {
  const iterator = events[Symbol.iterator]();
  const next = (): NarEvent => iterator.next().value as NarEvent;
  const read = (event: NarEvent): Tree => {
    if (event.type === 'symlink') return { type: 'symlink', target: Buffer.from(event.target).toString('latin1') };
    if (event.type === 'regular') {
      const pieces: Buffer[] = [];
      for (let piece = next(); piece.type === 'contents'; piece = next()) pieces.push(Buffer.from(piece.bytes));
      return { type: 'regular', executable: event.executable, contents: new Uint8Array(Buffer.concat(pieces)) };
    }
    const entries = new Map<string, Tree>();
    for (let entry = next(); entry.type === 'entry'; entry = next()) {
      entries.set(Buffer.from(entry.name).toString('latin1'), read(next()));
    }
    return { type: 'directory', entries };
  };
  const tree = read(next());
  if (iterator.next().done !== true) throw new Error('events after the root');
  return tree;
}

function sortedEntries(entries: ReadonlyMap<string, Tree>): [string, Tree][] {
  return [...entries].sort(([a], [b]) => Buffer.compare(latin1(a), latin1(b)));
}
