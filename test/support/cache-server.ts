/** A cache in a directory, on a web server that counts what it is asked for and sends. */

import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { answerWith, useHttpServers } from './http-server.js';

export interface CacheServer {
  readonly url: string;
  /** Requests and bytes of bodies since it was asked last. */
  taken(): { readonly requests: number; readonly bytes: number };
}

/** What a server of a directory answers, to a request for one range with that; `undefined` where there is no such file. */
export async function readPart(directory: string, { url, headers }: IncomingMessage) {
  const name = new URL(url!, 'http://x').pathname;
  const file = await readFile(join(directory, name)).catch(() => undefined);
  if (file === undefined) return undefined;
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  if (first === undefined) return { name, part: file, status: 200, headers: {} };
  const part = file.subarray(Number(first), Number(last) + 1);
  const range = `bytes ${first}-${Number(first) + part.length - 1}/${file.length}`;
  return { name, part, status: 206, headers: { 'content-range': range } };
}

/** Serves directories, ranges too; closed after each test. */
export function useCacheServers(): (directory: string) => Promise<CacheServer> {
  const server = useHttpServers();
  return async (directory) => {
    let [requests, bytes] = [0, 0];
    const { url } = await server(async (request, response) => {
      requests++;
      const found = await readPart(directory, request);
      if (found === undefined) return answerWith(response, '', { status: 404 });
      bytes += found.part.length;
      answerWith(response, found.part, found);
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
