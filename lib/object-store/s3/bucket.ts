/** Requests to one bucket: by hand what is frequent, by the SDK the rest. */

import type { S3Client } from '@aws-sdk/client-s3';
import { CarportError } from '../../errors.js';
import type { HttpClient } from '../../http/client.js';
import type { HttpRequest, HttpResponse, RequestBody, Transport, TransportDecorator } from '../../http/transport.js';
import { serverTime } from '../response-headers.js';
import { addressOf, objectUrl, type S3Address, type S3Location } from './address.js';
import { resolveIdentity } from './credentials.js';
import { isMissing, parseRefusal, type Refusal, type RefusalHeaders, refusalError, refusalHead } from './refusal.js';
import { createSigner } from './sign.js';
import { withWholeBody } from './whole-body.js';

export interface BucketOptions {
  readonly location: S3Location;
  /** For messages. */
  readonly url: string;
  readonly env: NodeJS.ProcessEnv;
  readonly http: HttpClient;
}

/** An answer to a GET or HEAD, and what is needed to ask for the rest of it. */
export interface Answer {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly send: Transport;
}

/**
 * Requests to one bucket. What is frequent is signed by hand, which costs a seventh of the SDK's time; the rest is the
 * SDK's. Both go through the same transport. Refusals become errors that say what to do. Keys are whole keys.
 */
export interface Bucket {
  readonly name: string;
  address(): Promise<S3Address>;
  /**
   * Sends a GET or HEAD for an object; `undefined` when it is not there. The answer may have status 416 where a range is
   * asked for, which begins where the object has ended.
   */
  ask(method: 'GET' | 'HEAD', key: string, asked?: Asked): Promise<Answer | undefined>;
  /** Sends a GET for an object as somebody who has no key. */
  askAnonymously(key: string): Promise<Answer>;
  /** The server's time, as it dates its answer about any key. */
  time(key: string): Promise<Date>;
  /** Gives the ETag that the server answers with. */
  put(request: PutRequest): Promise<string | undefined>;
  /** Runs a request of the SDK. `action` is for the message. */
  run<T>(action: string, request: (client: S3Client, bucket: string) => Promise<T>): Promise<T>;
  /** The same when the work was interrupted: one try, for a few seconds. */
  cleanUp<T>(action: string, request: (client: S3Client, bucket: string) => Promise<T>): Promise<T>;
}

/** What is asked of an object, beside itself. */
export type Asked = Partial<Pick<HttpRequest, 'headers' | 'isShort'>>;

export interface PutRequest {
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: RequestBody;
}

/** What is known when the credentials are. */
interface Session {
  readonly address: S3Address;
  readonly sign: TransportDecorator;
  readonly send: Transport;
}

/** Nothing is asked, and no credentials are looked for, before the bucket is used. */
export function openBucket(options: BucketOptions): Bucket {
  const { location, url, http } = options;
  const session = once(() => openSession(options));
  const clientWith = async (transportOf: (inner: TransportDecorator) => Transport): Promise<S3Client> => {
    const [{ address, sign }, { createS3Client }] = await Promise.all([session(), import('./sdk.js')]);
    const transport = transportOf((below) => withWholeBody(sign(below)));
    return createS3Client(address, transport);
  };
  const client = once(() => clientWith((inner) => http.transport(inner)));

  let isProven = false;
  const refuse = async (action: string, refusal: Refusal): Promise<CarportError> => {
    const { address } = await session();
    isProven ||= refusal.code !== undefined;
    return refusalError(refusal, { ...address, action, isProven });
  };
  const run = async <T>(action: string, request: (bucket: string) => Promise<T>): Promise<T> => {
    try {
      const answer = await request(location.bucket);
      isProven = true;
      return answer;
    } catch (error) {
      throw isSdkRefusal(error) ? await refuse(action, refusalOf(error)) : error;
    }
  };
  return {
    name: location.bucket,
    address: async () => (await session()).address,
    async ask(...asked) {
      const answer = await askObject(await session(), refuse, ...asked);
      isProven ||= answer === undefined ? asked[0] === 'GET' : answer.response.headers.etag !== undefined;
      return answer;
    },
    askAnonymously: async (key) => askAsAnybody((await session()).address, key, http.transport()),
    async time(key) {
      const { address, send } = await session();
      const response = await send({ method: 'HEAD', url: objectUrl(address, key), headers: {}, isShort: true });
      response.discard();
      return serverTime(response.headers, url);
    },
    async put({ key, query = {}, headers, body }) {
      const { address, send } = await session();
      const response = await send({ method: 'PUT', url: objectUrl(address, key, query), headers, body, isShort: true });
      response.discard();
      if (response.status >= 300) throw await refuse(`PUT ${key}`, toRefusal(response));
      return response.headers.etag;
    },
    run: async (action, request) => {
      const sdk = await client();
      return run(action, (bucket) => request(sdk, bucket));
    },
    cleanUp: async (action, request) => {
      const sdk = await clientWith((inner) => inner(http.cleanupTransport()));
      return run(action, (bucket) => request(sdk, bucket));
    },
  };
}

async function askAsAnybody(address: S3Address, key: string, send: Transport): Promise<Answer> {
  const request: HttpRequest = { method: 'GET', url: objectUrl(address, key), headers: {} };
  return { request, response: await send(request), send };
}

async function askObject(
  { address, send }: Session,
  refuse: (action: string, refusal: Refusal) => Promise<CarportError>,
  ...[method, key, asked = {}]: Parameters<Bucket['ask']>
): Promise<Answer | undefined> {
  const request: HttpRequest = { method, url: objectUrl(address, key), headers: {}, ...asked };
  const response = await send(request);
  if (response.status < 300 || (response.status === 416 && request.headers.range !== undefined))
    return { request, response, send };
  response.discard();
  // An answer to HEAD has no body that would tell why.
  if (method === 'HEAD' && [403, 404].includes(response.status)) return undefined;
  const refusal = method === 'HEAD' ? await reasonFor(request, response, send) : toRefusal(response);
  if (isMissing(refusal)) return undefined;
  throw await refuse(`${method} ${key}`, refusal);
}

/** Looks for the credentials. */
async function openSession({ location, url, env, http }: BucketOptions): Promise<Session> {
  const { profile, region, endpoint } = location;
  const identity = await resolveIdentity({ cache: url, profile, region, endpoint, env });
  const sign = createSigner(identity.region, identity.credentials);
  const placed = { ...location, ...(identity.endpoint !== undefined && { endpoint: identity.endpoint }) };
  return { address: addressOf(placed, identity.region), sign, send: http.transport(sign) };
}

/** The size of an object by its whole key; `undefined` when it is not there. */
export async function sizeOf(bucket: Bucket, key: string): Promise<number | undefined> {
  const answer = await bucket.ask('HEAD', key);
  answer?.response.discard();
  return answer && Number(answer.response.headers['content-length']);
}

/** The object that the last of several equal calls waits for, too. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Why a HEAD was refused: its answer has no body that would tell, but that to a GET of one byte has. */
async function reasonFor(request: HttpRequest, head: HttpResponse, send: Transport): Promise<Refusal> {
  const headers = { ...request.headers, range: 'bytes=0-0' };
  const answer = await send({ ...request, method: 'GET', headers }).catch(() => undefined);
  answer?.discard();
  return toRefusal(answer === undefined || answer.status < 300 ? head : answer);
}

function toRefusal({ status, refusal = '', headers }: HttpResponse): Refusal {
  return parseRefusal(status, refusal, headers);
}

interface SdkRefusal extends Error {
  /** What the server said. */
  readonly Code?: string;
  readonly $metadata: { readonly httpStatusCode: number };
  readonly $response?: { readonly headers?: RefusalHeaders };
}

/** The SDK puts metadata on every error; only an answer has a status. */
function isSdkRefusal(error: unknown): error is SdkRefusal {
  if (!(error instanceof Error) || error instanceof CarportError || error.name === 'AbortError') return false;
  return typeof (error as Partial<SdkRefusal>).$metadata?.httpStatusCode === 'number';
}

/** Its own names for answers without a code. */
const SDK_NAMES = ['Unknown', 'UnknownError', 'Error', 'NotFound'];

function refusalOf({ name, Code, message, $metadata, $response }: SdkRefusal): Refusal {
  const code = Code ?? (SDK_NAMES.includes(name) ? undefined : name);
  return { status: $metadata.httpStatusCode, code, message, ...refusalHead($response?.headers ?? {}) };
}
