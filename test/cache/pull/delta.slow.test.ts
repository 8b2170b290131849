import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readNarInfo, writeNarInfo } from '#cache/binary-cache.js';
import { BATCHES } from '#cache/layout.js';
import type { PullEvent } from '#cache/pull/events.js';
import { pullClosure } from '#cache/pull/session.js';
import { createOwnTarget } from '#cache/pull/target.js';
import { pushClosure } from '#cache/push/session.js';
import { CUTTING } from '#lib/compression/chunks/density.js';
import { findTable } from '#lib/compression/chunks/frames.js';
import { hashesEqual } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { ByteRange, ObjectStore } from '#lib/object-store/object-store.js';
import { runtimeClosure } from '#lib/store/closure.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import { noise, removeAll, useDirectory } from '../../support/files.js';
import { metadataOf } from '../../support/own-store.js';
import { usePool } from '../../support/pool.js';
import { type Build, makeBuild, pathOf } from '../../support/rebuilds.js';
import { sampleKey } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';
import { NO_LINKS, pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';

const OLD: Build = { number: 1 };
const BUILDS = {
  rebuilt: { number: 2 },
  referring: { number: 3, swapped: true, gone: true },
  patched: { number: 5, patched: true },
  unrelated: { number: 6, unrelated: true },
  moved: { number: 7, moved: true },
} satisfies Record<string, Build>;
const KEY = sampleKey('test-1');

/** Pulls of tables that are wrong in some way; `FUZZ_ROUNDS=1000` takes minutes, and was run by hand on 2026-11-29. */
const FUZZ_ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 30);

/** Numbers below `limit`, the same for the same seed. */
function randomNumbers(seed: string): (limit: number) => number {
  const bytes = noise(4096, seed);
  let at = 0;
  return (limit) => {
    at = (at + 4) % 4092;
    return bytes.readUInt32LE(at) % limit;
  };
}

/** Bytes of which some are others, missing, twice there, or in another place. */
function changedAnyhow(bytes: Buffer, random: (limit: number) => number): Buffer {
  let changed = Buffer.from(bytes);
  for (let count = random(4); count >= 0; count--) {
    const [at, length] = [random(changed.length + 1), 1 + random(80)];
    const [before, part, after] = [
      changed.subarray(0, at),
      changed.subarray(at, at + length),
      changed.subarray(at + length),
    ];
    const others = [
      [before, part.map((byte, index) => (index === 0 ? byte ^ (1 << random(8)) : byte)), after],
      [before, part.map(() => [0, 0xff, 0x7f, 0x80][random(4)]!), after],
      [before, after],
      [before, part, part, after],
      [after, part, before],
    ];
    changed = Buffer.concat(others[random(others.length)]!);
  }
  return changed;
}

/** A frame of these rows, as it is in a file. */
function frameOf(rows: Uint8Array): Buffer {
  const frame = Buffer.alloc(rows.length + 20);
  frame.writeUInt32LE(0x184d2a5c, 0);
  frame.writeUInt32LE(rows.length + 12, 4);
  frame.write('carport2', 8);
  frame.set(rows, 16);
  frame.writeUInt32LE(frame.length, frame.length - 4);
  return frame;
}

describe('a pull of what is here in part', () => {
  const shared = useSandbox('all');
  const directory = useDirectory();
  const pool = usePool(1);
  const content: MemoryObjects = new Map();
  let objects: ObjectStore;
  let store: OwnStore;
  let events: PullEvent[];
  let asked: { readonly requests: string[]; bytes: number };

  const { signal } = new AbortController();
  beforeAll(async () => {
    const from = openOwnStore(shared().path('builds'));
    const roots: string[] = [];
    for (const build of [OLD, ...Object.values(BUILDS)]) roots.push(await makeBuild(from, pool, build));
    const request = {
      ...{ store: from, own: from, closure: await runtimeClosure(from, roots), keys: [KEY] },
      packing: { compression: 'zstd', level: 3, listing: false },
      pins: { requests: [], signing: { keys: [KEY], policy: trust, seen: SEEN_NOTHING } },
      ...{ checkAll: false, skipSignedBy: { names: [], origin: 'the test' }, realisations: [], dryRun: false },
    } as const;
    await pushClosure(openMemoryStore(content), request, { pool, emit: () => {}, signal });
  });
  beforeEach(async () => {
    store = openOwnStore(join(directory(), 'store'));
    objects = counted(openMemoryStore(new Map(content)));
    await pull(OLD);
    expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
  });

  const trust = pinPolicy({ keys: [KEY.publicKey], allowUnsigned: false });
  const counted = (from: ObjectStore): ObjectStore => {
    const count = <T extends { readonly length?: number; readonly size?: number } | undefined>(
      key: string,
      range: ByteRange | undefined,
      got: T,
    ): T => {
      asked.requests.push(range ? `${key} ${range.offset}+${range.length}` : key);
      asked.bytes += got?.length ?? got?.size ?? 0;
      return got;
    };
    return {
      ...from,
      read: async (key, limit) => count(key, undefined, await from.read(key, limit)),
      open: async (key, range) => count(key, range, await from.open(key, range)),
    };
  };
  const pull = async (build: Build, { whole = false, from = objects } = {}) => {
    events = [];
    asked = { requests: [], bytes: 0 };
    const request = {
      targets: [{ hashPart: hashPartOf(pathOf('root', build)) }],
      destination: createOwnTarget(store),
      ...{ trust, seen: SEEN_NOTHING, links: NO_LINKS, dryRun: false },
      delta: whole
        ? undefined
        : { stores: [async () => store], storeDir: store.storeDir, memory: join(directory(), 'state/local-chunks') },
    };
    return pullClosure([from], request, { pool, emit: (event) => events.push(event), signal });
  };
  const narRequests = () => asked.requests.filter((key) => key.startsWith('nar/'));
  const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  /** Everything that is registered is what was signed. */
  const expectWhole = async (build: Build) => {
    const { infos } = { infos: await store.queryClosure([pathOf('root', build)]) };
    expect(infos.size).toBe(6);
    for (const info of infos.values()) {
      const { narHash } = await pool.run({ type: 'hash', path: store.realPath(info) });
      expect(hashesEqual(narHash, info.narHash), info.path).toBe(true);
    }
  };
  /** Only the paths that are looked at. */
  const removeBuild = (build: Build) => {
    for (const name of ['root', 'names', 'large-2.0'] as const) {
      rmSync(metadataOf(store, { path: pathOf(name, build) }));
      removeAll(store.realPath({ path: pathOf(name, build) }));
    }
  };
  const change = async (build: Build, changed: (info: NarInfo, field: string) => string) => {
    const writable = openMemoryStore(new Map(content));
    const info = (await readNarInfo(writable, hashPartOf(pathOf('large-2.0', build))))!;
    const unknownFields = info.unknownFields.map((field) => ({ ...field, value: changed(info, field.value) }));
    // Alone: a batch has it as it was.
    const [chunks] = unknownFields;
    await writeNarInfo(writable, { ...info, unknownFields: [chunks!] });
    await writable.remove([...content.keys()].filter((key) => key.startsWith(BATCHES)));
    return counted(writable);
  };

  it('fetches nothing of paths that differ in hash parts only, with all that hash parts may look like', async () => {
    const { fileSize, hereSize, narSize } = await pull(BUILDS.rebuilt);
    await expectWhole(BUILDS.rebuilt);
    expect(warnings()).toEqual([]);
    // One has another content, one another order, and one has a part of a hash part.
    expect(narRequests().length).toBeLessThanOrEqual(3);
    expect(narSize - hereSize!).toBeLessThan(30_000);
    expect(fileSize).toBeLessThan(30_000);
    expect(events.find(({ type }) => type === 'plan')).toMatchObject({ hereSize, fetchSize: fileSize });
  });

  it('makes paths whose references are swapped or gone', async () => {
    await pull(BUILDS.referring);
    await expectWhole(BUILDS.referring);
    expect(asked.bytes).toBeLessThan(2 * 1024 * 1024);
  });

  it('fetches the chunks that have changed, and remembers what it has computed of the others', async () => {
    const { fileSize } = await pull(BUILDS.patched);
    await expectWhole(BUILDS.patched);
    expect(fileSize).toBeLessThan(2.5 * 1024 * 1024);
    await pull(BUILDS.rebuilt);
    await expectWhole(BUILDS.rebuilt);
    expect(asked.bytes).toBeLessThan(60_000);
  });

  it('fetches a chunk in which a hash part and zeros have changed places', async () => {
    const { fileSize } = await pull(BUILDS.moved);
    await expectWhole(BUILDS.moved);
    expect(warnings()).toEqual([]);
    expect(fileSize).toBeGreaterThan(500_000);
    expect(fileSize).toBeLessThan(2.5 * 1024 * 1024);
  });

  it('reads a table that is in the file by one request', async () => {
    const placed = ({ url }: NarInfo) => {
      const { bytes } = content.get(url)!;
      const { offset, length } = findTable(bytes.subarray(-4096), bytes.length)!;
      return `${CUTTING}@${offset}+${length}`;
    };
    const { fileSize } = await pull(BUILDS.patched, { from: await change(BUILDS.patched, placed) });
    await expectWhole(BUILDS.patched);
    expect(fileSize).toBeLessThan(2.5 * 1024 * 1024);
    expect(narRequests().filter((request) => request.includes('+'))).toHaveLength(2);
  });

  it('costs an unrelated path no more than its table', async () => {
    await pull(BUILDS.unrelated);
    await expectWhole(BUILDS.unrelated);
    const { bytes, requests } = asked;
    store = openOwnStore(join(directory(), 'another'));
    await pull(BUILDS.unrelated, { whole: true });
    expect(bytes).toBeLessThan(asked.bytes * 1.005);
    expect(requests.length).toBeLessThanOrEqual(asked.requests.length);
  });

  it('fetches all where it is told to, and from a cache on this machine', async () => {
    await pull(BUILDS.rebuilt, { whole: true });
    expect(narRequests()).toHaveLength(6);
    expect(events.find(({ type }) => type === 'plan')).toHaveProperty('hereSize', 0);
  });

  it('takes a table that is wrong for a hint that was of no use', async () => {
    const rows = (value: string) => Buffer.from(value.slice(2), 'base64');
    const inline = (bytes: Uint8Array) => `${CUTTING}:${Buffer.from(bytes).toString('base64')}`;
    const lies: readonly ((info: NarInfo, value: string) => string)[] = [
      // Rows that overlap, have gaps, or go on behind the end: each byte of them is another, or one of them is missing.
      (_, value) => inline(rows(value).subarray(0, 40)),
      (_, value) => inline(Buffer.concat([rows(value), rows(value)])),
      ...[0, 3, 5, 22, 26].map((at) => (_: NarInfo, value: string) => {
        const bytes = rows(value);
        bytes[at]! ^= 0x55;
        return inline(bytes);
      }),
      () => `${CUTTING}:AAAA`,
      () => `${CUTTING}:////////`,
      () => '9:AAAA',
      () => `${CUTTING}@0+4000000000`,
      ({ fileSize }) => `${CUTTING}@${fileSize! - 10}+4096`,
      () => `${CUTTING}@0+1024`,
      () => `${CUTTING}@999999999999999+10`,
    ];
    for (const lie of lies) {
      await pull(BUILDS.rebuilt, { from: await change(BUILDS.rebuilt, lie) });
      await expectWhole(BUILDS.rebuilt);
      removeBuild(BUILDS.rebuilt);
    }
  });

  it('registers nothing wrong whatever bytes of rows, of a table or of the field are others', async () => {
    const field = async (build: Build) =>
      (await readNarInfo(objects, hashPartOf(pathOf('large-2.0', build))))!.unknownFields[0]!.value;
    const rowsOf = [await field(OLD), await field(BUILDS.patched)].map((told) => Buffer.from(told.slice(2), 'base64'));
    // All of the cache in parts and once more as wholes: no table makes a pull read, or hold, more.
    const most = 2 * [...content.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (let round = 0; round < FUZZ_ROUNDS; round++) {
      const random = randomNumbers(`round ${round}`);
      const [rows, isInFile] = [changedAnyhow(rowsOf[random(2)]!, random), random(3) === 0];
      const told = `2:${rows.toString('base64')}`;
      const changed = await change(BUILDS.patched, ({ fileSize }) => {
        if (isInFile) return `2@${random(fileSize!)}+${rows.length + 20}`;
        return random(4) > 0
          ? told
          : changedAnyhow(Buffer.from(told), random)
              .toString('latin1')
              .replace(/[^!-~]/g, '0');
      });
      const from: ObjectStore = {
        ...changed,
        // A server that sends a table of its own.
        open: async (key, range) => {
          const object = await changed.open(key, range);
          if (!isInFile || object === undefined || range?.length !== rows.length + 20) return object;
          const bytes = async function* () {
            yield frameOf(rows);
          };
          return { ...object, bytes };
        },
      };
      await pull(BUILDS.patched, { from });
      expect(asked.bytes, `round ${round}`).toBeLessThan(most);
      await expectWhole(BUILDS.patched);
      removeBuild(BUILDS.patched);
    }
  });

  it('registers nothing wrong where a table says that other chunks are here', async () => {
    // The whole table of the old path, of which all is here, for one that has another content.
    const old = (await readNarInfo(objects, hashPartOf(pathOf('large-2.0', OLD))))!.unknownFields[0]!.value;
    await pull(BUILDS.unrelated, { from: await change(BUILDS.unrelated, () => old) });
    await expectWhole(BUILDS.unrelated);
    expect(warnings()).toEqual([
      expect.stringMatching(/-large-2\.0` cannot be made of what is here \(.*\); fetching all of it$/),
    ]);
  });

  it('fetches all where the server sends no parts', async () => {
    const from = { ...objects, open: async (key: string) => ({ ...(await objects.open(key))!, isWhole: true }) };
    await pull(BUILDS.patched, { from });
    await expectWhole(BUILDS.patched);
    expect(warnings()).toEqual([]);
  });
});
