import { CreateMultipartUploadCommand, PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { abortOldUploads, ensureBucket, readBucketSettings } from '#lib/object-store/s3/bucket-settings.js';
import { removeUploads } from '#lib/object-store/s3/parts/uploads.js';
import { type Shared, setPublic } from '#lib/object-store/s3/public-access.js';
import type { S3Store } from '#lib/object-store/s3.js';
import { type Asked, errorReply, type Reply, useFakeBucket, xml } from '../../../support/fake-bucket.js';
import { describeWithGarage, useGarage } from '../../../support/garage.js';
import { useStores } from '../../../support/stores.js';

const sharedIn = (directory: string): Shared => ({
  ...{ directory, sample: `${directory}nix-cache-info` },
  isSample: (bytes) => bytes.toString().startsWith('StoreDir'),
});
const ALL = sharedIn('');

describe('the settings of a bucket, as servers answer', () => {
  const open = useFakeBucket();
  const isAbout = (what: string, { path }: Asked) => new URL(path, 'http://h').searchParams.has(what);

  const readWith = async (rules: string, prefix = '') => {
    const lifecycle = xml(`<LifecycleConfiguration>${rules}</LifecycleConfiguration>`);
    const { store } = await open((asked) =>
      isAbout('lifecycle', asked) ? lifecycle : errorReply(404, 'NoSuchWebsiteConfiguration'),
    );
    return (await readBucketSettings(store.bucket, sharedIn(prefix))).abortUploadsAfterDays;
  };
  const rule = (days: number, filter = '<Filter><Prefix></Prefix></Filter>', status = 'Enabled') =>
    `<Rule><ID>r${days}</ID><Status>${status}</Status>${filter}<AbortIncompleteMultipartUpload>` +
    `<DaysAfterInitiation>${days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>`;
  const under = (prefix: string) => `<Filter><Prefix>${prefix}</Prefix></Filter>`;

  it.each([
    ['the earliest rule', rule(7) + rule(3) + rule(9), 3],
    ['no rule that is off', rule(7) + rule(3, undefined, 'Disabled'), 7],
    ['no rule for a part of it', rule(7) + rule(3, under('tmp/')), 7],
    ['an old rule', rule(7, '<Prefix></Prefix>') + rule(3, '<Prefix>tmp/</Prefix>'), 7],
    ['a rule without a filter', rule(5, '<Filter></Filter>') + rule(7), 5],
    [
      'no rule for certain sizes',
      rule(2, '<Filter><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></Filter>') + rule(7),
      7,
    ],
    ['nothing', rule(3, under('tmp/')), 0],
  ])('count %s for uploads', async (_, rules, days) => {
    expect(await readWith(rules)).toBe(days);
  });

  it("count rules for the cache's own directory", async () => {
    expect(await readWith(rule(7) + rule(3, under('a/')), 'a/b/')).toBe(3);
    expect(await readWith(rule(7) + rule(3, under('a/b/c/')), 'a/b/')).toBe(7);
  });

  const WEBSITE = xml(
    '<WebsiteConfiguration><IndexDocument><Suffix>x.html</Suffix></IndexDocument></WebsiteConfiguration>',
  );
  const NO_WEBSITE = errorReply(404, 'NoSuchWebsiteConfiguration');
  const NO_RULES = errorReply(404, 'NoSuchLifecycleConfiguration');
  const methods = (asked: readonly Asked[]) => asked.map(({ method }) => method);

  it('do not change a website that is there, or that is not', async () => {
    for (const [answer, isPublic] of [
      [WEBSITE, true],
      [NO_WEBSITE, false],
      [{ status: 204 }, false],
    ] as const) {
      const { store, asked } = await open(() => answer);
      await setPublic(store.bucket, ALL, isPublic);
      expect(new Set(methods(asked))).toEqual(new Set(['GET']));
    }
  });

  it('change a website once, and look at what came of it', async () => {
    for (const isPublic of [true, false]) {
      let isThere = !isPublic;
      const { store, asked } = await open(({ method }) => {
        if (method !== 'GET') isThere = method === 'PUT';
        return method === 'GET' ? (isThere ? WEBSITE : { status: 204 }) : { status: 200 };
      });
      await setPublic(store.bucket, ALL, isPublic);
      expect(methods(asked)).toEqual(['GET', 'GET', isPublic ? 'PUT' : 'DELETE', 'GET']);
    }
  });

  it.each([200, 204])('are not said to be changed by a server that answers %d and changes nothing', async (status) => {
    for (const isPublic of [true, false]) {
      const { store } = await open(({ method }) => (method === 'GET' ? (isPublic ? NO_WEBSITE : WEBSITE) : { status }));
      await expect(setPublic(store.bucket, ALL, isPublic)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    }
  });

  it.each(['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'])(
    'cannot be changed where that is taken for the creation of the bucket (%s)',
    async (code) => {
      const { store } = await open(({ method }) => (method === 'GET' ? NO_WEBSITE : errorReply(409, code)));
      await expect(setPublic(store.bucket, ALL, true)).rejects.toMatchObject({
        ...{ code: 'E_UNSUPPORTED', message: expect.stringContaining('does not serve `nix` as a website') },
      });
    },
  );

  const OTHERS = {
    'the list of objects': xml(
      '<ListBucketResult><Name>nix</Name><IndexDocument><Suffix>x</Suffix></IndexDocument></ListBucketResult>',
    ),
    'the list of objects, without a declaration':
      '<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>',
    nothing: { status: 200 },
    'a page': '<!doctype html><html><body>It works!</body></html>',
    'its name': 'nix\n',
    'a bare 404': { status: 404, body: 'not found' },
    'a bare 405': { status: 405 },
    501: errorReply(501, 'NotImplemented'),
    'another code of a 404': errorReply(404, 'NoSuchKey'),
    'no such configuration, of something else': errorReply(404, 'NoSuchConfiguration'),
    'no such bucket': errorReply(404, 'NoSuchBucket'),
    'a refusal': errorReply(403, 'AccessDenied'),
    'an error of 200': xml('<Error><Code>MethodNotAllowed</Code><Message>no</Message></Error>'),
    400: errorReply(400, 'InvalidRequest'),
  } satisfies Record<string, Reply>;

  it.each(Object.entries(OTHERS))('are left alone by a server that answers as others do: %s', async (_, answer) => {
    const { store, asked } = await open(() => answer);
    await expect(setPublic(store.bucket, ALL, true)).rejects.toMatchObject({ name: 'CarportError' });
    await expect(setPublic(store.bucket, ALL, false)).rejects.toMatchObject({ name: 'CarportError' });
    expect(await abortOldUploads(store.bucket)).toMatchObject({ name: 'CarportError' });
    const unknown = { abortUploadsAfterDays: null, expiresObjects: null, isPublic: null };
    expect(await readBucketSettings(store.bucket, ALL)).toEqual(unknown);
    expect([...new Set(methods(asked))]).toEqual(['GET']);
  });

  it('are left alone by a server that is in trouble', async () => {
    const { store, asked } = await open(() => errorReply(503, 'SlowDown'), { patienceMs: 0 });
    await expect(setPublic(store.bucket, ALL, false)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    await expect(abortOldUploads(store.bucket)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    await expect(ensureBucket(store.bucket)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    expect([...new Set(methods(asked))]).toEqual(['GET']);
  });

  it('get the rule for uploads beside others, once', async () => {
    let rules: string | undefined;
    const { store, asked } = await open(({ method, body }) => {
      if (method === 'PUT') rules = body.toString();
      return method === 'PUT' ? { status: 200 } : (rules ?? NO_RULES);
    });
    expect(await abortOldUploads(store.bucket)).toBe(undefined);
    expect(methods(asked)).toEqual(['GET', 'PUT', 'GET']);
    expect(await abortOldUploads(store.bucket)).toBe(undefined);
    expect(methods(asked)).toEqual(['GET', 'PUT', 'GET', 'GET']);
  });

  it('have no rule for uploads where a server takes it and drops it, or takes it for the creation of the bucket', async () => {
    for (const reply of [{ status: 200 }, errorReply(409, 'BucketAlreadyExists'), errorReply(400, 'InvalidArgument')]) {
      const { store } = await open(({ method }) => (method === 'GET' ? NO_RULES : reply));
      expect(await abortOldUploads(store.bucket)).toMatchObject({ name: 'CarportError' });
    }
  });

  it.each([
    ['no such bucket', errorReply(404, 'NoSuchBucket'), true],
    ["s3s-fs's word for it", errorReply(404, 'NoSuchKey'), true],
    ['a list', xml('<ListBucketResult><Name>nix</Name></ListBucketResult>'), false],
    ['that the key may not look', errorReply(403, 'AccessDenied', 'Access Denied'), false],
    ['that the key is wrong', errorReply(403, 'SignatureDoesNotMatch'), 'E_CREDENTIALS'],
    [
      "that the key is wrong, in Garage's words",
      errorReply(403, 'AccessDenied', 'Forbidden: Invalid signature'),
      'E_CREDENTIALS',
    ],
    ['a page', '<html></html>', 'E_USAGE'],
    ['nothing of S3', { status: 404, body: 'not found' }, 'E_USAGE'],
    ['that it is elsewhere', errorReply(301, 'PermanentRedirect'), 'E_USAGE'],
  ] as const)('come with a bucket, which is made only where it is not there: %s', async (_, reply, wanted) => {
    const { store, asked } = await open(({ method }) => (method === 'GET' ? reply : { status: 200 }));
    if (typeof wanted === 'string') await expect(ensureBucket(store.bucket)).rejects.toMatchObject({ code: wanted });
    else expect(await ensureBucket(store.bucket)).toBe(wanted);
    expect(methods(asked)).toEqual(wanted === true ? ['GET', 'PUT'] : ['GET']);
  });

  const uploads = (ids: readonly string[], next?: readonly [key: string, id: string]) => {
    const each = ids.map((id) => `<Upload><Key>k</Key><UploadId>${id}</UploadId></Upload>`).join('');
    const more = next && `<NextKeyMarker>${next[0]}</NextKeyMarker><NextUploadIdMarker>${next[1]}</NextUploadIdMarker>`;
    return xml(
      `<ListMultipartUploadsResult><IsTruncated>${next !== undefined}</IsTruncated>${more ?? ''}${each}</ListMultipartUploadsResult>`,
    );
  };

  it('do not tell of uploads, of which some are gone before they are removed', async () => {
    const pages = [uploads(['a', 'b'], ['k', 'b']), uploads(['c'])];
    const { store, asked } = await open((each) => {
      if (each.method === 'GET') return pages.shift()!;
      return each.path.includes('uploadId=b') ? errorReply(404, 'NoSuchUpload') : { status: 204 };
    });
    expect(await removeUploads(store.bucket, '')).toBe(2);
    expect(asked.filter(({ method }) => method === 'DELETE').length).toBe(3);
  });

  it.each([
    ['other keys', '<Upload><Key>other/k</Key><UploadId>a</UploadId></Upload>'],
    ['no key', '<Upload><Key></Key><UploadId>a</UploadId></Upload><Upload><UploadId>b</UploadId></Upload>'],
    ['no id', '<Upload><Key>nar/k</Key><UploadId></UploadId></Upload><Upload><Key>nar/k</Key></Upload>'],
  ])('do not tell of uploads: of %s none is removed', async (_, each) => {
    const list = xml(`<ListMultipartUploadsResult>${each}</ListMultipartUploadsResult>`);
    const { store, asked } = await open(() => list);
    expect(await removeUploads(store.bucket, 'nar/')).toBe(0);
    expect([...new Set(methods(asked))]).toEqual(['GET']);
  });

  it('do not tell of uploads, which MinIO lists by their whole key or without any', async () => {
    const list = (keys: readonly string[]) =>
      xml(
        `<ListMultipartUploadsResult>${keys.map((key) => `<Upload><Key>${key}</Key><UploadId>x</UploadId></Upload>`).join('')}</ListMultipartUploadsResult>`,
      );
    const { store, asked } = await open(({ method, path }) => {
      if (method !== 'GET') return { status: 204 };
      return list(path.includes('prefix=') ? [] : ['nar/a', 'other/b', 'nar/c']);
    });
    expect(await removeUploads(store.bucket, 'nar/')).toBe(2);
    const removed = asked.filter(({ method }) => method === 'DELETE').map(({ path }) => path.split('?')[0]);
    expect(removed).toEqual(['/nix/nar/a', '/nix/nar/c']);
    const narrow = await open(({ path }) =>
      path.includes('prefix=') ? list([]) : errorReply(403, 'AccessDenied', 'Access Denied'),
    );
    expect(await removeUploads(narrow.store.bucket, 'nar/')).toBe(0);
  });

  it('do not tell of uploads, which a server may not know of', async () => {
    const objects = xml('<ListBucketResult><Upload><Key>nar/k</Key><UploadId>a</UploadId></Upload></ListBucketResult>');
    const { store, asked } = await open(() => objects);
    await expect(removeUploads(store.bucket, 'nar/')).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    expect(methods(asked)).toEqual(['GET']);
    const none = await open(() => errorReply(404, 'NoSuchUpload'));
    expect(await removeUploads(none.store.bucket, 'nar/')).toBe(0);
  });

  it('do not tell of uploads, of which the list has to end', async () => {
    const { store } = await open(({ method }) => (method === 'GET' ? uploads([], ['k', 'x']) : { status: 204 }));
    await expect(removeUploads(store.bucket, '')).rejects.toMatchObject({ code: 'E_REMOTE' });
  });
});

describeWithGarage('the settings of a bucket', () => {
  const garage = useGarage();
  const stores = useStores();
  const open = async (name: string, env = garage().env) => {
    const { objects } = (await stores()).open(garage().url(name), { env });
    return (objects as S3Store).bucket;
  };

  it('of a new bucket are none', async () => {
    const bucket = await open(await garage().freshBucket());
    expect(await readBucketSettings(bucket, ALL)).toEqual({
      ...{ abortUploadsAfterDays: 0, expiresObjects: false, isPublic: false },
    });
  });

  it('are set once, beside what others set', async () => {
    const bucket = await open(await garage().freshBucket());
    const Rules = [{ ID: 'other', Status: 'Enabled', Filter: { Prefix: 'tmp/' }, Expiration: { Days: 3 } }] as const;
    await bucket.run('PUT lifecycle', (client, Bucket) =>
      client.send(
        new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [...Rules] } }),
      ),
    );
    expect((await readBucketSettings(bucket, ALL)).expiresObjects).toBe(true);
    expect(await abortOldUploads(bucket)).toBe(undefined);
    expect(await abortOldUploads(bucket)).toBe(undefined);
    expect(await readBucketSettings(bucket, ALL)).toMatchObject({ abortUploadsAfterDays: 7, expiresObjects: true });
  });

  it('make it public, and not', async () => {
    const bucket = await open(await garage().freshBucket());
    await setPublic(bucket, ALL, true);
    await setPublic(bucket, ALL, true);
    expect((await readBucketSettings(bucket, ALL)).isPublic).toBe(true);
    await setPublic(bucket, ALL, false);
    expect((await readBucketSettings(bucket, ALL)).isPublic).toBe(false);
  });

  it('are unknown to a key that may only read', async () => {
    const name = await garage().freshBucket();
    const { accessKeyId, secretAccessKey } = await garage().createKey('reader', { bucket: name, read: true });
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const bucket = await open(name, env);
    expect(await abortOldUploads(bucket)).toMatchObject({ code: 'E_CREDENTIALS' });
    await expect(setPublic(bucket, ALL, true)).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
    expect(await ensureBucket(bucket)).toBe(false);
  });

  it('come with the bucket, which is made where it is missing', async () => {
    const bucket = await open(`new-${Date.now()}`);
    expect(await ensureBucket(bucket)).toBe(true);
    expect(await ensureBucket(bucket)).toBe(false);
  });

  it('do not tell of uploads, which are removed below a prefix', async () => {
    const bucket = await open(await garage().freshBucket());
    for (const Key of ['nar/a', 'nar/b', 'other']) {
      await bucket.run('upload', (client, Bucket) => client.send(new CreateMultipartUploadCommand({ Bucket, Key })));
    }
    expect(await removeUploads(bucket, 'nar/')).toBe(2);
    expect(await removeUploads(bucket, '')).toBe(1);
    expect(await removeUploads(bucket, '')).toBe(0);
  });
});
