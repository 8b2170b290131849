/** A cache in a directory, on a web server that counts what it is asked for and sends. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answerWith, useHttpServers } from './http-server.js';

export interface CacheServer {
  readonly url: string;
  /** Requests and bytes of bodies since it was asked last. */
  taken(): { readonly requests: number; readonly bytes: number };
}

/** Serves directories, ranges too; closed after each test. */
export function useCacheServers(): (directory: string) => Promise<CacheServer> {
  const server = useHttpServers();
  return async (directory) => {
    let [requests, bytes] = [0, 0];
    const { url } = await server(async (request, response) => {
      requests++;
      const file = await readFile(join(directory, request.url!)).catch(() => undefined);
      if (file === undefined) return answerWith(response, '', { status: 404 });
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const body = first === undefined ? file : file.subarray(Number(first), Number(last) + 1);
      bytes += body.length;
      const range = `bytes ${first}-${Number(first) + body.length - 1}/${file.length}`;
      answerWith(response, body, first === undefined ? {} : { status: 206, headers: { 'content-range': range } });
    });
    return {
      url: url.href,
      taken() {
        const now = { requests, bytes };
        [requests, bytes] = [0, 0];
        return now;
      },
    };
  };
}
