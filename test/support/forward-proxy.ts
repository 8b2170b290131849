import { once } from 'node:events';
import { createServer, type RequestListener, request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createSocketServer, type Server, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { CERTIFICATE, TLS_KEY } from './tls.js';

export interface ForwardProxy {
  readonly port: number;
  /** Request lines, and what `Proxy-Authorization` said with each. */
  readonly seen: { readonly line: string; readonly authorization: string | undefined }[];
}

export interface ForwardProxyOptions {
  /** Answers so in place of going on. */
  readonly refuse?: number;
  readonly tls?: boolean;
}

/** Servers that forward, tunnel, or speak SOCKS 5, as companies have them; closed after each test. */
export function useForwardProxies() {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const listen = async (server: Server): Promise<number> => {
    server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  });
  return {
    async http({ refuse, tls = false }: ForwardProxyOptions = {}): Promise<ForwardProxy> {
      const seen: ForwardProxy['seen'] = [];
      const forward: RequestListener = (incoming, outgoing) => {
        const { method, url, headers } = incoming;
        seen.push({ line: `${method} ${url}`, authorization: headers['proxy-authorization'] });
        if (refuse) return void outgoing.writeHead(refuse, { 'content-length': 0 }).end();
        const next = request(url!, { method: method!, headers }, (answer) => {
          outgoing.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(outgoing);
        });
        incoming.pipe(next);
      };
      const server = tls ? createTlsServer({ cert: CERTIFICATE, key: TLS_KEY }, forward) : createServer(forward);
      server.on('connect', ({ url, headers }, socket: Socket) => {
        seen.push({ line: `CONNECT ${url}`, authorization: headers['proxy-authorization'] });
        if (refuse) return void socket.end(`HTTP/1.1 ${refuse} No\r\ncontent-length: 0\r\n\r\n`);
        const [host, port] = url!.split(':');
        join(socket, Number(port), host!, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      });
      return { port: await listen(server), seen };
    },
    /** SOCKS 5 without a password (RFC 1928); `seen` has the hosts by name. */
    async socks(): Promise<ForwardProxy> {
      const seen: ForwardProxy['seen'] = [];
      const server = createSocketServer((socket) => {
        socket.once('data', () => {
          socket.write(Buffer.from([5, 0]));
          socket.once('data', (asked: Buffer) => {
            const host =
              asked[3] === 3 ? asked.toString('latin1', 5, 5 + asked[4]!) : [...asked.subarray(4, 8)].join('.');
            const port = asked.readUInt16BE(asked.length - 2);
            seen.push({ line: `SOCKS ${host}:${port}`, authorization: undefined });
            join(socket, port, host, () => socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0])));
          });
        });
      });
      return { port: await listen(server), seen };
    },
    /** Accepts connections and says nothing. */
    async silent(): Promise<ForwardProxy> {
      return { port: await listen(createSocketServer(() => undefined)), seen: [] };
    },
  };
}

function join(socket: Socket, port: number, host: string, connected: () => void): void {
  const other = connect(port, host === 'localhost' ? '127.0.0.1' : host, () => {
    connected();
    other.pipe(socket);
    socket.pipe(other);
  });
  other.on('error', () => socket.destroy());
}
