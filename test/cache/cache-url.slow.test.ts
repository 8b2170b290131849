import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCacheUrl } from '#cache/cache-url.js';
import { canonicalUrl, openCache } from '#cache/open.js';
import { CarportError } from '#lib/errors.js';
import { expectError } from '../support/errors.js';

const MIB = 1024 * 1024;
const S3 = { kind: 's3', bucket: 'nix', prefix: '', style: 'auto', multipartThreshold: 16 * MIB, partSize: 8 * MIB };

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
      ['../cache', resolve('../cache')],
      ['./s3:x', resolve('s3:x')],
      ['./~', resolve('~')],
      ['/srv/s3:x', '/srv/s3:x'],
      ['/srv//cache', '/srv/cache'],
      ['/srv/my cache', '/srv/my cache'],
      ['s3', resolve('s3')],
      ['cache//x', resolve('cache/x')],
      ['file:///srv/caf%C3%A9', '/srv/café'],
      ['file:///srv/%24HOME', '/srv/$HOME'],
      ['/tmp/tmp.Ab$1', '/tmp/tmp.Ab$1'],
    ] as const) {
      expect(parseCacheUrl(text), text).toEqual({ location: { kind: 'file', root }, secretKeyFiles: [] });
    }
  });

  it("takes Nix's settings for stores", () => {
    const url = parseCacheUrl(
      'file:///c?compression=xz&compression-level=9&secret-key=/a.sec&secret-keys=/b.sec,/c.sec&write-nar-listing=true&priority=-3&want-mass-query=1',
    );
    expect(url).toEqual({
      location: { kind: 'file', root: '/c' },
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
    expect(url).toEqual({
      location: { kind: 'file', root: '/srv/cache' },
      secretKeyFiles: ['/keys/a&b.sec'],
      writeListing: false,
    });
  });

  it("reads -1 as the compression's own level, as Nix does", () => {
    expect(parseCacheUrl('file:///c?compression-level=-1').level).toBeUndefined();
    expect(parseCacheUrl('file:///c?compression-level=0').level).toBe(0);
  });

  it("takes Nix's settings that mean nothing to it, and checks what they are", () => {
    const settings = 'trusted=true&store=/nix/store&index-debug-info=1&path-info-cache-size=100&local-nar-cache=/n';
    const more = 'system-features=kvm&narinfo-compression=zstd&retry-attempts=3&retry-delay-rate-limited=false';
    for (const cache of ['file:///c', 's3://nix', 'https://nix.example.org', '/c']) {
      expect(parseCacheUrl(`${cache}?${settings}&${more}`)).toEqual(parseCacheUrl(cache));
    }
    expect(() => parseCacheUrl('file:///c?trusted=perhaps')).toThrow('neither true nor false');
    expect(() => parseCacheUrl('file:///c?path-info-cache-size=much')).toThrow('not a number');
  });

  it('keeps no empty file of secret-keys', () => {
    expect(parseCacheUrl('file:///c?secret-keys=').secretKeyFiles).toEqual([]);
    expect(parseCacheUrl('file:///c?secret-keys=/a,,/b,').secretKeyFiles).toEqual(['/a', '/b']);
  });

  it.each<readonly [string, string, string | undefined]>([
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
    ['daemon://', '`daemon://` caches are not supported', 's3://bucket'],
    ['ssh://host?x=1', '`x` is not a parameter', undefined],
    ['file:///c?parallel-compression=maybe', 'neither true nor false', undefined],
    ...['endpoint=https://h', 'region=garage', 'profile=x', 'scheme=http', 'addressing-style=path'].flatMap(
      (parameter) =>
        ['file:///c', '/c', 'https://h/c'].map(
          (base) => [`${base}?${parameter}`, 'is a parameter of `s3://` caches only', 'out'] as const,
        ),
    ),
    ['s3://nix?endpiont=h', '`endpiont` is not a parameter', '`endpoint`'],
    ['s3://nix?adressing-style=path', '`adressing-style` is not a parameter', '`addressing-style`'],
    ['s3://nix?multipart_threshold=1', '`multipart_threshold` is not a parameter', '`multipart-threshold`'],
    ['s3://nix?Region=x', '`Region` is not a parameter', '`region`'],
    ['s3://', 'names no bucket', 's3://bucket?'],
    ['s3:///prefix', 'names no bucket', undefined],
    ['s3://-nix', '`-nix` is not the name of a bucket', undefined],
    ['s3://ni x', 'is not the name of a bucket', undefined],
    ['s3://nix/a//b', '`a//b` is not a directory in a bucket', undefined],
    ['s3://nix/../x', '`../x` is not a directory in a bucket', undefined],
    ['s3://nix?scheme=ftp', '`scheme=ftp` is none of http, https', undefined],
    ['s3://nix?addressing-style=vhost', 'is none of auto, path, virtual', undefined],
    ['s3://nix?endpoint=ftp://host', 'neither `http://` nor `https://`', undefined],
    ['s3://nix?endpoint=https://host/api', 'the endpoint has a path: `/api`', undefined],
    ['s3://nix?endpoint=http://', 'the endpoint is not a URL', 'https://host:port'],
    ['s3://nix?endpoint=host:port', 'the endpoint is not a URL', undefined],
    ['s3://nix?endpoint=', '`endpoint` is empty', 'leave `endpoint=` out'],
    ['s3://nix?region=', '`region` is empty', 'leave `region=` out'],
    ['s3://nix?profile=', '`profile` is empty', undefined],
    ['s3://nix?storage-class=', '`storage-class` is empty', undefined],
    ['s3://nix?multipart-upload=2', 'neither true nor false', undefined],
    ['s3://nix?multipart-threshold=1000', 'is not a number of bytes from 1048576', undefined],
    ['s3://nix?multipart-chunk-size=8M', '`multipart-chunk-size=8M` is not a number of bytes', undefined],
    ['s3://nix?multipart-chunk-size=99999999999', 'is not a number of bytes', undefined],
    ['s3://nix?buffer-size=-1', '`buffer-size=-1` is not a number of bytes', undefined],
    ['https://', "a cache's URL is not a URL", undefined],
    ['http://host:port/', "a cache's URL is not a URL", undefined],
    ['https://host/?x=1', '`x` is not a parameter', undefined],
    ['file://relative/path', 'is not the URL of a directory', 'three slashes'],
    ['file:///a%2Fb', 'is not the URL of a directory', undefined],
    // A variable was empty.
    ...['file://', 'file:///', 'FILE://', 'file://localhost/', 'file:///.', 'file:///a/..', '/', '/.', '/srv/..'].map(
      (text) => [text, 'is the root of the file system', 'may not be set'] as const,
    ),
    ['file:////x', 'has an empty part before its path', 'may not be set'],
    ['//x', 'begins with two slashes', 'may not be set'],
    ['s3://nix//', '`/` is not a directory in a bucket', 'may not be set'],
    ['s3://nix//x', '`/x` is not a directory in a bucket', 'may not be set'],
    ['s3:///x', 'names no bucket', 'may not be set'],
    ['https:///host/x', 'is not a URL', '`https://host/x`'],
    // A scheme has lost something.
    ...['s3:/nix', 's3:nix', 'S3:/nix', 's3//nix', 's3:://nix'].map(
      (text) => [text, 'is not a URL', '`s3://nix`'] as const,
    ),
    ...['https:/host/x', 'https:host/x', 'https//host/x', 'htps:/host/x', 'htpps:host/x'].map(
      (text) => [text, 'is not a URL', '`https://host/x`'] as const,
    ),
    ['http:/host', 'is not a URL', '`http://host`'],
    ['file:/srv/c', 'is not a URL', '`file:///srv/c`'],
    ['file//srv/c', 'is not a URL', '`file:///srv/c`'],
    ['file:c', 'is not a URL', '`./c`'],
    ['htpps://host', '`htpps://` caches are not supported', '`https://host`'],
    ['filee:///c', '`filee://` caches are not supported', '`file:///c`'],
    ['gs://nix', '`gs://` caches are not supported', 's3://bucket'],
    ['://nix', 'looks like a URL, and is none', '`./://nix`'],
    ['user@host:/srv', 'looks like a URL, and is none', '`./user@host:/srv`'],
    ['localhost:3900/nix', 'looks like a URL, and is none', undefined],
    ...['C:\\cache', 'c:/cache', '\\\\host\\x', 'file://C:/x', 'file:///c:/x', 'file:///srv\\x'].map(
      (text) => [text, 'a path of Windows', undefined] as const,
    ),
    ['http://host\\x', 'has a `\\` or a `#`', undefined],
    ['file:///srv/c#1', 'has a `#`', '`%23`'],
    ['https://host/c#1', 'or a `#`', undefined],
    ['file://.', 'is not the URL of a directory', '`./cache`'],
    ['file://./x', 'is not the URL of a directory', '`./cache`'],
    ['file://~/x', 'is not the URL of a directory', undefined],
    // What was around it.
    ...['"file:///c"', "'file:///c'", '“file:///c”', '`file:///c`', '"file:///c', 'file:///c\u200b', "file:///c'"].map(
      (text) => [text, 'around it', 'did you mean `file:///c`?'] as const,
    ),
    ...[' s3://nix', 's3://nix ', '\ts3://nix', 's3://nix\n', 's3://nix\r\n', '\u00a0s3://nix', '\ufeff s3://nix'].map(
      (text) => [text, '', 'did you mean `s3://nix`?'] as const,
    ),
    ['s3://nix?region=garage ', 'white space', '`s3://nix?region=garage`'],
    ['"s3://nix?region=garage"', 'around it', '`s3://nix?region=garage`'],
    ['"', 'is empty', 'may not be set'],
    ['  ', 'is empty', 'may not be set'],
    ['/srv/a\n/srv/b', 'a line break', undefined],
    ['/srv/\u202ecache', 'not seen', undefined],
    // What nothing has replaced.
    ...['$HOME/c', `$\{CACHE}`, '/srv/$CACHE', `file:///srv/$\{X}`, 's3://$BUCKET', 's3://nix?endpoint=$ENDPOINT'].map(
      (text) => [text, 'has a variable in it', 'single quotes'] as const,
    ),
    ...['{{ cache }}', '%CACHE%\\x', '/srv/%VAR%', '$(pwd)/c', 'https://$HOST/c'].map(
      (text) => [text, 'has a variable in it', 'single quotes'] as const,
    ),
    ['~/cache', 'begins with `~`', '`./~/cache`'],
    ['~user/cache', 'begins with `~`', '`$HOME`'],
    // Several.
    ...['s3://a,s3://b', 's3://a s3://b', '/a, file:///b', 's3://a?region=x s3://b', 's3://a;s3://b'].map(
      (text) => [text, 'names several caches', 'give one'] as const,
    ),
    // The same of endpoints.
    ['s3://nix?endpoint=https:/host', 'the endpoint is not a URL', '`https://host`'],
    ['s3://nix?endpoint=https//host', 'the endpoint is not a URL', '`https://host`'],
    ['s3://nix?endpoint=http:///host', 'the endpoint is not a URL', '`http://host`'],
    ['s3://nix?endpoint=%22https://host%22', 'the endpoint has quotes', '`https://host`'],
    ['s3://nix?endpoint=+https://host', 'the endpoint begins or ends with white space', '`https://host`'],
    ['s3://nix?endpoint=%24ENDPOINT', 'the endpoint has a variable', undefined],
  ])('%s is refused', (text, reason, hint) => {
    const error = expectError('E_USAGE', reason, () => parseCacheUrl(text));
    if (hint !== undefined) expect(error.hint).toContain(hint);
  });

  it('is shown without its parameters: one names a secret', () => {
    const env = { AWS_ENDPOINT_URL: 'http://other:3900' };
    const shown = (text: string) => {
      const url = parseCacheUrl(text);
      const { objects } = openCache(url, { env, signal: new AbortController().signal });
      expect(canonicalUrl(url, env)).toBe(objects.url);
      return objects.url;
    };
    expect(shown('file:///c?secret-key=/a.sec')).toBe('file:///c');
    expect(shown('https://host/c/?secret-key=/a.sec')).toBe('https://host/c');
    expect(shown('s3://nix/a?region=garage&secret-key=/a.sec&priority=3&endpoint=http://h:3900')).toBe(
      's3://nix/a?endpoint=http://h:3900&region=garage',
    );
    expect(shown('s3://nix?secret-key=/a.sec')).toBe('s3://nix?endpoint=http://other:3900');
  });

  it('names a bucket, with where it is', () => {
    const locationOf = (text: string) => parseCacheUrl(text).location;
    expect(locationOf('s3://nix')).toEqual(S3);
    expect(locationOf('S3://nix')).toEqual(S3);
    expect(locationOf('s3://nix/')).toEqual(S3);
    expect(locationOf('s3://nix/some/where/')).toEqual({ ...S3, prefix: 'some/where' });
    expect(locationOf('s3://my.bucket-1_2')).toEqual({ ...S3, bucket: 'my.bucket-1_2' });
    expect(locationOf('s3://nix?endpoint=garage.deuxfleurs.fr&region=garage')).toEqual({
      ...S3,
      endpoint: 'https://garage.deuxfleurs.fr',
      region: 'garage',
    });
    expect(locationOf('s3://nix?endpoint=localhost:3900&scheme=http')).toMatchObject({
      endpoint: 'http://localhost:3900',
    });
    expect(locationOf('s3://nix?scheme=http&endpoint=https://[::1]:3900')).toMatchObject({
      endpoint: 'https://[::1]:3900',
    });
  });

  it("takes each of Nix's settings for buckets", () => {
    const location = (query: string) => parseCacheUrl(`s3://nix?${query}`).location;
    expect(location('profile=ci&storage-class=STANDARD_IA&addressing-style=virtual')).toEqual({
      ...S3,
      ...{ profile: 'ci', storageClass: 'STANDARD_IA', style: 'virtual' },
    });
    expect(location('multipart-threshold=104857600&multipart-chunk-size=10485760')).toEqual({
      ...S3,
      ...{ multipartThreshold: 100 * MIB, partSize: 10 * MIB },
    });
    expect(location('buffer-size=1048576')).toEqual({ ...S3, partSize: MIB });
    expect(location('multipart-upload=true')).toEqual(S3);
    expect(location('multipart-upload=false')).toEqual({ ...S3, multipartThreshold: Number.POSITIVE_INFINITY });
    const all = 'compression=none&parallel-compression=true&secret-key=/a&priority=40&want-mass-query=true';
    expect(parseCacheUrl(`s3://nix?${all}&write-nar-listing=1`)).toEqual({
      location: S3,
      ...{ compression: 'none', secretKeyFiles: ['/a'], priority: 40, wantMassQuery: true, writeListing: true },
    });
  });

  it('names a web server, and the directory of nix-cache-info on it', () => {
    for (const [text, href] of [
      ['https://cache.example.org', 'https://cache.example.org/'],
      ['HTTPS://cache.example.org/', 'https://cache.example.org/'],
      ['http://localhost:3902/a/b?priority=10', 'http://localhost:3902/a/b/'],
      ['http://[::1]:80/x%20y/', 'http://[::1]/x%20y/'],
    ] as const) {
      const { location } = parseCacheUrl(text);
      expect(location.kind).toBe('http');
      expect((location as { readonly url: URL }).url.href).toBe(href);
    }
  });

  it.each([
    'https://user:geheim@host/c',
    'http://geheim@host/c',
    's3://nix?endpoint=https://user:geheim@host',
    's3://nix?endpoint=user:geheim@host',
    's3://nix?endpoint=ftp://user:geheim@host',
    's3://user:geheim@nix',
    'https://user:geheim@host:port/c',
    's3://nix?endpoint=https://user:geheim@ho st',
    'file://user:geheim@host/c',
    'https://user:geheim@host/c?compresion=xz',
    ' https://user:geheim@host/c',
    '"s3://nix?endpoint=https://user:geheim@host"',
    'https:/user:geheim@host',
    'htpps://user:geheim@host',
    's3://nix?endpoint=https:/user:geheim@host',
    'https://user:geheim@host/$X',
  ])('%s is refused without a word of the password', (text) => {
    const error = expectError('E_USAGE', '', () => parseCacheUrl(text));
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      expect(`${cause.message} ${cause.stack}`).not.toContain('geheim');
    }
    expect(error.hint ?? '').not.toContain('geheim');
  });

  it('is a location or an error of ours, whatever is written', () => {
    const names = ['endpoint', 'region', 'scheme', 'addressing-style', 'buffer-size', 'priority', 'compression', 'x'];
    const query = fc.array(fc.tuple(fc.constantFrom(...names), fc.string({ unit: 'grapheme' })), { maxLength: 4 });
    const scheme = fc.constantFrom('', 's3://', 'http://', 'https://', 'file://', 'file:///', 's3://nix/', 'x://');
    const rest = fc.oneof(fc.string({ unit: 'grapheme' }), fc.webPath(), fc.webAuthority({ withUserInfo: true }));
    fc.assert(
      fc.property(scheme, rest, query, (start, middle, parameters) => {
        const text = `${start}${middle}?${parameters.map(([name, value]) => `${name}=${value}`).join('&')}`;
        try {
          expect(parseCacheUrl(text).location.kind).toMatch(/^(file|http|s3)$/);
        } catch (error) {
          expect(error).toBeInstanceOf(CarportError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
