import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { isMissing, parseRefusal, refusalCodeOf, refusalError } from '#lib/object-store/s3/refusal.js';

const AT = {
  endpoint: new URL('https://s3.example'),
  bucket: 'nix',
  region: 'us-east-1',
  action: 'GET nar/x',
  isProven: false,
};
const DAY = 24 * 60 * 60 * 1000;

/** As Garage 2.5 words it. */
const garage = (code: string, message: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><Resource>/nix/k</Resource><Region>garage</Region></Error>`;
/** As Amazon does. */
const amazon = (code: string, message: string, more = '') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${more}<RequestId>4442587FB7D0A2F9</RequestId><HostId>x</HostId></Error>`;

const GARAGE_SCOPE =
  'Authorization header malformed, unexpected scope: &apos;20261121/us-east-1/s3/aws4_request&apos;, expected: &apos;20261121/garage/s3/aws4_request&apos;';
const AMAZON_SCOPE = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";

interface Case {
  readonly status: number;
  readonly text: string;
  readonly error: string;
  readonly says: string;
  readonly hint: string;
  readonly at?: Partial<typeof AT>;
  /** How far the server's clock is behind. */
  readonly behind?: number;
}

const CASES: Readonly<Record<string, Case>> = {
  "Garage's wrong secret": {
    ...{ status: 403, text: garage('AccessDenied', 'Forbidden: Invalid signature'), error: 'E_CREDENTIALS' },
    ...{ says: 'the secret key is wrong', hint: 'AWS_SECRET_ACCESS_KEY' },
  },
  "Amazon's wrong secret": {
    ...{ status: 403, text: amazon('SignatureDoesNotMatch', 'The request signature we calculated does not match') },
    ...{ error: 'E_CREDENTIALS', says: 'the secret key is wrong', hint: 'AWS_SECRET_ACCESS_KEY' },
  },
  "Garage's unknown key": {
    ...{ status: 403, text: garage('AccessDenied', 'Forbidden: No such key: GK000000000000000000000000') },
    ...{ error: 'E_CREDENTIALS', says: 'does not know the access key', hint: 'AWS_ACCESS_KEY_ID' },
  },
  "Amazon's unknown key": {
    ...{ status: 403, text: amazon('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist') },
    ...{ error: 'E_CREDENTIALS', says: 'does not know the access key', hint: 'AWS_ACCESS_KEY_ID' },
  },
  "Garage's wrong region": {
    ...{ status: 400, text: garage('AuthorizationHeaderMalformed', GARAGE_SCOPE), error: 'E_USAGE' },
    ...{ says: 'in the region `garage`, not in `us-east-1`', hint: 'region=garage' },
  },
  "Amazon's wrong region": {
    ...{ status: 400, text: amazon('AuthorizationHeaderMalformed', AMAZON_SCOPE), error: 'E_USAGE' },
    ...{ says: 'in the region `eu-west-1`, not in `us-east-1`', hint: 'region=eu-west-1' },
  },
  "Amazon's other endpoint": {
    ...{ status: 301, text: amazon('PermanentRedirect', 'The bucket you are attempting to access'), error: 'E_USAGE' },
    ...{ says: 'another region than `us-east-1`', hint: 'region=' },
  },
  "Garage's missing bucket": {
    ...{ status: 404, text: garage('NoSuchBucket', 'Bucket not found: nix'), error: 'E_NOT_FOUND' },
    ...{ says: 'there is no bucket `nix` at `https://s3.example`', hint: 'cache init' },
  },
  "Amazon's missing bucket": {
    ...{ status: 404, text: amazon('NoSuchBucket', 'The specified bucket does not exist'), error: 'E_NOT_FOUND' },
    ...{ says: 'there is no bucket `nix`', hint: 'cache init' },
  },
  "Garage's idea of a clock that is behind": {
    ...{
      status: 400,
      text: garage('InvalidRequest', 'Bad request: Date is too old'),
      error: 'E_REMOTE',
      behind: -DAY * 2,
    },
    ...{ says: "this machine's clock is 2 days behind", hint: 'set the clock' },
  },
  "Amazon's idea of a clock that is ahead": {
    ...{ status: 403, text: amazon('RequestTimeTooSkewed', 'The difference between the request time and') },
    ...{ error: 'E_REMOTE', says: "this machine's clock is 3 hours ahead of", hint: 'set the clock', behind: DAY / 8 },
  },
  'a key that may not read': {
    ...{ status: 403, text: garage('AccessDenied', 'Forbidden: Operation is not allowed for this key.') },
    ...{ error: 'E_CREDENTIALS', says: 'may not read the bucket `nix`', hint: 'garage bucket allow --read nix' },
  },
  'a key that may not write': {
    ...{ status: 403, text: garage('AccessDenied', 'Forbidden: Operation is not allowed for this key.') },
    ...{
      error: 'E_CREDENTIALS',
      says: 'may not write to the bucket',
      hint: '--write nix',
      at: { action: 'PUT nar/x' },
    },
  },
  'a key that may not write, at Amazon': {
    ...{ status: 403, text: amazon('AccessDenied', 'Access Denied'), error: 'E_CREDENTIALS' },
    ...{ says: 'may not write to the bucket', hint: 'policy', at: { action: 'PUT nar/x' } },
  },
  'a key that may not make buckets': {
    ...{ status: 403, text: garage('AccessDenied', 'Forbidden: Access key GK6a is not allowed to create buckets') },
    ...{ error: 'E_CREDENTIALS', says: 'may not make the bucket `nix`', hint: 'garage bucket create nix' },
    at: { action: 'CREATE' },
  },
  'a key that does not own the bucket': {
    ...{ status: 403, text: garage('AccessDenied', 'Forbidden: Operation is not allowed for this key.') },
    ...{ error: 'E_CREDENTIALS', says: 'settings of the bucket', hint: '--owner', at: { action: 'PUT lifecycle' } },
  },
  'a session that is over': {
    ...{ status: 400, text: amazon('ExpiredToken', 'The provided token has expired.'), error: 'E_CREDENTIALS' },
    ...{ says: 'session token', hint: 'new credentials' },
  },
  'a session that never was': {
    ...{ status: 403, text: amazon('InvalidToken', 'The provided token is malformed'), error: 'E_CREDENTIALS' },
    ...{ says: 'session token', hint: 'new credentials' },
  },
  'an upload that is gone': {
    ...{ status: 404, text: garage('NoSuchUpload', 'Upload not found'), error: 'E_NOT_FOUND' },
    ...{ says: 'an upload to `nix` is gone', hint: 'run it again' },
  },
  'a call that Garage does not have': {
    ...{ status: 501, text: garage('NotImplemented', 'Unimplemented action: GetBucketPolicy'), error: 'E_UNSUPPORTED' },
    ...{ says: 'does not have what was asked for (GET nar/x)', hint: 'S3 API' },
  },
  "Garage's website": {
    ...{ status: 404, text: '<title>404 Not Found</title>\n<h1>404 Not Found</h1>', error: 'E_USAGE' },
    ...{ says: 'does not answer as an S3 API', hint: '3900' },
  },
  'another web server': {
    ...{ status: 405, text: '<html><head><title>405 Not Allowed</title></head></html>', error: 'E_USAGE' },
    ...{ says: 'does not answer as an S3 API', hint: '3900' },
  },
  "a proxy's refusal of a server that is an S3 API": {
    ...{ status: 405, text: '<html><head><title>405 Not Allowed</title></head></html>', error: 'E_REMOTE' },
    ...{ says: 'or a proxy before it, refuses PUT nar/x: status 405', hint: 'proxy' },
    at: { action: 'PUT nar/x', isProven: true },
  },
  "a firewall's refusal": {
    ...{ status: 403, text: '<html><title>Blocked</title></html>', error: 'E_CREDENTIALS' },
    ...{ says: 'or a proxy before it, refuses GET nar/x: status 403', hint: 'firewall' },
  },
  'a page to log in at': {
    ...{ status: 511, text: '<html><title>Log in</title></html>', error: 'E_REMOTE' },
    ...{ says: 'or a proxy before it, refuses GET nar/x: status 511', hint: 'proxy' },
  },
  'nothing at all': {
    ...{ status: 400, text: '', error: 'E_USAGE', says: 'does not answer as an S3 API', hint: '3900' },
  },
  'a key that versitygw does not know': {
    ...{ status: 404, text: amazon('XAdminUserNotFound', 'No user exists with the provided access key ID.') },
    ...{ error: 'E_CREDENTIALS', says: 'does not know the access key', hint: 'AWS_ACCESS_KEY_ID' },
  },
  'a key that s3s does not know': {
    ...{ status: 403, text: amazon('NotSignedUp', 'Your account is not signed up'), error: 'E_CREDENTIALS' },
    ...{ says: 'does not know the access key', hint: 'AWS_ACCESS_KEY_ID' },
  },
  'a region that versitygw does not have': {
    ...{
      status: 400,
      text: amazon('AuthorizationHeaderMalformed', 'the region &quot;x&quot; is wrong; expecting &quot;eu-1&quot;'),
    },
    ...{ error: 'E_USAGE', says: 'in the region `eu-1`', hint: 'region=eu-1' },
  },
  'an object that is too large': {
    ...{ status: 400, text: amazon('EntityTooLarge', 'Your proposed upload exceeds'), error: 'E_REMOTE' },
    ...{ says: 'does not take uploads of this size', hint: 'limit' },
  },
  'an upload that is too large for a proxy': {
    ...{ status: 413, text: '<html><head><title>413 Request Entity Too Large</title></head></html>' },
    ...{
      error: 'E_REMOTE',
      says: 'or a proxy before it, does not take uploads of this size',
      hint: 'client_max_body_size',
    },
  },
  'headers that are too large for a proxy': {
    ...{ status: 431, text: '<h1>Request Header Fields Too Large</h1>', error: 'E_REMOTE' },
    ...{ says: 'headers of this size', hint: 'large_client_header_buffers' },
  },
  'a code that nobody knows': {
    ...{ status: 400, text: amazon('NotOfThisWorld', 'Nobody knows'), error: 'E_REMOTE' },
    ...{ says: 'refused: NotOfThisWorld', hint: 'cause' },
  },
};

describe('a refusal', () => {
  it.each(Object.entries(CASES))('is explained: %s', (_, { status, text, error, says, hint, at, behind = 0 }) => {
    const date = new Date(Date.now() - behind).toUTCString();
    const explained = refusalError(parseRefusal(status, text, { date }), { ...AT, ...at });
    expect(explained.code).toBe(error);
    expect(explained.message).toContain(says);
    expect(explained.hint).toContain(hint);
    expect((explained.cause as Error).message).toContain(`${at?.action ?? AT.action}: status ${status}`);
    expect(refusalCodeOf(explained)).toBe(/<Code>(.*)<\/Code>/.exec(text)?.[1]);
  });

  it('keeps what the server says, unescaped', () => {
    const { message } = parseRefusal(400, amazon('X', 'a &lt;b&gt; &amp;amp; &quot;c&quot; &#228;&#xFC;'));
    expect(message).toBe('a <b> &amp; "c" äü');
    for (const digits of ['9'.repeat(400), `x${'f'.repeat(400)}`, '1114112', 'xD800']) {
      expect(parseRefusal(400, garage('X', `&#${digits};`)).code).toBe('X');
    }
  });

  it('says that an object is missing, also when a bucket hides its listing, but not when the key may not read', () => {
    const missing = (status: number, text: string) => isMissing(parseRefusal(status, text));
    expect(missing(404, garage('NoSuchKey', 'Key not found'))).toBe(true);
    expect(missing(404, amazon('NoSuchKey', 'The specified key does not exist.', '<Key>x</Key>'))).toBe(true);
    expect(missing(403, amazon('AccessDenied', 'Access Denied'))).toBe(true);
    expect(missing(403, garage('AccessDenied', 'Forbidden: Operation is not allowed for this key.'))).toBe(false);
    expect(missing(403, garage('AccessDenied', 'Forbidden: No such key: GK00'))).toBe(false);
    expect(missing(403, amazon('SignatureDoesNotMatch', 'x'))).toBe(false);
    const denied = (what: string, why: string) =>
      amazon('AccessDenied', `User: arn:aws:iam::1:user/x is not authorized to perform: ${what} on resource: y ${why}`);
    const [noPolicy, deny] = ['because no identity-based policy allows it', 'with an explicit deny in a policy'];
    expect(missing(403, denied('s3:ListBucket', noPolicy))).toBe(true);
    expect(missing(403, denied('s3:ListBucket', deny))).toBe(true);
    expect(missing(403, denied('s3:GetObject', noPolicy))).toBe(false);
    expect(missing(403, denied('s3:GetObject', deny))).toBe(false);
    expect(missing(403, amazon('AccessDenied', 'Access denied by an explicit deny'))).toBe(false);
    expect(missing(404, garage('NoSuchBucket', 'Bucket not found: nix'))).toBe(false);
    expect(missing(404, '<title>404 Not Found</title>')).toBe(false);
    expect(missing(400, garage('AccessDenied', ''))).toBe(false);
  });

  it('does not make a region of what is none', () => {
    for (const expected of ["expecting 'x y'", "expected: '20261121/&lt;b&gt;/s3/x'", "expecting ''", 'no']) {
      const refusal = parseRefusal(400, garage('AuthorizationHeaderMalformed', expected));
      expect(refusalError(refusal, AT).message).toBe('`https://s3.example` refused: AuthorizationHeaderMalformed');
    }
  });

  it("names the bucket's region where the server tells it", () => {
    const hintOf = (status: number, text: string, region: string) =>
      refusalError(parseRefusal(status, text, { 'x-amz-bucket-region': region }), AT).hint;
    const redirect = amazon('PermanentRedirect', 'The bucket you are attempting to access');
    expect(hintOf(301, redirect, 'eu-north-1')).toContain('`region=eu-north-1`');
    expect(hintOf(307, amazon('TemporaryRedirect', 'x'), 'eu-north-1')).toContain('`region=eu-north-1`');
    expect(hintOf(400, '', 'eu-north-1'), 'of HEAD').toContain('`region=eu-north-1`');
    expect(hintOf(400, '', 'us-east-1')).not.toContain('region=');
    expect(hintOf(301, redirect, 'x y`\n')).toContain("the bucket's `region=`");
  });

  it('is read in a time that grows with its length, whatever it has', () => {
    const started = performance.now();
    const pieces = [
      '<Message>',
      '<Error><Code>',
      '<title>',
      '&#',
      '&#x0',
      '&#0',
      '&amp',
      "expected '",
      'expecting',
      ' \n',
    ];
    for (const piece of [...pieces, ' ', "'", 'UnknownError: ', 'not authorized to perform: s3:', '/']) {
      const text = piece.repeat(64_000 / piece.length);
      for (const body of [text, `<Error><Code>AuthorizationHeaderMalformed</Code><Message>${text}</Message></Error>`]) {
        const refusal = parseRefusal(400, body);
        isMissing({ ...refusal, status: 403, code: 'AccessDenied', message: text });
        refusalError({ ...refusal, code: 'AuthorizationHeaderMalformed', message: text }, AT);
      }
    }
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  it('is an error of ours, whatever the server says', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.tuple(fc.string(), fc.string({ unit: 'binary' })).map(([code, message]) => garage(code, message)),
      fc.stringMatching(/^&#x?[0-9a-f]{1,400};$/).map((message) => garage('X', message)),
    );
    const status = fc.integer({ min: 300, max: 599 });
    fc.assert(
      fc.property(status, text, fc.option(fc.string(), { nil: undefined }), (code, body, date) => {
        const refusal = parseRefusal(code, body, { date, 'x-amz-bucket-region': date });
        isMissing(refusal);
        expect(refusalError(refusal, AT)).toBeInstanceOf(CarportError);
      }),
    );
  });
});
