import { createHash, hash } from 'node:crypto';
import { encodeNix32 } from '#lib/nix/base32.js';
import { hashBytes } from '#lib/nix/hash.js';
import { renderNarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { isChange } from '#lib/object-store/decorators/operations.js';
import { watchedStore } from '#lib/object-store/decorators/watched.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { SecretKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';

const TEXT = { contentType: 'text/plain' };

/** Paths that nobody has, each of which refers to some before it, the last one to all. Dependencies first. */
export function fakeGraph(count: number, name = 'fake'): ReadonlyMap<string, PathInfo> {
  const infos: PathInfo[] = [];
  for (let index = 0; index < count; index++) {
    const digest = createHash('sha256').update(`${name}${index}`).digest();
    const before = infos.map(({ path }) => path);
    infos.push({
      ...{ path: `/nix/store/${encodeNix32(digest.subarray(0, 20))}-${name}-${index}`, signatures: [] },
      ...{ narHash: hashBytes('sha256', digest), narSize: 100 },
      references: index === count - 1 ? before : before.slice(-3),
    });
  }
  return new Map(infos.map((info) => [info.path, info]));
}

/** A bucket that has these paths, signed, and more objects; it takes nothing and records what it is asked. */
export function recordingStore(infos: readonly PathInfo[], key?: SecretKey, more: readonly string[] = []) {
  const content: MemoryObjects = new Map();
  const add = (name: string, bytes: Uint8Array) =>
    content.set(name, { bytes, metadata: TEXT, modified: new Date(0), etag: hash('md5', bytes) });
  for (const name of more) add(name, Buffer.alloc(0));
  for (const info of infos) {
    const url = `nar/${hashPartOf(info.path)}.nar`;
    const narInfo = { ...info, url, compression: 'none', fileHash: info.narHash, fileSize: 100, unknownFields: [] };
    const signatures = key ? [signPath(info, key)] : [];
    add(`${hashPartOf(info.path)}.narinfo`, Buffer.from(renderNarInfo({ ...narInfo, signatures })));
    add(url, Buffer.alloc(100));
  }
  const calls = { lists: 0, reads: [] as string[], sizes: [] as string[] };
  const objects = watchedStore(openMemoryStore(content, { url: 's3://recorded' }), {
    before(operation) {
      const [name = ''] = operation.keys;
      if (isChange(operation)) throw new Error('it takes nothing');
      if (operation.method === 'list') calls.lists++;
      if (operation.method === 'read') calls.reads.push(name);
      if (operation.method === 'stat') calls.sizes.push(name);
    },
  });
  return { objects, calls };
}
