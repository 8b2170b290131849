import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { canonicalQuery } from '../http/encode.js';
import type { HttpRequest, RequestBody, Transport } from '../http/transport.js';
import type { S3Address } from './address.js';
import { asksMetadata, type Identity } from './credentials.js';

/** The AWS SDK takes a tenth of a second to load: only what is rare comes here, and loads it when it does. */

export interface SdkClientOptions {
  readonly profile?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** The SDK would print a warning when the environment has a key, too, beside the profile that was asked for. */
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** A client that is good for looking up credentials only. */
export function createSdkClient({ profile, env }: SdkClientOptions): S3Client {
  // The SDK reads the process's environment: what it is to know has to be there.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  process.env.AWS_EC2_METADATA_DISABLED = asksMetadata(env) ? 'false' : 'true';
  return new S3Client({ ...(profile !== undefined && { profile }), logger: SILENT });
}

/** A client whose requests go through our transport, so that retries and the budget are shared. */
export function createS3Client(address: S3Address, identity: Identity, send: Transport): S3Client {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  return new S3Client({
    endpoint: address.endpoint.href,
    region: identity.region,
    // A copy: the SDK writes into it.
    credentials: async () => ({ ...(await identity.credentials()) }),
    forcePathStyle: address.base.hostname === address.endpoint.hostname,
    maxAttempts: 1,
    // Older Garage refuses the SDK's own checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { handle: (request: unknown) => handle(request as SdkRequest, send) } as never,
  });
}

interface SdkRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query: Readonly<Record<string, string | readonly string[] | null>>;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

async function handle(request: SdkRequest, send: Transport) {
  const { protocol, hostname, port, path, method, body } = request;
  const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`);
  const query = Object.entries(request.query).flatMap(([name, value]) =>
    [value ?? ''].flat().map((each) => [name, each] as const),
  );
  url.search = canonicalQuery(query as readonly (readonly [string, string])[]);
  const { host: _, 'content-length': __, ...headers } = lowerCase(request.headers);
  const bytes: RequestBody | undefined = body === undefined ? undefined : Buffer.from(body as Uint8Array);
  const response = await send({
    ...{ method: method as HttpRequest['method'], url, headers },
    ...(bytes && { body: bytes }),
  });
  const { status, refusal } = response;
  const text = refusal === undefined ? Readable.from(response.body) : Readable.from([Buffer.from(refusal)]);
  return { response: { statusCode: status, headers: response.headers, body: text } } as never;
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
