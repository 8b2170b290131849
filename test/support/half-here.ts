import { createManyRanges } from '#cache/delta/many-ranges.js';
import { createDecisions, type DeltaNar } from '#cache/delta/nars.js';
import { createReadAhead } from '#cache/delta/read-ahead.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';

export interface HalfHere {
  readonly objects: ObjectStore;
  /** Where its narinfo says that it is. */
  readonly link: string;
  /** Its chunks, and the bytes of each. */
  readonly count: number;
  readonly frameSize: number;
  readonly fileSize: number;
  /** Whether the server is known to send parts of files, as when it has sent a table. */
  readonly sendsParts?: boolean;
}

/** A NAR of which every other chunk is here, from the first on. */
export function halfHere({ objects, link, count, frameSize, fileSize, sendsParts }: HalfHere): DeltaNar {
  const path = `/nix/store/${'a'.repeat(32)}-tool`;
  const info: NarInfo = {
    ...{ path, narHash: { algorithm: 'sha256', digest: Buffer.alloc(32) }, narSize: frameSize * count, references: [] },
    ...{ fileSize, url: link, compression: 'zstd', signatures: [], unknownFields: [] },
  };
  const references = { count: 0, runs: new Uint8Array() };
  const rows = Array.from({ length: count }, (_, index) => ({
    ...{ compressedSize: frameSize, size: frameSize, viewHash: Buffer.alloc(32), references },
    ...{ offset: index * frameSize, fileOffset: index * frameSize },
  }));
  const parts = rows.map(({ size, offset }, index) =>
    isWanted(index) ? { size } : { size, from: { tree: 0, offset, references } },
  );
  const nothing = async () => {};
  const decisions = createDecisions({
    ...{ note: nothing, forget: nothing, keep: nothing, many: createManyRanges(), readAhead: createReadAhead() },
    sentParts: new WeakMap(sendsParts ? [[objects, true]] : []),
  });
  const matched = { found: { info, objects }, cutting: 3, rows, trees: [], parts, isBegun: false } as const;
  const decided = decisions.decide(matched);
  return (decided === 'later' ? decisions.rest(-1000).get(matched) : decided)!;
}

/** What is fetched of it. */
export function wantedHalf(file: Buffer, frameSize: number): Buffer {
  const frames = Array.from({ length: file.length / frameSize }, (_, index) =>
    file.subarray(index * frameSize, (index + 1) * frameSize),
  );
  return Buffer.concat(frames.filter((_, index) => isWanted(index)));
}

function isWanted(index: number): boolean {
  return index % 2 === 1;
}
