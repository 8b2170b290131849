import type { IncomingHttpHeaders } from 'node:http';
import { afterEach } from 'vitest';
import { parseCacheUrl } from '#cache/cache-url.js';
import { createHttpClient, type HttpClientOptions } from '#lib/http/client.js';
import { openUploadRecords } from '#lib/object-store/s3/parts/upload-records.js';
import { openS3Store, type S3Store } from '#lib/object-store/s3.js';
import { useDirectory } from './files.js';
import { answerWith, readRequest, useHttpServers } from './http-server.js';

/** A request that came to the server. */
export interface Asked {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What the server says; text is the body of a good answer. With `drop` it closes the connection instead. */
export type Reply =
  | string
  | 'drop'
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: Uint8Array | string;
    };

export interface FakeBucket {
  readonly store: S3Store;
  /** The requests so far. */
  readonly asked: readonly Asked[];
  /** The directory of uploads that are not finished. */
  readonly records: string;
}

const MIB = 1024 * 1024;

/**
 * A bucket `nix` of a server that answers as a test says, as real ones do too rarely; objects from 1 MiB go in parts of 5 MiB,
 * which every server takes.
 */
export function useFakeBucket(): (
  answer: (asked: Asked) => Reply | Promise<Reply>,
  options?: Partial<HttpClientOptions>,
) => Promise<FakeBucket> {
  const serve = useHttpServers();
  const directory = useDirectory();
  const stores: S3Store[] = [];
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
  });
  return async (answer, options = {}) => {
    const asked: Asked[] = [];
    const { url } = await serve(async (request, response) => {
      const { method, url: path, headers } = request;
      const body = await readRequest(request).catch(() => Buffer.of());
      const one = { method: method!, path: path!, headers, body };
      asked.push(one);
      const reply = await answer(one);
      if (reply === 'drop') return void response.destroy();
      const { body: text = '', ...rest } = typeof reply === 'string' ? { body: reply } : reply;
      answerWith(response, text, rest);
    });
    const parts = `multipart-threshold=${MIB}&multipart-chunk-size=${5 * MIB}`;
    const { location } = parseCacheUrl(`s3://nix?endpoint=${url.origin}&${parts}`);
    if (location.kind !== 's3') throw new Error('it is a bucket');
    const http = createHttpClient({ env: {}, signal: new AbortController().signal, patienceMs: 3_000, ...options });
    const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
    const records = `${directory()}/uploads`;
    const store = openS3Store({ location, env, http, records: openUploadRecords(records) });
    stores.push(store);
    return { store, asked, records };
  };
}

/** An error as S3 words it. */
export function errorReply(status: number, code: string, message = 'no'): Reply {
  return { status, body: xml(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`) };
}

export function xml(text: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${text}`;
}
