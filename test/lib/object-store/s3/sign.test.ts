import { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalQuery, encodePath } from '#lib/http/encode.js';
import type { HttpRequest } from '#lib/http/transport.js';
import { type Credentials, createSigner, signedHeaders } from '#lib/object-store/s3/sign.js';
import { fakeTransport } from '../../../support/transports.js';

/** Of the examples in Amazon's documentation. */
const EXAMPLE: Credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const EXAMPLE_DATE = new Date('2013-05-24T00:00:00Z');

describe('a signature', () => {
  it.each([
    ['lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])("is that of Amazon's example ?%s", (query, signature) => {
    const url = new URL(`https://examplebucket.s3.amazonaws.com/?${query}`);
    const { authorization } = signedHeaders({ method: 'GET', url, headers: {} }, EXAMPLE, 'us-east-1', EXAMPLE_DATE);
    expect(authorization).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
        `SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${signature}`,
    );
  });

  it("is that of the AWS SDK's own signer, whatever the request is", async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 12 });
    const part = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
      .filter((each) => !/^\.{1,2}$|\//.test(each));
    const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    // An object of the SDK cannot have that name as its own.
    const query = fc.dictionary(
      part.filter((name) => name !== '__proto__'),
      text,
      { maxKeys: 4 },
    );
    const value = fc.stringMatching(/^[!-~]([ -~]{0,10}[!-~])?$/);
    const headers = fc.dictionary(
      fc.constantFrom('content-type', 'content-md5', 'x-amz-storage-class', 'x-amz-meta-x'),
      value,
    );
    const secret = fc.record(
      { accessKeyId: fc.stringMatching(/^[A-Z0-9]{5,20}$/), secretAccessKey: value, sessionToken: value },
      { requiredKeys: ['accessKeyId', 'secretAccessKey'] },
    );
    const host = fc.constantFrom('localhost:3900', 'nix.s3.example.org', '[::1]:80');
    const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE');
    const date = fc.date({ min: new Date(0), max: new Date('2099-12-31'), noInvalidDate: true });
    const body = fc.constantFrom(undefined, Buffer.from('bytes'), { size: 3, open: () => (async function* () {})() });
    const request = fc.record({ host, method, key, query, headers, body, date, secret });
    const region = 'garage';
    await fc.assert(
      fc.asyncProperty(request, async ({ host, method, key, query, headers, body, date, secret }) => {
        const url = new URL(`http://${host}/${encodePath(key)}`);
        url.search = new URLSearchParams(query).toString();
        const ours: HttpRequest = { method, url, headers, ...(body && { body }) };
        const signed = signedHeaders(ours, secret as Credentials, region, date);
        const theirs = await signBySdk(ours, query, secret as Credentials, region, date, signed);
        expect(signed.authorization).toBe(theirs);
      }),
      { numRuns: 300 },
    );
  });

  it('sorts names before their values', () => {
    const query = { marker: 'z', 'marker-2': 'b', 'marker=': 'c', a: '' };
    expect(canonicalQuery(Object.entries(query))).toBe('a=&marker=z&marker%3D=c&marker-2=b');
  });

  it('is made anew for each try, of the credentials and the time that are then', async () => {
    const { send, sent } = fakeTransport([{}]);
    const tokens = ['one', 'two'];
    const times = [new Date('2026-01-01T00:00:00Z'), new Date('2026-01-02T03:04:05.678Z')];
    const sign = createSigner(
      'garage',
      async () => ({ ...EXAMPLE, sessionToken: tokens.shift()! }),
      () => times.shift()!,
    );
    const signing = sign(send);
    const request: HttpRequest = { method: 'GET', url: new URL('http://h/b/k'), headers: { range: 'bytes=1-' } };
    await signing(request);
    await signing(request);
    expect(sent.map(({ headers }) => [headers['x-amz-date'], headers['x-amz-security-token'], headers.range])).toEqual([
      ['20260101T000000Z', 'one', 'bytes=1-'],
      ['20260102T030405Z', 'two', 'bytes=1-'],
    ]);
    expect(request.headers).toEqual({ range: 'bytes=1-' });
    expect(sent[1]!.headers.authorization).toContain('/20260102/garage/s3/aws4_request');
  });

  it('guards a body that has no MD5 by its hash', () => {
    const request: HttpRequest = { method: 'POST', url: new URL('http://h/'), headers: {}, body: Buffer.from('abc') };
    const hashOf = (headers: Readonly<Record<string, string>>) =>
      signedHeaders({ ...request, headers }, EXAMPLE, 'x', EXAMPLE_DATE)['x-amz-content-sha256'];
    expect(hashOf({})).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(hashOf({ 'content-md5': 'kAFQmDzST7DWlj99KOF/cg==' })).toBe('UNSIGNED-PAYLOAD');
  });

  it('does not hold the secret', () => {
    const headers = signedHeaders({ method: 'GET', url: new URL('http://h/'), headers: {} }, EXAMPLE, 'x', new Date());
    expect(JSON.stringify(headers)).not.toContain(EXAMPLE.secretAccessKey);
  });
});

async function signBySdk(
  { method, url, headers }: HttpRequest,
  query: Readonly<Record<string, string>>,
  credentials: Credentials,
  region: string,
  signingDate: Date,
  signed: Readonly<Record<string, string>>,
): Promise<string> {
  const client = new S3Client({ region, credentials });
  const signer = await client.config.signer({
    name: 'sigv4',
    ...{ signingName: 's3', signingRegion: region, properties: {} },
  } as never);
  const request = {
    ...{ method, protocol: url.protocol, hostname: url.hostname, path: url.pathname, query: { ...query } },
    headers: { ...headers, host: url.host, 'x-amz-content-sha256': signed['x-amz-content-sha256']! },
  };
  const done = (await signer.sign(request as never, { signingDate })) as unknown as { headers: Record<string, string> };
  return done.headers.authorization!;
}
