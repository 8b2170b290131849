import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readLocalFile, storePathOfFile } from '#release/put/local-file.js';
import { asOrdinaryUser, noise, useDirectory } from '../../support/files.js';

const BASE = '8r8cd7nlj2y4v4qxcl0zj6vvw8ghb1lr-garage-1.0';

describe('reading a local file', () => {
  const directory = useDirectory();
  const path = (...parts: readonly string[]) => join(directory(), ...parts);

  it.each([0, 1, 256 * 1024, 1_000_003])('tells hash and size of %i bytes, and copies them', async (size) => {
    const bytes = noise(size);
    await writeFile(path('file'), bytes);
    const digest = { size, sha256: createHash('sha256').update(bytes).digest('hex') };
    expect(await readLocalFile(path('file'))).toEqual(digest);
    expect(await readLocalFile(path('file'), { copy: path('copy') })).toEqual(digest);
    expect((await readFile(path('copy'))).equals(bytes)).toBe(true);
    await expect(readLocalFile(path('file'), { copy: path('copy') }), 'it is there').rejects.toThrow('EEXIST');
  });

  it('tells the hash of what it has copied while the file grows', async () => {
    await writeFile(path('file'), noise(3_000_000));
    const writer = spawnSync('sh', [
      '-c',
      'i=0; while [ $i -lt 200 ]; do echo more >> "$1"; i=$((i+1)); done &',
      'sh',
      path('file'),
    ]);
    expect(writer.status).toBe(0);
    const { size, sha256 } = await readLocalFile(path('file'), { copy: path('copy') });
    const copied = await readFile(path('copy'));
    expect({ size, sha256 }).toEqual({
      ...{ size: copied.length, sha256: createHash('sha256').update(copied).digest('hex') },
    });
  });

  it('does not wait for pipes and devices, and takes no directory', async () => {
    spawnSync('mkfifo', [path('pipe')]);
    for (const each of [path('pipe'), '/dev/zero', '/dev/null', directory()]) {
      await expect(readLocalFile(each), each).rejects.toMatchObject({ code: 'E_USAGE', message: /no plain file/ });
    }
  });

  it('says that it may not read', async () => {
    await writeFile(path('file'), 'secret');
    await chmod(path('file'), 0);
    await asOrdinaryUser(directory(), async () => {
      await expect(readLocalFile(path('file'), { copy: path('copy') })).rejects.toThrow('EACCES');
    });
  });

  it.each([
    [`nix/store/${BASE}/bin/garage`, `/nix/store/${BASE}`],
    [`nix/store/${BASE}`, `/nix/store/${BASE}`],
    [`root/nix/store/${BASE}/nix/store/x`, `/nix/store/${BASE}`],
    [`nix/store/${BASE.slice(1)}/garage`, undefined],
    ['nix/store/garage', undefined],
    [`nix/stores/${BASE}/garage`, undefined],
    [`store/${BASE}/garage`, undefined],
  ])('knows the store path that it is from: %s', async (where, expected) => {
    await mkdir(join(path(where), '..'), { recursive: true });
    await writeFile(path(where), 'x');
    await symlink(path(where), path('link'));
    expect(await storePathOfFile(path(where))).toBe(expected);
    expect(await storePathOfFile(path('link'))).toBe(expected);
  });
});
