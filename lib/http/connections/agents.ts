/** The agents that keep connections: to servers themselves, and through proxies. */

import { setMaxListeners } from 'node:events';
import { Agent, type RequestOptions } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import { basicAuthorization } from '../basic.js';
import type { Authorities } from './certificates.js';
import { type HttpProxy, proxyFor } from './proxy.js';
import { tapConnections } from './taps.js';

export interface AgentOptions {
  /** Connections to one server. */
  readonly connections: number;
  /** Certificate authorities to trust in place of Node's. Asked for when TLS is first used. */
  authorities(): Promise<Authorities>;
  /** Names proxies. */
  readonly env: NodeJS.ProcessEnv;
}

/** How a request gets to its server. */
export interface Route {
  readonly options: RequestOptions;
  /** Headers that only a proxy is told. */
  readonly headers: Readonly<Record<string, string>>;
  readonly proxy?: HttpProxy;
  /** Whether the proxy passes on bytes that it does not read. */
  readonly isTunnel?: boolean;
}

export interface Agents {
  routeTo(url: URL): Promise<Route>;
  /** What of the environment's authorities cannot be used, when TLS was used. */
  unusableAuthorities(): readonly string[];
  /** Lets connections go that nobody uses, but for so many in all. */
  keep(connections: number): void;
  close(): void;
}

/** Agents for one client. Those that need a library or certificates are made when they are first used. */
export function createAgents({ connections, authorities, env }: AgentOptions): Agents {
  const kept = { keepAlive: true, maxSockets: connections, scheduling: 'lifo' } as const;
  const agents = new Map<string, Agent>();
  const agentFor = async (name: string, make: () => Agent | Promise<Agent>): Promise<Agent> => {
    const agent = agents.get(name) ?? (await make());
    // Another request may have made it meanwhile.
    if (!agents.has(name)) agents.set(name, agent);
    return agents.get(name)!;
  };
  // The agents of proxies do not know of connections that are not through yet.
  const closing = new AbortController();
  const { signal } = closing;
  setMaxListeners(0, signal);
  let unusableAuthorities: readonly string[] = [];
  let trusted: Promise<Trust> | undefined;
  const trust = (): Promise<Trust> =>
    (trusted ??= authorities().then(({ trusted: ca, unusable }) => {
      unusableAuthorities = unusable;
      // Made once: to parse all authorities takes 40 ms, and each connection would.
      return ca === undefined ? {} : { secureContext: createSecureContext({ ca: [...ca] }) };
    }));

  const direct = async ({ protocol, hostname, port, pathname, search }: URL): Promise<Route> => {
    const agent =
      protocol === 'https:'
        ? await agentFor('https:', async () => tapConnections(new TlsAgent({ ...kept, ...(await trust()) })))
        : await agentFor('http:', () => tapConnections(new Agent(kept)));
    // Parsed already: given the URL, Node would do it again.
    const options = { protocol, hostname: plainHost(hostname), port, path: pathname + search, agent };
    return { options, headers: {} };
  };
  const tunnelled = async (url: URL, proxy: HttpProxy): Promise<Route> => {
    const trusting = url.protocol === 'https:' || proxy.url.protocol === 'https:' ? await trust() : {};
    const agent = await agentFor(proxy.url.href, () => tunnelAgent(proxy, { ...kept, ...trusting }, signal));
    const { options, headers } = await direct(url);
    return { options: { ...options, ...trusting, agent }, headers, proxy, isTunnel: true };
  };
  /** A proxy is told the whole URL of what is not secret (RFC 9112, section 3.2.2). */
  const forwarded = async (url: URL, proxy: HttpProxy): Promise<Route> => {
    const { options } = await direct(new URL(proxy.url.origin));
    return { options: { ...options, path: url.href }, headers: { host: url.host, ...authorizationOf(proxy) }, proxy };
  };
  const proxyOf = proxiesIn(env);
  return {
    async routeTo(url) {
      const proxy = proxyOf(url);
      if (proxy === undefined) return direct(url);
      const forwards = url.protocol === 'http:' && /^https?:$/.test(proxy.url.protocol);
      return forwards ? forwarded(url, proxy) : tunnelled(url, proxy);
    },
    unusableAuthorities: () => unusableAuthorities,
    keep: (connections) => keepSockets([...agents.values()], connections),
    close() {
      closing.abort();
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

function keepSockets(agents: readonly Agent[], connections: number): void {
  const free = agents.flatMap(({ freeSockets }) => Object.values(freeSockets).flatMap((sockets = []) => sockets));
  const used = agents.flatMap(({ sockets: used }) => Object.values(used).flatMap((sockets = []) => sockets));
  for (const socket of free.slice(0, Math.max(0, free.length + used.length - connections))) socket.destroy();
}

/** What a TLS connection is told of whom to trust; nothing for what Node trusts anyway. */
interface Trust {
  readonly secureContext?: SecureContext;
}

interface TunnelOptions extends Trust {
  readonly keepAlive: boolean;
  readonly maxSockets: number;
  readonly scheduling: 'lifo';
}

/** The agent for connections through a proxy; `signal` ends those that are not through yet. */
async function tunnelAgent({ url }: HttpProxy, options: TunnelOptions, signal: AbortSignal): Promise<Agent> {
  if (url.protocol.startsWith('socks')) {
    const { secureContext: _, ...kept } = options;
    const { SocksProxyAgent } = await import('socks-proxy-agent');
    return new SocksProxyAgent(url, { ...kept, socketOptions: { signal } });
  }
  const { HttpsProxyAgent } = await import('https-proxy-agent');
  return new HttpsProxyAgent(url, { ...options, signal });
}

/** The proxy for each server. The environment is slow to ask, and there are many requests. */
function proxiesIn(env: AgentOptions['env']): (url: URL) => HttpProxy | undefined {
  const proxies = new Map<string, HttpProxy | undefined>();
  return (url) => {
    const server = `${url.protocol}//${url.host}`;
    if (!proxies.has(server)) proxies.set(server, proxyFor(url, env));
    return proxies.get(server);
  };
}

function plainHost(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function authorizationOf({ url: { username, password } }: HttpProxy): Readonly<Record<string, string>> {
  if (username === '' && password === '') return {};
  return { 'proxy-authorization': basicAuthorization(decodeURIComponent(username), decodeURIComponent(password)) };
}
