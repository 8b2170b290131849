import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCacheUrl } from '#cache/cache-url.js';
import { openCache } from '#cache/open.js';
import { expectError } from '../support/errors.js';

describe('the URL of a cache', () => {
  it('may be a file:// URL, with escapes, or a plain path', () => {
    for (const [text, root] of [
      ['file:///srv/cache', '/srv/cache'],
      ['file://localhost/srv/cache', '/srv/cache'],
      ['file:///srv/with%20space%3F', '/srv/with space?'],
      ['file:///srv/../cache', '/cache'],
      ['/srv/cache', '/srv/cache'],
      ['/srv/100%', '/srv/100%'],
      ['relative/cache', resolve('relative/cache')],
      ['.', resolve('.')],
    ] as const) {
      expect(parseCacheUrl(text), text).toEqual({ root, secretKeyFiles: [] });
    }
  });

  it("takes Nix's settings for stores", () => {
    const url = parseCacheUrl(
      'file:///c?compression=xz&compression-level=9&secret-key=/a.sec&secret-keys=/b.sec,/c.sec&write-nar-listing=true&priority=-3&want-mass-query=1',
    );
    expect(url).toEqual({
      root: '/c',
      compression: 'xz',
      level: 9,
      secretKeyFiles: ['/a.sec', '/b.sec', '/c.sec'],
      writeListing: true,
      priority: -3,
      wantMassQuery: true,
    });
  });

  it('takes escaped values, and settings beside a plain path', () => {
    const url = parseCacheUrl('/srv/cache?secret-key=/keys/a%26b.sec&write-nar-listing=false');
    expect(url).toEqual({ root: '/srv/cache', secretKeyFiles: ['/keys/a&b.sec'], writeListing: false });
  });

  it("reads -1 as the compression's own level, as Nix does", () => {
    expect(parseCacheUrl('file:///c?compression-level=-1').level).toBeUndefined();
    expect(parseCacheUrl('file:///c?compression-level=0').level).toBe(0);
  });

  it('keeps no empty file of secret-keys', () => {
    expect(parseCacheUrl('file:///c?secret-keys=').secretKeyFiles).toEqual([]);
    expect(parseCacheUrl('file:///c?secret-keys=/a,,/b,').secretKeyFiles).toEqual(['/a', '/b']);
  });

  it.each([
    ['file:///c?compresion=zstd', '`compresion` is not a parameter', 'did you mean `compression`?'],
    ['file:///c?secret_key=/a', '`secret_key` is not a parameter', '`secret-key`'],
    ['/c?secret-kye=/a', '`secret-kye` is not a parameter', '`secret-key`'],
    ['file:///c?__proto__=1', '`__proto__` is not a parameter', undefined],
    ['file:///c?toString=1', '`toString` is not a parameter', undefined],
    ['file:///c?compression=bzip2', 'compression `bzip2` cannot be written', 'use zstd, xz, none'],
    ['file:///c?compression=', 'compression `` cannot be written', 'use zstd'],
    ['file:///c?compression-level=high', '`compression-level=high` is not a number', undefined],
    ['file:///c?priority=1.5', '`priority=1.5` is not a number', undefined],
    ['file:///c?priority=', '`priority=` is not a number', undefined],
    ['file:///c?want-mass-query=maybe', 'neither true nor false', undefined],
    ['file:///c?write-nar-listing=', 'neither true nor false', undefined],
    ['', 'is empty', 'file:///srv/cache'],
    ['?compression=zstd', 'is empty', 'file:///srv/cache'],
    ['s3://bucket', '`s3://` caches are not supported', 'file:///path'],
    ['https://cache.example.org', '`https://` caches are not supported', 'file:///path'],
    ['daemon://', '`daemon://` caches are not supported', undefined],
    ['file://relative/path', 'is not the URL of a directory', 'three slashes'],
    ['file:///a%2Fb', 'is not the URL of a directory', undefined],
  ])('%s is refused', (text, reason, hint) => {
    const error = expectError('E_USAGE', reason, () => parseCacheUrl(text));
    if (hint !== undefined) expect(error.hint).toContain(hint);
  });

  it('is shown without its parameters: one names a secret', () => {
    expect(openCache('file:///c?secret-key=/a.sec').objects.url).toBe('file:///c');
  });
});
