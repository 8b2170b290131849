/**
 * Connections of which the bytes go through memory that is used again: Node has new memory for each 64 KiB, and collects so much
 * of it that a large download costs twice its time. The body of a large answer is read past Node's client, to where it is wanted.
 */

import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Takes the bytes of a connection in place of Node's client. */
export interface Sink {
  /** Where the next bytes are to be; not always asked for. */
  memory(): Uint8Array | undefined;
  /** Bytes, valid during the call, in that memory or elsewhere; false when no more are wanted before the socket is resumed. */
  take(bytes: Uint8Array): boolean;
}

interface Tap {
  sink: Sink | undefined;
}

/** One for all connections: what is read is handed on before anything else is. */
const shared = Buffer.allocUnsafeSlow(64 * 1024);

const taps = new WeakMap<Socket, Tap>();

type Connect = (options: object, onCreate?: (error: Error | null, socket: Socket) => void) => Socket | undefined;

/** Has an agent read its connections so. */
export function tapConnections<A extends Agent>(agent: A): A {
  const connect = (agent as unknown as { createConnection: Connect }).createConnection;
  const createConnection: Connect = (options, onCreate) => {
    const tap: Tap = { sink: undefined };
    const onread = {
      buffer: () => tap.sink?.memory() ?? shared,
      callback: (size: number, memory: Uint8Array) => {
        const bytes = memory.subarray(0, size);
        if (tap.sink) return tap.sink.take(bytes);
        // A listener may keep it.
        socket?.emit('data', Buffer.from(bytes));
        return true;
      },
    };
    const socket = connect.call(agent, { ...options, onread }, onCreate);
    if (socket) taps.set(socket, tap);
    return socket;
  };
  return Object.assign(agent, { createConnection });
}

/** Takes bytes of a connection, which are valid during the call. */
export type TakeBytes = (bytes: Uint8Array) => void;

/** A connection of a tapped agent that the agent does not know of: `take` has all that comes on it. */
export function connectTapped(agent: Agent, options: object, take: TakeBytes): Socket {
  const socket = (agent as unknown as { createConnection: Connect }).createConnection(options)!;
  const sink: Sink = {
    memory: () => undefined,
    take(bytes) {
      take(bytes);
      return true;
    },
  };
  const tap = taps.get(socket);
  if (tap) tap.sink = sink;
  // Where Node does not read into given memory.
  socket.on('data', take);
  return socket;
}

/** Bytes from which a body is worth a connection: one that was read so is not used for another request. */
const WORTH = 4 * 1024 * 1024;

/** What is still to come of a body, for who reads it past Node's client. */
export interface RestOfBody {
  /** Bytes that Node's client had already. */
  readonly begun: Uint8Array;
  /** Bytes that come on the connection. */
  readonly size: number;
  readonly socket: Socket;
  /** Takes them from now on. The message never learns of its end, and has to be destroyed. */
  readTo(sink: Sink): void;
}

/** What Node tells of an answer, and its types do not. */
interface Answer extends IncomingMessage {
  readonly req: ClientRequest;
}

/** The body of an answer that nobody has read of, if it is large, and of a known size on a connection of an agent as above. */
export function restOfBody(message: IncomingMessage): RestOfBody | undefined {
  const { socket, headers } = message;
  const tap = taps.get(socket);
  const size = Number(headers['content-length']) - message.readableLength;
  const isPlain = headers['transfer-encoding'] === undefined && (message as Partial<Answer>).req?.method === 'GET';
  if (!tap || !isPlain || message.complete || message.destroyed || !(size >= WORTH)) return undefined;
  return {
    ...{ begun: (message.read() as Buffer | null) ?? new Uint8Array(0), size, socket },
    readTo(sink) {
      tap.sink = sink;
    },
  };
}
