/**
 * The AWS SDK on our transport; the only module that makes its clients. The AWS SDK takes a tenth of a second to
 * load: only what is rare comes here, and loads it when it does.
 */

import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { canonicalQuery } from '../../http/encode.js';
import type { HttpRequest, RequestBody, ResponseHeaders, Transport } from '../../http/transport.js';
import type { S3Address } from './address.js';
import { refusalInstead } from './answers.js';

export interface SdkClientOptions {
  readonly profile?: string | undefined;
  /** Whether the metadata address of the machine is asked. */
  readonly metadata: boolean;
}

/** The SDK would print a warning when the environment has a key, too, beside the profile that was asked for. */
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** A client that is good for looking up credentials only. */
export function createSdkClient({ profile, metadata }: SdkClientOptions): S3Client {
  // The SDK reads the process's environment: what it is to know has to be there.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  process.env.AWS_EC2_METADATA_DISABLED = metadata ? 'false' : 'true';
  return new S3Client({ ...(profile !== undefined && { profile }), logger: SILENT });
}

/** A client whose requests go through our transport, so that retries and the budget are shared; that signs them, too. */
export function createS3Client(address: S3Address, send: Transport): S3Client {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const client = new S3Client({
    endpoint: address.endpoint.href,
    region: address.region,
    // Signed here, later tries would have an old date.
    credentials: { accessKeyId: 'of the transport', secretAccessKey: 'of the transport' },
    signer: { sign: async (request) => request },
    forcePathStyle: address.base.hostname === address.endpoint.hostname,
    maxAttempts: 1,
    // Older Garage refuses the SDK's own checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { handle: (request: unknown) => handle(request as SdkRequest, send) } as never,
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { attempts, headers } = result.response as SdkResponse;
      const known: AnswerMetadata = { attempts, date: headers.date };
      Object.assign(result.output.$metadata, known);
      return result;
    },
    { step: 'initialize', name: 'carportAnswerMetadata' },
  );
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        Object.assign(args.request as SdkRequest, { commandName });
        return next(args);
      },
    { step: 'build', name: 'carportCommandName' },
  );
  return client;
}

/** What the `$metadata` of an answer has beside the SDK's own, which knows of its one try only. */
export interface AnswerMetadata {
  /** As of `HttpResponse`. */
  readonly attempts: number | undefined;
  /** The server's clock. */
  readonly date: string | undefined;
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
  readonly commandName: string;
}

interface SdkResponse {
  readonly attempts: number | undefined;
  readonly headers: ResponseHeaders;
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
  const { headers: answered, attempts, root } = response;
  const instead = response.status < 300 ? refusalInstead(request.commandName, response.status, root) : undefined;
  const status = instead === undefined ? response.status : 501;
  const refusal = instead ?? response.refusal;
  const text = refusal === undefined ? Readable.from(response.body) : Readable.from([Buffer.from(refusal)]);
  return { response: { statusCode: status, headers: answered, body: text, attempts } } as never;
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
