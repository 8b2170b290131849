import { describe, expect, it } from 'vitest';
import { readPublicAccess, type Shared, setPublic } from '#lib/object-store/s3/public-access.js';
import { type Asked, errorReply, type Reply, useFakeBucket, xml } from '../../../support/fake-bucket.js';

const SHARED: Shared = {
  ...{ directory: 'nix/', sample: 'nix/nix-cache-info' },
  isSample: (bytes) => bytes.toString().startsWith('StoreDir'),
};
const INFO = 'StoreDir: /nix/store\n';
const WEBSITE = xml(
  '<WebsiteConfiguration><IndexDocument><Suffix>x.html</Suffix></IndexDocument></WebsiteConfiguration>',
);
const OF_OTHERS = { Sid: 'others', Effect: 'Deny', Principal: '*', Action: 's3:DeleteObject', Resource: '*' };
const OWN = {
  ...{ Sid: 'CarportPublicRead', Effect: 'Allow', Principal: { AWS: ['*'] }, Action: ['s3:GetObject'] },
  Resource: ['arn:aws:s3:::nix/nix/*'],
};

interface Server {
  /** JSON of the policy that is there. */
  policy?: string | undefined;
  website?: boolean;
  readonly hasPolicies?: boolean;
  readonly hasWebsites?: boolean;
  /** Whether who has no key may read; by default as the policy says. */
  readonly lets?: () => boolean;
}

describe('public access to a bucket', () => {
  const open = useFakeBucket();
  const serve = async (server: Server) => {
    const { hasPolicies = true, hasWebsites = true } = server;
    const lets = server.lets ?? (() => server.policy?.includes('CarportPublicRead') ?? false);
    const isAbout = (what: string, { path }: Asked) => new URL(path, 'http://h').searchParams.has(what);
    const answer = (asked: Asked): Reply => {
      const { method, headers, body } = asked;
      if (isAbout('policy', asked)) {
        if (!hasPolicies) return errorReply(501, 'NotImplemented');
        if (method === 'GET') return server.policy ?? errorReply(404, 'NoSuchBucketPolicy');
        server.policy = method === 'PUT' ? body.toString() : undefined;
        return { status: 204 };
      }
      if (isAbout('website', asked)) {
        if (!hasWebsites)
          return errorReply(
            method === 'GET' ? 404 : 400,
            method === 'GET' ? 'NoSuchWebsiteConfiguration' : 'MalformedXML',
          );
        if (method === 'GET') return server.website ? WEBSITE : errorReply(404, 'NoSuchWebsiteConfiguration');
        server.website = method === 'PUT';
        return { status: 200 };
      }
      return headers.authorization !== undefined || lets() ? INFO : errorReply(403, 'AccessDenied');
    };
    const { store, asked } = await open(answer);
    const changes = () =>
      asked
        .filter(({ method }) => method !== 'GET')
        .map(({ method, path }) => `${method} ${path.split('?')[1]!.split('=')[0]}`);
    return { bucket: store.bucket, changes };
  };

  it('is by policy and website, and seen', async () => {
    const server: Server = {};
    const { bucket, changes } = await serve(server);
    expect(await readPublicAccess(bucket, SHARED)).toEqual({ isPublic: false });
    await setPublic(bucket, SHARED, true);
    expect(changes()).toEqual(['PUT policy', 'PUT website']);
    expect(JSON.parse(server.policy!)).toEqual({ Version: '2012-10-17', Statement: [OWN] });
    const { isPublic, publicUrl } = await readPublicAccess(bucket, SHARED);
    expect([isPublic, publicUrl]).toEqual([true, expect.stringMatching(/^http:.*\/nix\/nix$/)]);
    await setPublic(bucket, SHARED, true);
    expect(changes().length).toBe(2);
    await setPublic(bucket, SHARED, false);
    expect(changes().slice(2)).toEqual(['DELETE policy', 'DELETE website']);
    expect(await readPublicAccess(bucket, SHARED)).toEqual({ isPublic: false });
  });

  it('leaves what others have in the policy, and is of one directory', async () => {
    const statement = { ...OWN, Resource: 'arn:aws:s3:::nix/other/*' };
    const server: Server = { policy: JSON.stringify({ Id: 'x', Statement: [OF_OTHERS, statement] }) };
    const { bucket } = await serve(server);
    await setPublic(bucket, SHARED, true);
    const both = { ...OWN, Resource: ['arn:aws:s3:::nix/other/*', ...OWN.Resource] };
    expect(JSON.parse(server.policy!)).toEqual({ Version: '2012-10-17', Id: 'x', Statement: [OF_OTHERS, both] });
    server.policy = JSON.stringify({ Statement: [OF_OTHERS, OWN] });
    await setPublic(bucket, SHARED, false);
    expect(JSON.parse(server.policy!).Statement).toEqual([OF_OTHERS]);
  });

  it('is by policy alone where there are no websites, and by website alone where there are no policies', async () => {
    const minio = await serve({ hasWebsites: false });
    await setPublic(minio.bucket, SHARED, true);
    expect((await readPublicAccess(minio.bucket, SHARED)).isPublic).toBe(true);
    const garage = await serve({ hasPolicies: false });
    await setPublic(garage.bucket, SHARED, true);
    expect(garage.changes()).toEqual(['PUT website']);
    expect(await readPublicAccess(garage.bucket, SHARED)).toEqual({ isPublic: true });
    const neither = await serve({ hasWebsites: false, hasPolicies: false });
    await expect(setPublic(neither.bucket, SHARED, true)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    expect(await readPublicAccess(neither.bucket, SHARED)).toEqual({ isPublic: false });
  });

  it('is not said to be there, or gone, while it is not', async () => {
    const [blocked, opened] = [await serve({ lets: () => false }), await serve({ lets: () => true })];
    // Both look for some seconds.
    await Promise.all([
      expect(setPublic(blocked.bucket, SHARED, true)).rejects.toMatchObject({
        ...{ code: 'E_REMOTE', hint: expect.stringContaining('Block Public Access') },
      }),
      expect(setPublic(opened.bucket, SHARED, false)).rejects.toMatchObject({
        ...{ code: 'E_REMOTE', message: expect.stringContaining('still lets everybody read') },
      }),
    ]);
    expect(await readPublicAccess(blocked.bucket, SHARED)).toEqual({ isPublic: false });
    expect((await readPublicAccess(opened.bucket, SHARED)).isPublic).toBe(true);
  });
});
