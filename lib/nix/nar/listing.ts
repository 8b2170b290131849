/** The JSON of `.ls` files, which list a NAR. */

import { formatError } from '../../errors.js';
import { MAGIC_LENGTH, regularHeaderLength, wireLength } from './encode.js';
import { checkDepth, checkEntryName, checkSymlinkTarget, type NarEvent } from './event.js';

export interface RegularListing {
  readonly type: 'regular';
  readonly executable: boolean;
  readonly size: number;
  /** Where the contents begin in the uncompressed NAR. */
  readonly narOffset?: number;
}

export interface SymlinkListing {
  readonly type: 'symlink';
  readonly target: string;
}

export interface DirectoryListing {
  readonly type: 'directory';
  /** By name, in the NAR's order. */
  readonly entries: ReadonlyMap<string, NarListing>;
}

/** What a NAR holds, without the contents: a cache's `<hash>.ls`, version 1 (libutil/nar-listing.cc). */
export type NarListing = RegularListing | SymlinkListing | DirectoryListing;

export interface ListingBuilder {
  /** Hands every event on, and notes it. */
  tap(events: Iterable<NarEvent>): Generator<NarEvent>;
  /** The listing; `undefined` when a name or target is not UTF-8, which JSON cannot hold. */
  finish(): NarListing | undefined;
  /** The listing with U+FFFD for what is not UTF-8: to look at. Of two names that would be one, the second has its bytes, too. */
  finishReadable(): NarListing;
}

/** Builds the listing of a NAR whose events pass through `tap`, in one go or in several. */
export function createListingBuilder(): ListingBuilder {
  const openDirectories: { name: string; entries: Map<string, NarListing> }[] = [];
  let position = MAGIC_LENGTH;
  let pendingName = '';
  let pendingBytes: Uint8Array = new Uint8Array();
  let inFile = false;
  let root: NarListing | undefined;
  let representable = true;

  const decode = (bytes: Uint8Array): string => {
    const text = Buffer.from(bytes).toString('utf8');
    if (Buffer.compare(Buffer.from(text), bytes) !== 0) representable = false;
    return text;
  };
  const place = (name: string, node: NarListing) => {
    const parent = openDirectories.at(-1);
    if (parent === undefined) root = node;
    else parent.entries.set(parent.entries.has(name) ? withBytes(name, pendingBytes) : name, node);
  };
  const note = (event: NarEvent) => {
    switch (event.type) {
      case 'directory': {
        const entries = new Map<string, NarListing>();
        place(pendingName, { type: 'directory', entries });
        openDirectories.push({ name: pendingName, entries });
        break;
      }
      case 'entry':
        pendingName = decode(event.name);
        pendingBytes = representable ? pendingBytes : Uint8Array.from(event.name);
        break;
      case 'regular':
        place(pendingName, regularListing(event, position));
        inFile = true;
        break;
      case 'symlink':
        place(pendingName, { type: 'symlink', target: decode(event.target) });
        break;
      case 'end':
        if (inFile) inFile = false;
        else openDirectories.pop();
        break;
    }
    position += wireLength(event);
  };

  return {
    *tap(events) {
      for (const event of events) {
        note(event);
        yield event;
      }
    },
    finish: () => (representable ? root : undefined),
    finishReadable: () => root!,
  };
}

/** Two names of a NAR read the same only where one of them is not UTF-8. */
function withBytes(name: string, bytes: Uint8Array): string {
  return `${name} (${Buffer.from(bytes).toString('hex')})`;
}

/** What a listing says of a file whose node begins at a position of the NAR. */
function regularListing(event: NarEvent & { readonly type: 'regular' }, position: number): RegularListing {
  const { executable, size } = event;
  return { type: 'regular', executable, size, narOffset: position + regularHeaderLength(event) };
}

/** Renders `.ls` as Nix's newest writer does: compact, keys sorted, `executable` always there. */
export function renderListing(listing: NarListing): string {
  return `{"root":${renderNode(listing)},"version":1}`;
}

/** Parses the `.ls` of an untrusted cache, of old Nix (no `executable: false`) or new. */
export function parseListing(text: string): NarListing {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw formatError('NAR listing', 'is not JSON', { cause });
  }
  if (!isRecord(json) || json.version !== 1) throw formatError('NAR listing', 'is not of version 1');
  return parseNode(json.root, 0);
}

/** The node at a path such as `bin/hello` (`''` is the root), or `undefined`. Symlinks are not followed. */
export function findInListing(listing: NarListing, path: string): NarListing | undefined {
  let node: NarListing | undefined = listing;
  for (const name of path.split('/').filter((part) => part !== '')) {
    node = node?.type === 'directory' ? node.entries.get(name) : undefined;
  }
  return node;
}

function renderNode(node: NarListing): string {
  switch (node.type) {
    case 'directory': {
      const entries = [...node.entries].map(([name, child]) => `${JSON.stringify(name)}:${renderNode(child)}`);
      return `{"entries":{${entries.join(',')}},"type":"directory"}`;
    }
    case 'regular': {
      const offset = node.narOffset ? `"narOffset":${node.narOffset},` : '';
      return `{"executable":${node.executable},${offset}"size":${node.size},"type":"regular"}`;
    }
    case 'symlink':
      return `{"target":${JSON.stringify(node.target)},"type":"symlink"}`;
  }
}

function parseNode(json: unknown, depth: number): NarListing {
  checkDepth(depth);
  if (!isRecord(json)) throw formatError('NAR listing', 'a node is not an object');
  if (json.type === 'directory' && isRecord(json.entries)) {
    const entries = Object.entries(json.entries).map(([name, child]) => {
      const bytes = checkEntryName(bytesOf(name, 'an entry name'));
      return { name, bytes, node: parseNode(child, depth + 1) };
    });
    // An object's own order is not the NAR's: it has names such as `9` and `10` first, by number.
    entries.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    return { type: 'directory', entries: new Map(entries.map(({ name, node }) => [name, node])) };
  }
  if (json.type === 'symlink' && typeof json.target === 'string') {
    checkSymlinkTarget(bytesOf(json.target, 'a symlink target'));
    return { type: 'symlink', target: json.target };
  }
  if (json.type === 'regular' && isSize(json.size)) {
    const narOffset = isSize(json.narOffset) ? { narOffset: json.narOffset } : {};
    return { type: 'regular', executable: json.executable === true, size: json.size, ...narOffset };
  }
  throw formatError('NAR listing', 'a node is neither directory, file nor symlink');
}

/** The bytes of a text; half of a surrogate pair has none. */
function bytesOf(text: string, what: string): Uint8Array {
  if (/\p{Surrogate}/u.test(text)) throw formatError('NAR listing', `${what} is not Unicode`);
  return Buffer.from(text);
}

function isRecord(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function isSize(json: unknown): json is number {
  return Number.isSafeInteger(json) && (json as number) >= 0;
}
