import { readdir, readFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { CarportError, type ErrorCode } from '#lib/errors.js';
import { encodeNix32 } from '#lib/nix/base32.js';
import { makeContentAddressedPath, renderContentAddress } from '#lib/nix/content-address.js';
import { EXPORT_END, EXPORT_NEXT, encodeExportedInfo } from '#lib/nix/export.js';
import { type Hash, hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { type SecretKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import { importPaths } from '#lib/store/import.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import { stream, useDirectory } from '../../support/files.js';
import { FILE_TOKENS, narOf, narString } from '../../support/nar.js';
import { writerOf } from '../../support/own-store.js';
import { usePool } from '../../support/pool.js';

const NAR = narOf(...FILE_TOKENS);
const OTHER_NAR = narOf('(', 'type', 'regular', 'contents', 'y', ')');
const EXECUTABLE = narOf('(', 'type', 'regular', 'executable', '', 'contents', 'x', ')');

/** Each name has a hash part of its own. */
const pathOf = (name: string) => `/nix/store/${encodeNix32(hashBytes('md5', name).digest).padEnd(32, '0')}-${name}`;
const infoOf = (name: string, more: Partial<PathInfo> = {}): PathInfo => ({
  ...{ path: pathOf(name), narHash: hashBytes('sha256', NAR), narSize: NAR.length },
  ...{ references: [], signatures: [], ...more },
});
const part = (info: PathInfo, nar: Uint8Array = NAR) => [EXPORT_NEXT, nar, encodeExportedInfo(info)];
const streamOf = (...parts: readonly (readonly Uint8Array[])[]) => Buffer.concat([...parts.flat(), EXPORT_END]);

describe('importPaths', () => {
  const directory = useDirectory();
  const pool = usePool(1);
  const key = secretKeyFromSeed('test-1', new Uint8Array(32).fill(1));
  const other = secretKeyFromSeed('other-1', new Uint8Array(32).fill(2));
  let store: OwnStore;
  beforeEach(() => {
    store = openOwnStore(directory());
  });

  const signed = (info: PathInfo, ...keys: readonly SecretKey[]): PathInfo => ({
    ...info,
    signatures: (keys.length > 0 ? keys : [key]).map((each) => signPath(info, each)),
  });
  const importing = async (bytes: Uint8Array, allowUnsigned = false) => {
    const trust = { keys: [key.publicKey], allowUnsigned };
    const paths: string[] = [];
    for await (const { path } of importPaths(stream(bytes), { store, pool, trust })) paths.push(path);
    return paths;
  };
  const registered = async (path: string) => (await store.queryInfos([path])).get(path);
  const expectRefused = async (bytes: Uint8Array, code: ErrorCode, reason: RegExp, allowUnsigned = false) => {
    const error = await importing(bytes, allowUnsigned).then(
      () => expect.unreachable('it was taken'),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(CarportError);
    const { code: actual, message, cause } = error as CarportError;
    expect([actual, `${message}\n${cause}`]).toEqual([code, expect.stringMatching(reason)]);
  };
  /** These paths are registered and whole, and there is nothing else. */
  const expectOnly = async (...paths: readonly string[]) => {
    const infos = await store.queryAll();
    expect([...infos.keys()].sort()).toEqual(paths.toSorted());
    const names = await readdir(store.layout.realStoreDir);
    expect(names.sort()).toEqual(paths.map((path) => path.slice('/nix/store/'.length)).sort());
    for (const info of infos.values()) {
      const { narHash, narSize } = info;
      expect(await pool.run({ type: 'hash', path: store.realPath(info) })).toEqual({ narHash, narSize });
    }
  };

  it('takes what a trusted key has signed, and nothing of it that was changed', async () => {
    const base = signed(infoOf('base'));
    const user = signed(infoOf('user', { references: [base.path, pathOf('user')] }));
    const forged: Readonly<Record<string, Uint8Array>> = {
      'other content': streamOf(part(base, OTHER_NAR), part(user)),
      'another name': streamOf(part({ ...base, path: pathOf('other') })),
      'one reference less': streamOf(part(base), part({ ...user, references: [base.path] })),
      'one reference more': streamOf(part(base), part({ ...base, path: user.path, references: [base.path] })),
      'the signature of another path': streamOf(part({ ...base, signatures: user.signatures })),
    };
    for (const bytes of Object.values(forged)) {
      for (const allowUnsigned of [false, true]) {
        const reason = /the signature of `.*` by `test-1` is wrong\n.*what the export says/;
        await expectRefused(bytes, 'E_SIGNATURE', reason, allowUnsigned);
      }
    }
    expect(await importing(streamOf(part(base), part(user)))).toEqual([base.path, user.path]);
    await expectOnly(base.path, user.path);
  });

  it('keeps what came before something bad, and nothing of that', async () => {
    const base = signed(infoOf('base'));
    const whole = streamOf(part(base), part(signed(infoOf('user', { references: [base.path] }))));
    const dangling = signed(infoOf('user', { references: [pathOf('none')] }));
    const evilNar = narOf(...'( type directory entry ( name ..'.split(' '));
    for (const [bad, code, reason] of [
      [streamOf(part(base), part(base)), 'E_FORMAT', /the export has `.*-base` twice/],
      [streamOf(part(base), part(dangling)), 'E_INTEGRITY', /-none`/],
      [whole.subarray(0, whole.length - 300), 'E_FORMAT', /is truncated/],
      [Buffer.concat([streamOf(part(base)), Buffer.of(0)]), 'E_FORMAT', /bytes after its end/],
      [streamOf(part(base), part(infoOf('evil'), evilNar)), 'E_FORMAT', /name/],
      [streamOf(part(base), [EXPORT_NEXT, NAR, narString('no magic')]), 'E_FORMAT', /something else where/],
    ] as const) {
      await expectRefused(bad, code, reason);
      await expectOnly(base.path);
    }
  });

  it('is not confused by a path of which the store has other content', async () => {
    const first = signed(infoOf('twice'));
    await importing(streamOf(part(first)));
    const second = signed(infoOf('twice', { narHash: hashBytes('sha256', OTHER_NAR), narSize: OTHER_NAR.length }));
    await importing(streamOf(part(second, OTHER_NAR)));
    await expectOnly(first.path);
    expect(await readFile(store.realPath(first), 'utf8')).toBe('x');
    expect((await registered(first.path))!.signatures).toEqual(first.signatures);
  });

  it('refuses a path that would take the place of another under its hash part', async () => {
    const first = infoOf('first');
    const second = { ...infoOf('second'), path: first.path.replace('-first', '-second') };
    await importing(streamOf(part(first)), true);
    await expectRefused(streamOf(part(second)), 'E_INTEGRITY', /has the hash part of/, true);
    await expectOnly(first.path);
  });

  it('adds signatures of trusted keys to a path that is there, and no others', async () => {
    const info = infoOf('later');
    await importing(streamOf(part(info)), true);
    expect((await registered(info.path))!.signatures).toEqual([]);
    await importing(streamOf(part(signed(info, key, other))));
    const signature = signPath(info, key);
    expect((await registered(info.path))!.signatures).toEqual([signature]);
    // An export without them takes none away.
    await importing(streamOf(part(info)), true);
    expect((await registered(info.path))!.signatures).toEqual([signature]);
    // Those of a path that has other references here are about something else.
    const elsewhere = signed(infoOf('elsewhere', { references: [info.path] }));
    await importing(streamOf(part({ ...elsewhere, references: [], signatures: [] })), true);
    await importing(streamOf(part(elsewhere)));
    expect(await registered(elsewhere.path)).toMatchObject({ references: [], signatures: [] });
    await expectOnly(info.path, elsewhere.path);
  });

  it('finds the content addresses of paths that are named after their content', async () => {
    const narHash = hashBytes('sha256', NAR);
    const bytes = hashBytes('sha256', 'x');
    const addressed = (method: 'recursive' | 'text' | 'flat', hash: Hash, references: readonly string[] = []) => {
      const others = { others: references, self: false };
      const path = makeContentAddressedPath({ method, hash }, method, '/nix/store', others);
      return { info: infoOf(method, { path, references }), ca: renderContentAddress({ method, hash }) };
    };
    const base = addressed('flat', bytes);
    const paths = [base, addressed('text', bytes, [base.info.path]), addressed('recursive', narHash, [base.info.path])];
    await importing(streamOf(...paths.map(({ info }) => part(info))), true);
    for (const { info, ca } of paths) expect((await registered(info.path))!.ca).toBe(ca);

    // A plain file's bytes say nothing of one that can be run, and other references give another path.
    const executable = addressed('text', bytes).info;
    const fewer = { ...addressed('recursive', narHash, [base.info.path, paths[1]!.info.path]).info, references: [] };
    await importing(streamOf(part(executable, EXECUTABLE), part(fewer)), true);
    for (const { path } of [executable, fewer]) expect(await registered(path)).not.toHaveProperty('ca');
  });

  it('gives a content address to a path that is there without', async () => {
    const address = { method: 'text', hash: hashBytes('sha256', 'x') } as const;
    const info = infoOf('text', { path: makeContentAddressedPath(address, 'text', '/nix/store') });
    const bytes = streamOf(part(info));
    await importing(bytes, true);
    const { ca, ...without } = (await registered(info.path))!;
    expect(ca).toBe(renderContentAddress(address));
    await (await writerOf(store, pool)).register(without);
    expect(await registered(info.path)).not.toHaveProperty('ca');
    await importing(bytes, true);
    expect((await registered(info.path))!.ca).toBe(ca);
  });
});
