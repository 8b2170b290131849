import { type IncomingHttpHeaders, request } from 'node:http';
import { afterEach } from 'vitest';
import type { DeltaOptions } from '#cache/delta/session.js';
import { createNarShortcut } from '#cache/serve/by-delta.js';
import type { ServeEvent } from '#cache/serve/events.js';
import { createWholeNarReader, type PlainNarReader } from '#cache/serve/plain-nar.js';
import { createCacheServer } from '#cache/serve/session.js';
import { startWebServer, type WebServer } from '#lib/http/server/server.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import type { PublicKey } from '#lib/signing/key.js';
import { usePool } from './pool.js';

export interface ServeOfTest {
  readonly caches: readonly ObjectStore[];
  readonly keys?: readonly PublicKey[];
  readonly offlineOk?: boolean;
  readonly allowRemote?: boolean;
  readonly read?: PlainNarReader;
  /** Takes from these stores what is there. */
  readonly delta?: DeltaOptions;
  readonly now?: () => number;
  /** Bytes of NARs that are held until they are whole. */
  readonly room?: number;
}

export interface TestServer {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  readonly events: readonly ServeEvent[];
  get(path: string, options?: AskOptions): Promise<Asked>;
  readonly server: WebServer;
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Asked {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether the answer came to its end. */
  readonly isWhole: boolean;
}

/** Servers of caches within this process, ended after each test; they share a thread. */
export function useCacheServers(): (options: ServeOfTest) => Promise<TestServer> {
  const pool = usePool(1);
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(ends.splice(0).map((end) => end()));
  });
  return async ({ caches, keys = [], offlineOk = false, allowRemote = false, read, delta, now, room }) => {
    const ended = new AbortController();
    const events: ServeEvent[] = [];
    const handle = createCacheServer({
      ...{ caches, keys, offlineOk, priority: undefined },
      read: read ?? createWholeNarReader(pool),
      shortcut: delta && createNarShortcut(delta, { pool, signal: ended.signal, ...(now && { now }) }, room),
      emit: (event) => void events.push(event),
    });
    const server = await startWebServer({ at: { host: '127.0.0.1', port: 0 }, allowRemote, handle });
    ends.push(async () => {
      await server.drain();
      ended.abort();
    });
    const address = server.address!;
    return { address, events, server, get: (path, options) => ask(address, path, options) };
  };
}

/** Asks as it is told, whatever that is. */
export function ask(address: string, path: string, { method = 'GET', headers, body }: AskOptions = {}): Promise<Asked> {
  const [, host, port] = /^\[?(.*?)\]?:([0-9]+)$/.exec(address)!;
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, method, headers: { ...headers }, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      const done = (isWhole: boolean) =>
        resolve({
          ...{ status: response.statusCode!, headers: response.headers, isWhole },
          body: Buffer.concat(pieces),
        });
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => done(true));
      response.on('error', () => done(false));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
