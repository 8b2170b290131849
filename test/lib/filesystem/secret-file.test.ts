import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CarportError } from '#lib/errors.js';
import { createSecretFile, readSecretFile } from '#lib/filesystem/secret-file.js';
import { asOrdinaryUser, useDirectory } from '../../support/files.js';

const directory = useDirectory();
const at = (name: string): string => join(directory(), name);
const SECRET = 'key:c2VjcmV0';

function secretFile(mode: number): string {
  writeFileSync(at('key'), SECRET);
  chmodSync(at('key'), mode);
  return at('key');
}

/** What reading is refused with; the secret must be in none of it. */
async function refusalOf(path: string): Promise<CarportError> {
  const error = await readSecretFile(path).then(
    () => undefined,
    (reason) => reason as CarportError,
  );
  expect(error, 'it was read').toMatchObject({ code: 'E_CREDENTIALS' });
  expect(error!.message).toContain(path);
  expect(JSON.stringify([error!.message, error!.hint, String(error!.cause)])).not.toContain('c2VjcmV0');
  return error!;
}

describe('reading a secret file', () => {
  it.each([0o600, 0o400, 0o700])('takes one of mode %o', async (mode) => {
    expect(await readSecretFile(secretFile(mode))).toBe(SECRET);
  });

  it.each([0o640, 0o604, 0o660, 0o610, 0o601, 0o777])('refuses one of mode %o, which others can use', async (mode) => {
    const error = await refusalOf(secretFile(mode));
    expect(error.message).toContain('can be read by others');
    expect(String(error.cause)).toContain(mode.toString(8).padStart(4, '0'));
    expect(error.hint).toBe(`chmod 600 ${at('key')}`);
  });

  it('refuses one that others can use behind a link', async () => {
    secretFile(0o644);
    symlinkSync('key', at('link'));
    expect((await refusalOf(at('link'))).message).toContain('can be read by others');
  });

  it('tells how to make one when there is none', async () => {
    const error = await refusalOf(at('missing'));
    expect(error.hint).toContain('carport key generate');
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  it('refuses one that cannot be read', async () => {
    const path = secretFile(0);
    await asOrdinaryUser(directory(), async () => {
      const error = await refusalOf(path);
      expect(error.hint).toContain('check the permissions');
      expect(error.cause).toMatchObject({ code: 'EACCES' });
    });
  });

  it('refuses a directory', async () => {
    mkdirSync(at('dir'), { mode: 0o700 });
    expect((await refusalOf(at('dir'))).message).toContain('is not a file');
  });

  it('refuses one that is too large for a key', async () => {
    writeFileSync(at('large'), 'x'.repeat(64 * 1024 + 1), { mode: 0o600 });
    expect((await refusalOf(at('large'))).message).toContain('too large');
  });
});

describe('making a secret file', () => {
  const umask = process.umask();
  afterEach(() => process.umask(umask));

  it.each([0, 0o022, 0o777])('gives it to its owner alone, under the umask %o', async (mask) => {
    process.umask(mask);
    await createSecretFile(at('key'), SECRET);
    process.umask(umask);
    expect(lstatSync(at('key')).mode & 0o7777).toBe(0o600);
    expect(await readSecretFile(at('key'))).toBe(SECRET);
  });

  it('never overwrites a file, nor writes through a link', async () => {
    writeFileSync(at('old'), 'old');
    symlinkSync('elsewhere', at('dangling'));
    for (const name of ['old', 'dangling']) {
      const error = await createSecretFile(at(name), SECRET).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_USAGE', message: `\`${at(name)}\` is there already` });
      expect(error.hint).toContain('never overwritten');
    }
    expect(readFileSync(at('old'), 'utf8')).toBe('old');
    expect(readdirSync(directory()).sort()).toEqual(['dangling', 'old']);
  });

  it('is made once when two make it at the same time', async () => {
    const results = await Promise.allSettled(['one', 'two'].map((text) => createSecretFile(at('key'), text)));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(['one', 'two']).toContain(await readSecretFile(at('key')));
  });
});
