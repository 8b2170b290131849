import type { Socket } from 'node:net';
import type { Fault, RequestHead } from './proxy-faults.js';

/** A request and what became of it. */
export interface ProxiedRequest extends RequestHead {
  /** What the client was told. */
  readonly status: number | undefined;
  /** Bytes of the request's body that came from the client, without chunk framing. */
  readonly bodyBytesUp: number;
  /** Bytes of the answer's body that went to the client, without chunk framing. */
  readonly bodyBytesDown: number;
  /** The fault that befell it. */
  readonly fault: Fault | undefined;
}

/** A request whose numbers still grow. */
export type TrafficEntry = { -readonly [Key in keyof ProxiedRequest]: ProxiedRequest[Key] };

export interface Totals {
  /** Connections that clients opened. */
  readonly connections: number;
  readonly requests: number;
  /** Bytes from clients, heads and framing included. */
  readonly bytesUp: number;
  /** Bytes to clients, heads and framing included. */
  readonly bytesDown: number;
}

/** Counts what passes between clients and the proxy. */
export function createTraffic() {
  let entries: TrafficEntry[] = [];
  let sockets: { readonly socket: Socket; readonly up: number; readonly down: number }[] = [];
  let connections = 0;

  return {
    addConnection(socket: Socket): void {
      connections++;
      sockets.push({ socket, up: 0, down: 0 });
    },
    addRequest({ method, path, headers }: RequestHead): TrafficEntry {
      const none = { status: undefined, bodyBytesUp: 0, bodyBytesDown: 0, fault: undefined };
      const entry = { method, path, headers, ...none };
      entries.push(entry);
      return entry;
    },
    requests: (): readonly ProxiedRequest[] => entries.map((entry) => ({ ...entry })),
    totals(): Totals {
      const sum = (count: (item: (typeof sockets)[number]) => number) =>
        sockets.reduce((total, item) => total + count(item), 0);
      return {
        connections,
        requests: entries.length,
        bytesUp: sum(({ socket, up }) => socket.bytesRead - up),
        bytesDown: sum(({ socket, down }) => socket.bytesWritten - down),
      };
    },
    reset(): void {
      entries = [];
      connections = 0;
      // Connections that are still open keep counting, from here.
      sockets = sockets
        .filter(({ socket }) => !socket.destroyed)
        .map(({ socket }) => ({ socket, up: socket.bytesRead, down: socket.bytesWritten }));
    },
  };
}
