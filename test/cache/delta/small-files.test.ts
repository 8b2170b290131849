import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { createDelta } from '#cache/delta/session.js';
import { createChunker } from '#lib/compression/chunks/chunker.js';
import { CUTTING, type Cutting } from '#lib/compression/chunks/density.js';
import { tellChunks } from '#lib/compression/chunks/field.js';
import { renderTables } from '#lib/compression/chunks/frames.js';
import { createHashPartFinder, hashPartList } from '#lib/compression/chunks/hash-parts.js';
import { noteReferences } from '#lib/compression/chunks/references.js';
import { compressChunk } from '#lib/compression/zstd-write.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { directoryOf, fileOf, noise, useDirectory } from '../../support/files.js';
import { naiveNar, type Tree } from '../../support/nar.js';
import { infoOf, placeTree } from '../../support/own-store.js';
import { usePool } from '../../support/pool.js';

const FILES = 600;

/** Files of 4 to 40 KB, that cannot be compressed, of which one of a hundred has changed. */
const build = (changed: boolean): Tree =>
  directoryOf(
    Object.fromEntries(
      Array.from({ length: FILES }, (_, index) => {
        const bytes = noise(4000 + ((index * 7919) % 36_000), `${index}`);
        if (changed && index % 100 === 50) bytes.write('changed', 2000 + index);
        return [`file-${String(index).padStart(4, '0')}`, fileOf(bytes)];
      }),
    ),
  );
const before = build(false);
const after = build(true);

/** A narinfo, and the file that it is about, of a NAR that is cut so. */
function fileAndInfo(nar: Uint8Array, info: PathInfo, cutting: Cutting): { readonly file: Buffer; info: NarInfo } {
  const chunker = createChunker(createHashPartFinder(hashPartList(info)), { cutting });
  const frame = Buffer.alloc(3 * 1024 * 1024);
  const frames: Buffer[] = [];
  const rows = [];
  for (const chunks of [chunker.push(nar), chunker.end()]) {
    for (const { bytes, positions, references } of chunks) {
      const compressed = compressChunk(3, bytes, positions, frame);
      frames.push(Buffer.from(frame.subarray(0, compressed.compressedSize)));
      rows.push({ ...compressed, size: bytes.length, references: noteReferences(references) });
    }
  }
  const file = Buffer.concat([...frames, ...renderTables(rows)]);
  const { field } = tellChunks(rows);
  const told = { ...field, value: field.value.replace(/^\d/, `${cutting}`) };
  return {
    file,
    info: { ...info, url: 'nar/x.nar.zst', compression: 'zstd', fileSize: file.length, unknownFields: [told] },
  };
}

const directory = useDirectory();
const pool = usePool(1);

/** A delta of who has the tree that was there before, and the path that is cut so. */
async function deltaTo(cutting: Cutting) {
  const store = openOwnStore(join(directory(), `store ${cutting}`));
  await placeTree(store, pool, 'tree-1', before);
  const { file, info } = fileAndInfo(naiveNar(after), infoOf('tree-1', after), cutting);
  const held = { bytes: file, metadata: { contentType: 'application/zstd' }, modified: new Date(), etag: 'x' };
  const objects = openMemoryStore(new Map([[info.url, held]]));
  const memory = join(directory(), `chunks ${cutting}`);
  const options = { stores: [async () => store], storeDir: store.storeDir, memory };
  const delta = createDelta(options, { pool, signal: new AbortController().signal });
  return { delta, found: { info, objects }, fileSize: file.length };
}

/** Which part of the file is fetched, its table included. */
async function fetchedPart(cutting: Cutting): Promise<number> {
  const { delta, found, fileSize } = await deltaTo(cutting);
  const plan = await delta.plan([found]);
  const nar = await plan.of(found);
  return (nar!.fetchSize + plan.tablesSize()) / fileSize;
}

it('fetches some 3 % of small files of which 1 % has changed', async () => {
  expect(await fetchedPart(CUTTING)).toBeLessThan(0.033);
});

it.each([2, 3] as const)(
  'fetches as little of what earlier carports have cut by rule %i as these did',
  async (cutting) => {
    expect(await fetchedPart(cutting)).toBeLessThan(0.045);
  },
);

it('counts the tables of what is planned once more, which is stopped with the plan', async () => {
  const { delta, found } = await deltaTo(CUTTING);
  const plan = await delta.plan([found]);
  await plan.totals;
  const once = plan.tablesSize();
  expect(once).toBeGreaterThan(1000);
  expect(await plan.again({ ...found, objects: { ...found.objects } })).toMatchObject({ isBegun: false });
  expect(plan.tablesSize()).toBe(2 * once);
  const open = vi.fn(() => new Promise<never>(() => undefined));
  const again = plan.again({ ...found, objects: { ...found.objects, open } });
  await vi.waitFor(() => expect(open).toHaveBeenCalled());
  plan.stop(new Error('the disk is full'));
  await expect(again).rejects.toThrow('the disk is full');
  await expect(plan.again(found)).rejects.toThrow('the disk is full');
});
