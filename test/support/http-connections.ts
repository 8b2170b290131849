import { afterEach } from 'vitest';
import { type Connections, openConnections } from '#lib/http/connections/connections.js';

export interface TestConnectionOptions {
  readonly connections?: number;
  readonly stallMs?: number;
  /** Authorities in PEM, in place of Node's. */
  readonly trusted?: readonly string[];
}

/** Opens connections, without proxies; closed after each test. */
export function useConnections(): (
  options?: TestConnectionOptions,
) => Connections & { readonly stop: AbortController } {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });
  return ({ connections = 4, stallMs = 10_000, trusted } = {}) => {
    const stop = new AbortController();
    const authorities = async () => ({ trusted, unusable: [] });
    const opened = openConnections({ connections, stallMs, signal: stop.signal, authorities, env: {} });
    ends.push(() => opened.close());
    return { ...opened, stop };
  };
}
