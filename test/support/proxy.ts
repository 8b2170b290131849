import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, beforeEach } from 'vitest';
import { type Line, openLine, runExchange } from './proxy-exchange.js';
import { type Chaos, createFaultPlan, type RequestHead, type Rule } from './proxy-faults.js';
import { createTraffic, type ProxiedRequest, type Totals } from './proxy-traffic.js';

/** A proxy on a port of its own before a real server: forwards, Host header and all, counts, and fails on demand. */
export interface HttpProxy {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** The requests so far, in the order in which they came. */
  requests(): readonly ProxiedRequest[];
  totals(): Totals;
  /** Counts from nothing again. */
  reset(): void;
  /** Makes requests fail; of several rules, the first that is due. */
  fail(rule: Rule): void;
  /** Makes requests fail at random, the same requests for the same seed. */
  chaos(settings: Chaos): void;
  /** Forgets all rules, and ends chaos. */
  heal(): void;
  /** Dies: connections are reset, new ones refused. */
  pause(): Promise<void>;
  /** Comes back, on the same port. */
  resume(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy before the server at `target`, `http://HOST:PORT`. */
export async function startProxy(target: string): Promise<HttpProxy> {
  const { hostname, port: targetPort } = new URL(target);
  const traffic = createTraffic();
  const plan = createFaultPlan();
  const lines = new Map<Socket, Line>();

  // No timeout of its own, since whatever fails here is to be a fault that a test asked for.
  const server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
  server.on('connection', (client: Socket) => {
    traffic.addConnection(client);
    lines.set(client, openLine(client));
    client.once('close', () => lines.delete(client));
  });
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const head: RequestHead = { method: request.method!, path: request.url!, headers: request.headers };
    const [entry, fault, line] = [traffic.addRequest(head), plan.next(head), lines.get(request.socket)!];
    const upstream = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(targetPort || 80) };
    void runExchange({ line, request, response, target: upstream, entry, fault });
  };
  server.on('request', handle);
  server.on('checkContinue', handle);

  const stop = async (cut: (client: Socket) => void) => {
    if (!server.listening) return;
    const stopped = once(server, 'close');
    server.close();
    for (const client of lines.keys()) cut(client);
    await stopped;
  };
  const port = await listenSomewhere(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: traffic.requests,
    totals: traffic.totals,
    reset: traffic.reset,
    fail: plan.add,
    chaos: plan.startChaos,
    heal: plan.clear,
    pause: () => stop((client) => client.resetAndDestroy()),
    resume: async () => {
      if (!server.listening) await listen(server, port);
    },
    close: () => stop((client) => client.destroy()),
  };
}

/** A proxy for each test of the file or `describe` that calls this. */
export function useProxy(target: () => string): () => HttpProxy {
  let proxy: HttpProxy | undefined;
  beforeEach(async () => {
    proxy = await startProxy(target());
  });
  afterEach(() => proxy?.close());
  return () => proxy!;
}

/** Below the ports that systems give to clients: nobody takes the port while the proxy is paused. */
async function listenSomewhere(server: Server): Promise<number> {
  for (let tries = 0; ; tries++) {
    const port = randomInt(10_000, 32_000);
    try {
      await listen(server, port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries > 100) throw error;
    }
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}
