import { CarportError } from '../../../lib/errors.js';

/** What an S3 server says when it refuses. */
export interface Refusal {
  readonly status: number;
  /** S3's own code, such as `NoSuchBucket`; `undefined` when the answer is not one of an S3 API. */
  readonly code: string | undefined;
  readonly message: string;
  /** The server's clock. */
  readonly date: string | undefined;
}

/** A refusal as the cause of an error. */
class RefusalError extends Error {
  readonly code: string | undefined;

  constructor(action: string, { status, code, message }: Refusal) {
    super(`${action}: status ${status}${code ? ` ${code}` : ''}${message ? `: ${message}` : ''}`);
    this.code = code;
  }
}

/** S3's code of the refusal that an error is about. */
export function refusalCodeOf(error: unknown): string | undefined {
  const cause = error instanceof CarportError ? error.cause : undefined;
  return cause instanceof RefusalError ? cause.code : undefined;
}

/** Where a refused request was sent, for the message. */
export interface RefusedAt {
  /** As it was given, without the bucket. */
  readonly endpoint: URL;
  readonly bucket: string;
  readonly region: string;
  /** What was asked for, such as `PUT nar/x.nar`. */
  readonly action: string;
}

/** Reads the XML of an S3 error. */
export function parseRefusal(status: number, text: string, date: string | undefined): Refusal {
  const field = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  const code = /<Error\b/.test(text) ? field('Code') : undefined;
  return { status, code, message: unescapeXml(field('Message') ?? ''), date };
}

/** True when the object is not there. A bucket that hides its listing says so with a plain `AccessDenied`. */
export function isMissing({ status, code, message }: Refusal): boolean {
  if (code === 'NoSuchKey') return true;
  return status === 403 && code === 'AccessDenied' && !/^Forbidden: /.test(message);
}

/** Beyond this, servers refuse a signature (Amazon at 15 minutes, Garage at two hours). */
const CLOCK_SKEW_MS = 15 * 60 * 1000;

/** The refusal as an error that says what to do. */
export function refusalError(refusal: Refusal, at: RefusedAt): CarportError {
  const { status, code, message } = refusal;
  const { endpoint, bucket, region } = at;
  const cause = new RefusalError(at.action, refusal);
  const error = (kind: ConstructorParameters<typeof CarportError>[0], text: string, hint: string) =>
    new CarportError(kind, text, { cause, hint });
  const server = `${endpoint.protocol}//${endpoint.host}`;

  const skew = clockSkew(refusal);
  if (skew !== undefined && (code === 'RequestTimeTooSkewed' || /date is too|expired|skew/i.test(message))) {
    const [amount, direction] = [duration(Math.abs(skew)), skew > 0 ? 'ahead of' : 'behind'];
    return error(
      'E_REMOTE',
      `this machine's clock is ${amount} ${direction} that of \`${server}\``,
      'set the clock and run it again',
    );
  }
  const wanted = expectedRegion(message);
  if (code === 'AuthorizationHeaderMalformed' && wanted !== undefined) {
    return error(
      'E_USAGE',
      `the bucket is in the region \`${wanted}\`, not in \`${region}\``,
      `write \`region=${wanted}\` into the cache's URL`,
    );
  }
  if (code === 'PermanentRedirect' || code === 'TemporaryRedirect' || status === 301) {
    return error(
      'E_USAGE',
      `\`${bucket}\` is in another region than \`${region}\``,
      "write the bucket's `region=` into the cache's URL",
    );
  }
  if (code === 'NoSuchBucket' && endpoint.pathname !== '/') {
    const text = `\`${endpoint.href}\` has a path, which the server takes for a bucket`;
    return error('E_USAGE', text, `write \`endpoint=${server}\`: the bucket is the host of \`s3://${bucket}\``);
  }
  if (code === 'NoSuchBucket') {
    return error(
      'E_NOT_FOUND',
      `there is no bucket \`${bucket}\` at \`${server}\``,
      'check the name; `carport cache init` makes a bucket where your key may',
    );
  }
  if (code === 'NoSuchUpload') {
    return error('E_NOT_FOUND', `an upload to \`${bucket}\` is gone`, 'somebody else removed it: run it again');
  }
  if (code === 'InvalidAccessKeyId' || /no such key/i.test(message)) {
    return error(
      'E_CREDENTIALS',
      `\`${server}\` does not know the access key`,
      'check AWS_ACCESS_KEY_ID or the profile, and that the endpoint is the one of that key',
    );
  }
  if (code === 'SignatureDoesNotMatch' || /invalid signature/i.test(message)) {
    return error(
      'E_CREDENTIALS',
      `\`${server}\` says that the secret key is wrong`,
      'check AWS_SECRET_ACCESS_KEY or the profile: it is not the secret of that access key',
    );
  }
  if (code === 'ExpiredToken' || code === 'InvalidToken') {
    return error(
      'E_CREDENTIALS',
      `\`${server}\` says that the session token is not valid any more`,
      'get new credentials and run it again',
    );
  }
  if (status === 401 || status === 403) {
    return error(
      'E_CREDENTIALS',
      `the access key may not do this in \`${bucket}\` (${at.action})`,
      `let it: \`garage bucket allow --read --write ${bucket} --key KEY\`, or the policy of the bucket`,
    );
  }
  if (code === undefined) {
    return error(
      'E_USAGE',
      `\`${server}\` does not answer as an S3 API`,
      'the endpoint is the S3 API (port 3900 of Garage), not the website (port 3902), which is for `http://` caches',
    );
  }
  if (status === 501 || code === 'NotImplemented') {
    return error(
      'E_UNSUPPORTED',
      `\`${server}\` does not have what was asked for (${at.action})`,
      'the server lacks a part of the S3 API',
    );
  }
  return error('E_REMOTE', `\`${server}\` refused: ${code}`, 'the cause has what the server says');
}

/** `undefined` when the clocks agree or the server does not tell. */
function clockSkew({ date }: Refusal): number | undefined {
  const skew = Date.now() - Date.parse(date ?? '');
  return Math.abs(skew) > CLOCK_SKEW_MS ? skew : undefined;
}

function duration(ms: number): string {
  const hours = Math.round(ms / 3_600_000);
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  return hours >= 2 ? `${hours} hours` : `${Math.round(ms / 60_000)} minutes`;
}

/** Out of Amazon's `expecting 'eu-west-1'` and Garage's `expected: '20260101/garage/s3/aws4_request'`. */
function expectedRegion(message: string): string | undefined {
  const expected = /expect(?:ing|ed):? '([^']*)'/.exec(message)?.[1];
  const region = expected?.includes('/') ? expected.split('/').at(-3) : expected;
  return region !== undefined && /^[A-Za-z0-9_-]+$/.test(region) ? region : undefined;
}

function unescapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text
    .replace(/&#(x[0-9a-f]+|[0-9]+);/gi, (_, number: string) => String.fromCodePoint(Number(`0${number}`) % 0x110000))
    .replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => entities[name]!);
}
