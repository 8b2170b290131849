import { describe, expect, it } from 'vitest';
import { type Asked, errorReply, type Reply, useFakeBucket, xml } from '../../../support/fake-bucket.js';

const TOO_LARGE = 'The specified copy source is larger than the maximum allowable size for a copy source: 5368709120';

const OWN = /^\/nix\/carport\/tmp\/copy-[0-9a-f]{24}(-2)?$/;
const keyOf = ({ path }: Asked) => path.split('?')[0]!;
const COPIED = xml('<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>');
const isCopy = ({ headers }: Asked) => headers['x-amz-copy-source'] !== undefined;

/** A server that copies what is its own, and answers another copy so; `there` are the keys that it has. */
const copies =
  (reply: Reply, there: readonly string[] = []) =>
  (asked: Asked): Reply => {
    if (isCopy(asked)) return OWN.test(keyOf(asked)) ? COPIED : reply;
    if (asked.method === 'HEAD') return there.includes(keyOf(asked)) ? { status: 200 } : { status: 404 };
    return { status: asked.method === 'PUT' ? 200 : 204 };
  };

describe('a copy within a bucket', () => {
  const open = useFakeBucket();

  it('says so when the object is too large for one request', async () => {
    const { store } = await open(copies(errorReply(400, 'InvalidRequest', TOO_LARGE)));
    await expect(store.copy('from', 'to')).rejects.toMatchObject({
      ...{ code: 'E_UNSUPPORTED', message: expect.stringContaining('`from` is too large') },
      hint: expect.stringContaining('5 GiB'),
    });
  });

  it('is refused for another reason as every request is', async () => {
    const { store } = await open(copies(errorReply(400, 'InvalidRequest', 'something else')));
    await expect(store.copy('from', 'to')).rejects.toMatchObject({ code: 'E_REMOTE' });
  });

  it('has failed when a good status has an error in its body', async () => {
    const { store } = await open(
      copies({ body: xml('<Error><Code>InternalError</Code><Message>no</Message></Error>') }),
    );
    await expect(store.copy('from', 'to')).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  });

  it('names its source percent-encoded, and is put at its target', async () => {
    const { store, asked } = await open(copies(COPIED));
    await store.copy('a/b c+ü%', 'to');
    expect(asked).toMatchObject([
      { method: 'HEAD', path: '/nix/to' },
      { method: 'PUT', path: '/nix/to?x-id=CopyObject', headers: { 'x-amz-copy-source': 'nix/a/b%20c%2B%C3%BC%25' } },
    ]);
    await store.copy('a', 'b');
    expect(asked.slice(2)).toMatchObject([{ method: 'PUT', path: '/nix/b?x-id=CopyObject' }]);
  });

  it('over something is tried once on an object of its own, which it removes', async () => {
    const { store, asked } = await open(copies(COPIED, ['/nix/v1/a']));
    for (const to of ['v1/a', 'v1/b', 'a']) await store.copy('from', to);
    expect(asked.map((each) => [each.method, keyOf(each)])).toEqual([
      ['HEAD', '/nix/v1/a'],
      ...['PUT', 'PUT', 'DELETE', 'DELETE'].map((method) => [method, expect.stringMatching(OWN)]),
      ...['v1/a', 'v1/b', 'a'].map((to) => ['PUT', `/nix/${to}`]),
    ]);
    const [put, copied, ...removed] = asked.slice(1, 5).map(keyOf);
    expect([copied, removed]).toEqual([`${put}-2`, [put, copied]]);
  });

  it('is not tried where the key may not write', async () => {
    const { store, asked } = await open((each) =>
      OWN.test(keyOf(each)) ? errorReply(403, 'AccessDenied') : copies(COPIED, ['/nix/to'])(each),
    );
    await store.copy('from', 'to');
    expect(asked.map(isCopy)).toEqual([false, false, true]);
  });

  const NO_COPIES = {
    nothing: { status: 200 },
    'an ETag, as of an upload': { status: 200, headers: { etag: '"d41d8cd98f00b204e9800998ecf8427e"' } },
    'another document': xml('<PutObjectResult><ETag>"x"</ETag></PutObjectResult>'),
    'no ETag': xml('<CopyObjectResult></CopyObjectResult>'),
    'a page': '<html></html>',
    'that it lacks that': errorReply(501, 'NotImplemented'),
  } satisfies Record<string, Reply>;
  const NOT_COPIED = { code: 'E_UNSUPPORTED', message: expect.stringContaining('does not copy objects') };

  it.each(Object.entries(NO_COPIES))(
    'overwrites nothing on a server that takes it for an upload, and answers with %s',
    async (_, reply) => {
      const { store, asked } = await open((each) => (isCopy(each) ? reply : copies(reply, ['/nix/v1/to'])(each)));
      for (let times = 0; times < 2; times++)
        await expect(store.copy('from', 'v1/to')).rejects.toMatchObject(NOT_COPIED);
      expect(asked.filter(({ method }) => method !== 'HEAD').map((each) => [each.method, keyOf(each)])).toEqual(
        [1, 2].flatMap(() => ['PUT', 'PUT', 'DELETE', 'DELETE'].map((method) => [method, expect.stringMatching(OWN)])),
      );
    },
  );

  it.each(Object.entries(NO_COPIES))(
    'takes back what such a server has written where there was nothing: %s',
    async (_, reply) => {
      const there: string[] = [];
      const { store, asked } = await open((each) => {
        if (isCopy(each)) there.push(keyOf(each));
        if (each.method === 'DELETE') there.splice(0);
        return isCopy(each) ? reply : copies(reply, there)(each);
      });
      await expect(store.copy('from', 'v1/to')).rejects.toMatchObject(NOT_COPIED);
      expect(asked.map((each) => [each.method, keyOf(each)])).toEqual(
        ['HEAD', 'PUT', 'HEAD', 'DELETE'].map((method) => [method, '/nix/v1/to']),
      );
    },
  );
});

describe('a copy for readers', () => {
  const open = useFakeBucket();

  /** What `v1/app` has, and then what the copy has that was asked for. */
  const serve = async (source: Readonly<Record<string, string>>, forget: readonly string[] = []) => {
    let copy: Record<string, string> | undefined;
    const bucket = await open((asked) => {
      if (asked.method === 'HEAD') {
        const headers = keyOf(asked) === '/nix/v1/app' ? { etag: '"1-2"', ...source } : copy;
        return headers ? { headers } : { status: 404 };
      }
      if (isCopy(asked) && keyOf(asked) === '/nix/latest/app') {
        const kept = Object.entries(asked.headers).filter(([name]) =>
          /^(x-amz-meta-|cache-|content-(?!length))/.test(name),
        );
        copy = Object.fromEntries(kept.filter(([name]) => !forget.includes(name))) as Record<string, string>;
      }
      return copies(COPIED)(asked);
    });
    const run = () => bucket.store.alias('v1/app', 'latest/app');
    const put = (other: Record<string, string>) => {
      copy = other;
    };
    return { run, copy: () => copy!, put };
  };

  it('has what is known of its source, but for how long it may be kept', async () => {
    const known = {
      ...{ 'content-type': 'application/x-tar', 'content-disposition': 'attachment; filename="a"' },
      ...{ 'content-encoding': 'gzip', 'content-language': 'de', 'x-amz-meta-mtime': '1700000000.5' },
    };
    const unknown = {
      'x-amz-meta-odd': 'ü',
      'x-amz-storage-class': 'GLACIER',
      'x-amz-meta-carport-copy-of': 'an older',
    };
    const { run, copy } = await serve({ ...known, ...unknown, 'cache-control': 'max-age=86400, immutable' });
    expect(await run()).toBe(true);
    const mark = { 'x-amz-meta-carport-copy-of': expect.stringMatching(/^[0-9a-f]{64}$/) };
    expect(copy()).toEqual({ ...known, ...mark, 'cache-control': 'no-cache' });
    expect(await run()).toBe(false);
  });

  it('is made again in place of a redirect, of another copy, and of what others have changed', async () => {
    const source = { 'content-type': 'text/plain' };
    const { run, copy, put } = await serve(source);
    await run();
    const made = copy();
    for (const other of [
      { ...made, 'x-amz-website-redirect-location': '/v0/app' },
      { 'x-amz-website-redirect-location': '/v1/app', 'cache-control': 'no-cache' },
      { ...made, 'x-amz-meta-carport-copy-of': '0'.repeat(64) },
      { ...made, 'cache-control': 'max-age=60' },
      { 'cache-control': 'no-cache', ...source },
    ]) {
      put(other);
      expect(await run(), JSON.stringify(other)).toBe(true);
      expect(copy()).toEqual(made);
      expect(await run()).toBe(false);
    }
  });

  it('is not made again where the server keeps no Cache-Control', async () => {
    const { run } = await serve({ 'content-type': 'text/plain' }, ['cache-control']);
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it.each([
    ['another tag', { etag: '"other"' }],
    ['another type', { 'content-type': 'text/html' }],
    ['another note', { 'x-amz-meta-mtime': '2' }],
  ])('is made again of a source with %s', async (_, change) => {
    const source: Record<string, string> = { 'content-type': 'text/plain', 'x-amz-meta-mtime': '1' };
    const { run } = await serve(source);
    expect([await run(), await run()]).toEqual([true, false]);
    Object.assign(source, change);
    expect([await run(), await run()]).toEqual([true, false]);
  });
});
