import { describe, expect, it } from 'vitest';
import { errorReply, useFakeBucket, xml } from '../../../support/fake-bucket.js';

const TOO_LARGE = 'The specified copy source is larger than the maximum allowable size for a copy source: 5368709120';

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
    const { store, asked } = await open(() => xml('<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>'));
    await store.copy!('a/b c+ü%', 'to');
    expect(asked).toMatchObject([
      { method: 'PUT', path: '/nix/to?x-id=CopyObject', headers: { 'x-amz-copy-source': 'nix/a/b%20c%2B%C3%BC%25' } },
    ]);
  });
});
