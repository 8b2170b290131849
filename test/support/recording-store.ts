import { createHash } from 'node:crypto';
import { encodeNix32 } from '#lib/nix/base32.js';
import { hashBytes } from '#lib/nix/hash.js';
import { renderNarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { BUCKET_TRAITS, type ListStore, type ObjectStore } from '#lib/object-store/object-store.js';
import type { SecretKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';

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
  const held = new Map<string, Buffer>(more.map((name) => [name, Buffer.alloc(0)]));
  for (const info of infos) {
    const url = `nar/${hashPartOf(info.path)}.nar`;
    const narInfo = { ...info, url, compression: 'none', fileHash: info.narHash, fileSize: 100, unknownFields: [] };
    const signatures = key ? [signPath(info, key)] : [];
    held.set(`${hashPartOf(info.path)}.narinfo`, Buffer.from(renderNarInfo({ ...narInfo, signatures })));
    held.set(url, Buffer.alloc(100));
  }
  const calls = { lists: 0, reads: [] as string[], sizes: [] as string[] };
  const refuse = () => Promise.reject(new Error('it takes nothing'));
  const objects: ObjectStore & ListStore = {
    ...{ url: 's3://recorded', spoolName: refuse, put: refuse, open: async () => undefined },
    ...{ traits: BUCKET_TRAITS, localFile: () => undefined, now: async () => new Date(0) },
    async read(key) {
      calls.reads.push(key);
      return held.get(key);
    },
    async stat(key) {
      calls.sizes.push(key);
      const size = held.get(key)?.length;
      return size === undefined ? undefined : { size, modified: undefined, etag: undefined };
    },
    async *list({ prefix = '', recursive = false }) {
      calls.lists++;
      for (const [key, { length: size }] of [...held].sort()) {
        if (!key.startsWith(prefix) || (!recursive && key.slice(prefix.length).includes('/'))) continue;
        yield { key, size, modified: new Date(0) };
      }
    },
    async close() {},
  };
  return { objects, calls };
}
