/** What a server says when it refuses, in words. */

import { CarportError, type ErrorCode } from '../../errors.js';
import { explainLimit, explainMissingTls } from '../../http/failure.js';

const REGION = /^[A-Za-z0-9_-]{1,64}$/;

/** What an S3 server says when it refuses. */
export interface Refusal {
  readonly status: number;
  /** S3's own code, such as `NoSuchBucket`; `undefined` when the answer is not one of an S3 API. */
  readonly code: string | undefined;
  readonly message: string;
  /** The server's clock. */
  readonly date: string | undefined;
  /** Where Amazon says that the bucket is. */
  readonly region: string | undefined;
}

/** What of an answer's head matters. */
export interface RefusalHeaders {
  readonly date?: string | undefined;
  readonly 'x-amz-bucket-region'?: string | string[] | undefined;
}

/** A refusal as the cause of an error. */
class RefusalError extends Error {
  readonly code: string | undefined;
  readonly refusal: Refusal;

  constructor(action: string, refusal: Refusal) {
    const { status, code, message } = refusal;
    super(`${action}: status ${status}${code ? ` ${code}` : ''}${message ? `: ${message}` : ''}`);
    this.code = code;
    this.refusal = refusal;
  }
}

/** True for an error that is a server's answer. */
export function isRefusal(error: unknown): error is CarportError {
  return error instanceof CarportError && error.cause instanceof RefusalError;
}

/** True for the refusal of a listing by a bucket that may well be there. */
export function hidesListing(error: unknown): boolean {
  return (
    isRefusal(error) && refusalCodeOf(error) === 'AccessDenied' && isMissing((error.cause as RefusalError).refusal)
  );
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
  /** Whether another answer has shown that it is an S3 API. */
  readonly isProven: boolean;
}

/** Reads the XML of an S3 error. Of the page of another server its title is the message. */
export function parseRefusal(status: number, text: string, headers: RefusalHeaders = {}): Refusal {
  const field = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`, 'i').exec(text)?.[1];
  const head = { status, ...refusalHead(headers) };
  if (/<Error\b/.test(text)) return { ...head, code: field('Code'), message: unescapeXml(field('Message') ?? '') };
  const message = unescapeXml(field('title') ?? (/[<>\n]/.test(text.trim()) ? '' : text.trim())).slice(0, 200);
  return { ...head, code: undefined, message };
}

export function refusalHead({ date, ...headers }: RefusalHeaders): Pick<Refusal, 'date' | 'region'> {
  const region = String(headers['x-amz-bucket-region'] ?? '');
  return { date, region: REGION.test(region) ? region : undefined };
}

/**
 * True when the object is not there. Amazon says to whom may not list the bucket that it is the listing that is denied,
 * or nothing but `Access Denied`.
 */
export function isMissing({ status, code, message }: Refusal): boolean {
  // Of a key that is longer than keys may be, versitygw says so.
  if (code === 'NoSuchKey' || code === 'KeyTooLongError') return true;
  if (status !== 403 || code !== 'AccessDenied') return false;
  const denied = /not authorized to perform: (s3:[A-Za-z]+)/.exec(message)?.[1];
  return denied === undefined ? !/^Forbidden: |explicit deny/.test(message) : denied === 's3:ListBucket';
}

/** The refusal as an error that says what to do. */
export function refusalError(given: Refusal, at: RefusedAt): CarportError {
  const refusal = withoutSdkWords(given);
  const cause = new RefusalError(at.action, refusal);
  for (const rule of RULES) {
    const [code, message, hint] = rule(refusal, at) ?? [];
    if (code !== undefined) return new CarportError(code, message!, { cause, hint: hint! });
  }
  const message = `\`${serverOf(at)}\` refused: ${refusal.code ?? `status ${refusal.status}`}`;
  return new CarportError('E_REMOTE', message, { cause, hint: 'the cause has what the server says' });
}

type Rule = (refusal: Refusal, at: RefusedAt) => readonly [code: ErrorCode, message: string, hint: string] | undefined;

/** The first that knows what a refusal is about explains it. */
const RULES: readonly Rule[] = [
  (refusal, at) => {
    const { code, message } = refusal;
    if (code !== 'RequestTimeTooSkewed' && !/date is too|request has expired|skewed/i.test(message)) return undefined;
    const text = `this machine's clock is ${clockDifference(refusal)} that of \`${serverOf(at)}\``;
    return ['E_REMOTE', text, 'set the clock and run it again'];
  },
  ({ code, message }, { region }) => {
    const wanted = expectedRegion(message);
    if (code !== 'AuthorizationHeaderMalformed' || wanted === undefined) return undefined;
    const text = `the bucket is in the region \`${wanted}\`, not in \`${region}\``;
    return ['E_USAGE', text, `write \`region=${wanted}\` into the cache's URL`];
  },
  ({ code, status, region: wanted }, { bucket, region }) => {
    const isElsewhere = code === 'PermanentRedirect' || code === 'TemporaryRedirect' || [301, 307].includes(status);
    // An answer to HEAD has no code.
    if (!isElsewhere && !(status === 400 && code === undefined && wanted && wanted !== region)) return undefined;
    const text = `\`${bucket}\` is in another region than \`${region}\``;
    return [
      'E_USAGE',
      text,
      `write ${wanted ? `\`region=${wanted}\`` : "the bucket's `region=`"} into the cache's URL`,
    ];
  },
  ({ code }, at) => {
    if (code !== 'NoSuchBucket') return undefined;
    const text = `there is no bucket \`${at.bucket}\` at \`${serverOf(at)}\``;
    return ['E_NOT_FOUND', text, 'check the name; `carport cache init` makes a bucket for a cache where your key may'];
  },
  ({ code }, { bucket }) => {
    if (code !== 'NoSuchUpload') return undefined;
    return ['E_NOT_FOUND', `an upload to \`${bucket}\` is gone`, 'somebody else removed it: run it again'];
  },
  ({ code, message }, at) => {
    // Amazon's and Garage's names, and those of versitygw and s3s.
    const isUnknown = ['InvalidAccessKeyId', 'XAdminUserNotFound', 'NotSignedUp'].includes(code ?? '');
    if (!isUnknown && !/no such key: /i.test(message)) return undefined;
    const text = `\`${serverOf(at)}\` does not know the access key`;
    return ['E_CREDENTIALS', text, 'check AWS_ACCESS_KEY_ID or the profile, and that the key is one of that server'];
  },
  ({ code, message }, at) => {
    if (code !== 'SignatureDoesNotMatch' && !/invalid signature/i.test(message)) return undefined;
    const text = `\`${serverOf(at)}\` says that the secret key is wrong`;
    return [
      ...(['E_CREDENTIALS', text] as const),
      'check AWS_SECRET_ACCESS_KEY or the profile; if it is right, a proxy changes requests, such as their Host',
    ];
  },
  ({ code }, at) => {
    if (code !== 'ExpiredToken' && code !== 'InvalidToken') return undefined;
    const text = `\`${serverOf(at)}\` says that the session token is not valid any more`;
    return ['E_CREDENTIALS', text, 'get new credentials and run it again'];
  },
  ({ code, status }, at) => {
    const limit = code === 'EntityTooLarge' ? explainLimit(413) : code === undefined ? explainLimit(status) : undefined;
    return limit && ['E_REMOTE', `\`${serverOf(at)}\`${limit.message} (${at.action})`, limit.hint];
  },
  ({ code }, at) => {
    if (code !== 'EntityTooSmall') return undefined;
    const text = `\`${serverOf(at)}\` does not take parts of this size (${at.action})`;
    return ['E_REMOTE', text, "raise `multipart-chunk-size=` in the cache's URL: most servers want 5 MiB (5242880)"];
  },
  ({ code, status, message }, at) => {
    // An answer to HEAD has no body that would tell.
    if (code !== undefined || at.action.startsWith('HEAD ')) return undefined;
    const missingTls = explainMissingTls(at.endpoint, message);
    if (missingTls) return [missingTls.code, missingTls.message, missingTls.hint!];
    if (at.isProven || !OF_WEBSITES.includes(status)) {
      const text = `\`${serverOf(at)}\`, or a proxy before it, refuses ${at.action}: status ${status}, not in the words of S3`;
      return [
        ...([[401, 403].includes(status) ? 'E_CREDENTIALS' : 'E_REMOTE', text] as const),
        'see the log of what is before the server (a proxy, a firewall), and whether `endpoint=` is the S3 API',
      ];
    }
    return [
      ...(['E_USAGE', `\`${serverOf(at)}\` does not answer as an S3 API`] as const),
      'the endpoint is the S3 API (port 3900 of Garage), not the website (port 3902), which is for `http://` caches',
    ];
  },
  ({ status }, { bucket, action }) => {
    if (status !== 401 && status !== 403) return undefined;
    const [what, permissions] = neededPermission(action, bucket);
    const allow = `\`garage bucket allow ${permissions} ${bucket} --key KEY\``;
    const hint =
      action === 'CREATE'
        ? `on Garage: \`garage bucket create ${bucket}\`, then ${allow}`
        : `on Garage: ${allow}; elsewhere: the policy of the bucket`;
    return ['E_CREDENTIALS', `the access key may not ${what}`, hint];
  },
  ({ code, status }, at) => {
    if (status !== 501 && code !== 'NotImplemented') return undefined;
    const text = `\`${serverOf(at)}\` does not have what was asked for (${at.action})`;
    return ['E_UNSUPPORTED', text, 'the server lacks a part of the S3 API'];
  },
];

/** What web servers answer to requests of S3. Other statuses are of who stands before a server. */
const OF_WEBSITES = [200, 204, 301, 302, 303, 307, 308, 400, 404, 405, 410, 501];

/** What the key lacks, and Garage's names for it. */
function neededPermission(action: string, bucket: string): readonly [what: string, permissions: string] {
  if (action === 'CREATE') return [`make the bucket \`${bucket}\``, '--read --write --owner'];
  if (/ (lifecycle|website|policy)$/.test(action))
    return [`see or change the settings of the bucket \`${bucket}\``, '--owner'];
  if (/^(GET|HEAD|LIST)\b/.test(action)) return [`read the bucket \`${bucket}\``, '--read'];
  return [`write to the bucket \`${bucket}\``, '--write'];
}

function serverOf({ endpoint }: RefusedAt): string {
  return `${endpoint.protocol}//${endpoint.host}`;
}

/** The SDK has words of its own for answers that are not of an S3 API. */
function withoutSdkWords(refusal: Refusal): Refusal {
  // An S3 error without a message, as rclone has them.
  if (/^UnknownError(: .*)?$/.test(refusal.message)) return { ...refusal, message: '' };
  if (!/@aws-sdk|Deserialization error/.test(refusal.message)) return refusal;
  return { ...refusal, code: undefined, message: '' };
}

/** Beyond this, clocks are said to differ (Amazon refuses a signature at 15 minutes, Garage at some hours). */
const CLOCK_SKEW_MS = 15 * 60 * 1000;

function clockDifference({ date }: Refusal): string {
  const skew = Date.now() - Date.parse(date ?? '');
  // The server, or a proxy before it, does not tell its time.
  if (!(Math.abs(skew) > CLOCK_SKEW_MS)) return 'not';
  return `${duration(Math.abs(skew))} ${skew > 0 ? 'ahead of' : 'behind'}`;
}

function duration(ms: number): string {
  const hours = Math.round(ms / 3_600_000);
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  return hours >= 2 ? `${hours} hours` : `${Math.round(ms / 60_000)} minutes`;
}

/** Out of Amazon's `expecting 'eu-west-1'`, in versitygw with other quotes, and Garage's `expected: '20260101/garage/s3/aws4_request'`. */
function expectedRegion(message: string): string | undefined {
  const expected = /expect(?:ing|ed):? ['"]([^'"]*)['"]/.exec(message)?.[1];
  const region = expected?.includes('/') ? expected.split('/').at(-3) : expected;
  return region !== undefined && REGION.test(region) ? region : undefined;
}

function unescapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text
    .replace(/&#(x[0-9a-f]+|[0-9]+);/gi, (_, number: string) =>
      String.fromCodePoint(Number(`0${number}`) < 0x110000 ? Number(`0${number}`) : 0xfffd),
    )
    .replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => entities[name]!);
}
