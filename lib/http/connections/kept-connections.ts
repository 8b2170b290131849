/** Connections that are kept for short exchanges: one exchange at a time, the last that was used first. */

import type { Agent } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { ResponseHeaders } from '../transport.js';
import type { Route } from './agents.js';
import { connectTapped, type TakeBytes } from './taps.js';

export interface KeptOptions {
  /** Milliseconds without a byte in either direction after which a connection is given up. */
  readonly stallMs: number;
  /** The error of that. */
  readonly stalled: (host: string, stallMs: number) => Error;
  /** The error of a connection that is closed before there was an answer. */
  readonly brokenOff: (url: URL) => Error;
  /** Told before one is opened how many there are. */
  readonly opening: (connections: number) => void;
}

/** A connection, and what it is doing. */
export interface KeptConnection {
  readonly socket: Socket;
  /** The exchange that is under way. */
  current: Current | undefined;
  /** When the server will have closed it, if nothing is sent before. */
  expires: number;
}

export interface Current {
  readonly url: URL;
  /** Takes bytes that are valid during the call. */
  take(bytes: Uint8Array): void;
  fail(error: Error): void;
}

export interface KeptConnections {
  /** A connection that does nothing, or a new one. */
  take(origin: string, route: Route): KeptConnection;
  /** Gives one back, after an answer with these headers. */
  giveBack(origin: string, connection: KeptConnection, headers: ResponseHeaders): void;
  /** Lets connections go that do nothing, but for so many in all. */
  keep(connections: number): void;
  /** Ends what is under way with an error, and lets all go. */
  close(error: Error): void;
}

/** What Node takes off the time that a server says it keeps a connection, for one that is just being closed. */
const KEEP_MARGIN_MS = 1000;

/** Connections for one client: as many as there are exchanges at once, kept until the server or `close` ends them. */
export function createKeptConnections(options: KeptOptions): KeptConnections {
  const idle = new Map<string, KeptConnection[]>();
  const all = new Set<KeptConnection>();
  return {
    take(origin, route) {
      const free = idle.get(origin);
      for (let connection = free?.pop(); connection; connection = free!.pop()) {
        if (!connection.socket.destroyed && performance.now() < connection.expires) {
          connection.socket.ref();
          return connection;
        }
        connection.socket.destroy();
      }
      options.opening(all.size);
      const connection = open(route, options, () => {
        all.delete(connection);
        const left = idle.get(origin) ?? [];
        if (left.includes(connection)) left.splice(left.indexOf(connection), 1);
      });
      all.add(connection);
      return connection;
    },
    giveBack(origin, connection, headers) {
      connection.expires = performance.now() + keptMs(headers);
      connection.socket.unref();
      const free = idle.get(origin) ?? [];
      idle.set(origin, free);
      free.push(connection);
    },
    keep(connections) {
      for (const free of idle.values())
        for (const { socket } of free.splice(0, Math.max(0, all.size - connections))) socket.destroy();
    },
    close(error) {
      for (const { socket, current } of all) socket.destroy(current && error);
    },
  };
}

/** Milliseconds that a server says it keeps a connection that is not used. */
function keptMs(headers: ResponseHeaders): number {
  const seconds = /(?:^|[,\s])timeout=([0-9]{1,6})/i.exec(headers['keep-alive']?.toString() ?? '')?.[1];
  return seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1000 - KEEP_MARGIN_MS;
}

function open(route: Route, { stallMs, stalled, brokenOff }: KeptOptions, closed: () => void): KeptConnection {
  let failure: Error | undefined;
  const socket = connect(route, (bytes) => {
    if (connection.current) connection.current.take(bytes);
    else socket.destroy();
  });
  const connection: KeptConnection = { socket, current: undefined, expires: Number.POSITIVE_INFINITY };
  socket.setTimeout(stallMs, () => socket.destroy(connection.current && stalled(connection.current.url.host, stallMs)));
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    closed();
    connection.current?.fail(failure ?? brokenOff(connection.current.url));
  });
  return connection;
}

/** What Node tells of an agent, and its types do not. */
interface AgentOfNode extends Agent {
  readonly options: object;
  readonly defaultPort: number;
}

/** A connection as the route's agent would make it. */
function connect({ options: { protocol: _, path: __, agent, hostname, ...options } }: Route, take: TakeBytes): Socket {
  const { options: kept, defaultPort } = agent as AgentOfNode;
  // A URL says nothing of the port that its scheme has.
  const port = options.port || defaultPort;
  // As Node's client names the server to TLS.
  const servername = isIP(hostname!) ? '' : hostname;
  return connectTapped(agent as Agent, { ...kept, ...options, host: hostname, port, servername }, take);
}
