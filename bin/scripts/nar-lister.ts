/** Lines of `nar ls` and `cache ls`. */

import type { NarEvent } from '../../lib/nix/nar/event.js';
import type { NarListing } from '../../lib/nix/nar/listing.js';
import { printable } from '../cli/printable.js';

/**
 * Turns NAR events into lines such as `-r-xr-xr-x  1234 ./bin/hello`. Names keep their bytes, but on a terminal control
 * characters are shown as `?`: a hostile name must not drive it.
 */
export function createLister(forTerminal: boolean): (event: NarEvent) => Buffer | undefined {
  const directories: Buffer[] = [];
  let path: Buffer = Buffer.from('.');
  let inFile = false;
  const row = (mode: string, size: number, name: Buffer) =>
    line(mode, size, forTerminal ? Buffer.from(printable(name.toString('utf8'))) : name);

  return (event) => {
    switch (event.type) {
      case 'directory':
        directories.push(path);
        return row('dr-xr-xr-x', 0, path);
      case 'entry':
        path = Buffer.concat([directories.at(-1)!, Buffer.from('/'), event.name]);
        return undefined;
      case 'regular':
        inFile = true;
        return row(event.executable ? '-r-xr-xr-x' : '-r--r--r--', event.size, path);
      case 'symlink':
        return row('lrwxrwxrwx', 0, Buffer.concat([path, Buffer.from(' -> '), event.target]));
      case 'contents':
        return undefined;
      case 'end':
        if (inFile) inFile = false;
        else directories.pop();
        return undefined;
    }
  };
}

function line(mode: string, size: number, name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${mode} ${String(size).padStart(12)} `), name, Buffer.from('\n')]);
}

/** The events of a listing, without contents. */
export function* listingEvents(node: NarListing): Generator<NarEvent> {
  if (node.type === 'symlink') {
    yield { type: 'symlink', target: Buffer.from(node.target) };
    return;
  }
  if (node.type === 'regular') yield node;
  else {
    yield { type: 'directory' };
    for (const [name, child] of node.entries) {
      yield { type: 'entry', name: Buffer.from(name) };
      yield* listingEvents(child);
    }
  }
  yield { type: 'end' };
}
