import { describe, expect, it } from 'vitest';
import { reportError } from '#bin/cli/error-output.js';
import { explainReading } from '#lib/store/damaged.js';
import { fakeContext } from '../support/context.js';

const TEMPORARY = `.carport-${'0'.repeat(12)}-7-${'a'.repeat(24)}`;

const told = (code: string, path: string): string => {
  const context = fakeContext({});
  reportError(Object.assign(new Error(`${code}: it says`), { code, syscall: 'open', path }), context, false, 0);
  return context.stderr.text();
};

describe('what the file system refuses', () => {
  it('is told by the directory of a cache, not by a name of a file on its way', () => {
    expect(told('EROFS', `/srv/cache/carport/tmp/${TEMPORARY}`)).toContain(
      '`/srv/cache`: the file system is read-only',
    );
    expect(told('ENOSPC', `/st/nix/store/${TEMPORARY}/bin/x`)).toContain('`/st/nix/store`: the disk is full');
    const claims = '/st/nix/var/carport/claims';
    expect(told('ENOSPC', `${claims}/${'0'.repeat(32)}${TEMPORARY}`)).toContain(`\`${claims}\`: the disk is full`);
    expect(told('EROFS', '/srv/cache/file')).toContain('`/srv/cache/file`: the file system is read-only');
  });

  it('is told of a directory that has gone meanwhile', () => {
    const text = told('ENOENT', `/srv/cache/carport/tmp/${TEMPORARY}`);
    expect(text).toContain('error[E_NOT_FOUND]: `/srv/cache` is gone: it was moved or removed meanwhile');
    expect(told('ENOENT', '/srv/file')).toContain('`/srv/file`: no such file or directory');
  });

  it('is told as damage of a store where a path that it has on record is gone', () => {
    const path = '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a';
    const gone = (where: string) => Object.assign(new Error('ENOENT'), { code: 'ENOENT', path: where });
    for (const where of [`/st${path}`, `/st${path}/bin/x`]) {
      expect(explainReading(gone(where), { path }, `/st${path}`, '')).toMatchObject({
        code: 'E_INTEGRITY',
        message: `\`${path}\` is damaged in the store`,
        hint: expect.stringContaining(`nix-store --verify-path ${path}`),
      });
    }
    const other = gone(`/st${path}-b`);
    expect(explainReading(other, { path }, `/st${path}`, '')).toBe(other);
  });
});
