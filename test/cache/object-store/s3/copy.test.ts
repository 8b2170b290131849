import { describe, expect, it } from 'vitest';
import { type Asked, errorReply, type Reply, useFakeBucket, xml } from '../../../support/fake-bucket.js';

const TOO_LARGE = 'The specified copy source is larger than the maximum allowable size for a copy source: 5368709120';

const isProbe = ({ path }: Asked) => /\/\.[0-9a-f]{24}(\?|$)/.test(path);
const copies = (asked: Asked): Reply =>
  isProbe(asked) ? errorReply(404, 'NoSuchKey') : xml('<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>');

describe('a copy within a bucket', () => {
  const open = useFakeBucket();

  it('says so when the object is too large for one request', async () => {
    const { store } = await open(() => errorReply(400, 'InvalidRequest', TOO_LARGE));
    await expect(store.copy!('from', 'to')).rejects.toMatchObject({
      ...{ code: 'E_UNSUPPORTED', message: expect.stringContaining('`from` is too large') },
      hint: expect.stringContaining('5 GiB'),
    });
  });

  it('is refused for another reason as every request is', async () => {
    const { store } = await open(() => errorReply(400, 'InvalidRequest', 'something else'));
    await expect(store.copy!('from', 'to')).rejects.toMatchObject({ code: 'E_REMOTE' });
  });

  it('has failed when a good status has an error in its body', async () => {
    const { store } = await open(() => ({
      body: xml('<Error><Code>InternalError</Code><Message>no</Message></Error>'),
    }));
    await expect(store.copy!('from', 'to')).rejects.toThrow();
  });

  it('names its source percent-encoded, and is put at its target', async () => {
    const { store, asked } = await open(copies);
    await store.copy!('a/b c+ü%', 'to');
    expect(asked.slice(1)).toMatchObject([
      { method: 'PUT', path: '/nix/to?x-id=CopyObject', headers: { 'x-amz-copy-source': 'nix/a/b%20c%2B%C3%BC%25' } },
    ]);
  });

  it('is tried once on what is not there, to a key of nobody beside its target', async () => {
    const { store, asked } = await open(copies);
    for (const to of ['v1/a', 'v1/b', 'a']) await store.copy!('from', to);
    expect(asked.map(({ path }) => path.split('?')[0])).toEqual([
      ...[expect.stringMatching(/^\/nix\/v1\/\.[0-9a-f]{24}$/), '/nix/v1/a', '/nix/v1/b', '/nix/a'],
    ]);
  });

  it.each([
    ['nothing', { status: 200 }],
    ['an ETag, as of an upload', { status: 200, headers: { etag: '"d41d8cd98f00b204e9800998ecf8427e"' } }],
    ['another document', xml('<PutObjectResult><ETag>"x"</ETag></PutObjectResult>')],
    ['no ETag', xml('<CopyObjectResult></CopyObjectResult>')],
    ['a page', '<html></html>'],
    ['that it lacks that', errorReply(501, 'NotImplemented')],
  ])('overwrites nothing on a server that takes it for an upload, and answers with %s', async (_, reply) => {
    const { store, asked } = await open(({ method }) => (method === 'PUT' ? reply : { status: 204 }));
    for (let times = 0; times < 2; times++) {
      await expect(store.copy!('from', 'v1/to')).rejects.toMatchObject({
        ...{ code: 'E_UNSUPPORTED', message: expect.stringContaining('does not copy objects') },
      });
    }
    const written = asked.map(({ method, path }) => [method, path.split('?')[0]]);
    expect(written).toEqual([
      ...['PUT', 'DELETE', 'PUT', 'DELETE'].map((method) => [
        method,
        expect.stringMatching(/^\/nix\/v1\/\.[0-9a-f]{24}$/),
      ]),
    ]);
    // What it wrote is removed.
    expect([written[1]![1], written[3]![1]]).toEqual([written[0]![1], written[2]![1]]);
  });

  it('has failed when its own answer is that of something else', async () => {
    const { store } = await open((asked) => (isProbe(asked) ? copies(asked) : { status: 200 }));
    await expect(store.copy!('from', 'v1/to')).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  });
});
