import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { pushEarly } from '#bin/push/early.js';
import { formatHash } from '#lib/nix/hash.js';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { askedOfNix } from '#lib/store/nix/ahead.js';
import { useSandbox } from '../support/sandbox.js';

describe('a push before the program is there', () => {
  const box = useSandbox('all');
  const cache = (name: string) => box().path(name);
  const [paths, keys]: [string[], string[]] = [[], []];

  beforeAll(async () => {
    for (const name of ['here', 'new']) {
      await writeFile(box().path('work', name), name);
      paths.push((await box().succeed(['store', 'add', name])).lines[0]!);
    }
    for (const name of ['one-1', 'two-1']) keys.push((await box().makeKey(name)).file);
    await box().succeed(['push', paths[0]!, '--to', cache('cache'), '--secret-key', keys[0]!]);
    await box().succeed(['push', paths[1]!, '--to', cache('other'), '--secret-key', keys[0]!]);
  });

  /** As Nix prints it, of a path that one of the caches has. */
  const told = async (path: string, name: string) => {
    const text = await readFile(join(cache(name), `${hashPartOf(path)}.narinfo`), 'latin1');
    const { narHash, narSize } = parseNarInfo(text);
    const info = { narHash: formatHash(narHash, 'sri'), narSize, references: [], signatures: [] };
    return { [basename(path)]: info };
  };
  const push = (path: string, infos: object, ...more: readonly string[]) => {
    const stdout = JSON.stringify({ info: infos, storeDir: '/nix/store', version: 2 });
    const result = Promise.resolve({ exitCode: 0, stdout, stderr: '' });
    const answers = [{ arguments: askedOfNix('paths', [path]), result }];
    const args = ['push', path, '--to', cache('cache'), '--store', 'nix', ...more];
    return pushEarly(args, { env: { ...box().env, CI: '1' }, cwd: () => box().path('work'), answers });
  };

  it('ends where the cache has all of it, says so, and keeps no lease', async () => {
    const [path = ''] = paths;
    const infos = await told(path, 'cache');
    const said = await push(path, infos, '--secret-key', keys[0]!);
    expect(said).toMatch(/^1 path: 1 already cached, 0 to upload \(0 B\)\npushed 0 paths, 1 was there\n$/);
    expect(await push(path, infos, '--secret-key', keys[0]!, '--quiet')).toBe('');
    expect(await readdir(join(cache('cache'), 'carport/leases')).catch(() => [])).toEqual([]);
  });

  it('leaves all else to the program: what is new, not signed, not here, said wrongly, or read once only', async () => {
    const [path = '', other = ''] = paths;
    const infos = await told(path, 'cache');
    const before = await readdir(cache('cache'), { recursive: true });
    const key = ['--secret-key', keys[0]!];
    expect(await push(other, await told(other, 'other'), ...key)).toBeUndefined();
    expect(await push(path, infos, '--secret-key', keys[1]!)).toBeUndefined();
    expect(await push(path, {}, ...key)).toBeUndefined();
    expect(await push(path, infos)).toBeUndefined();
    expect(await push(path, infos, ...key, '--no-such-option')).toBeUndefined();
    expect(await push(path, infos, ...key, '--jobs', 'many')).toBeUndefined();
    expect(await push(path, infos, ...key, '--secret-key', 'missing')).toBeUndefined();
    // There is no such descriptor: it would be an error if it were read.
    for (const name of ['fd:9', '-']) expect(await push(path, infos, '--secret-key', name)).toBeUndefined();
    for (const option of ['--json', '--print', '--check-all', '--dry-run']) {
      expect(await push(path, infos, ...key, option)).toBeUndefined();
    }
    expect(await readdir(cache('cache'), { recursive: true })).toEqual(before);
  });

  it('sees that a NAR is gone', async () => {
    const [path = ''] = paths;
    const infos = await told(path, 'cache');
    await rm(join(cache('cache'), 'nar'), { recursive: true });
    expect(await push(path, infos, '--secret-key', keys[0]!)).toBeUndefined();
  });
});
