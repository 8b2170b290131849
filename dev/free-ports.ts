/** Ports that are free. */

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Gives that many consecutive ports of 127.0.0.1 that are free now. Two callers get the same ports or none in common.
 * They are below those that systems give to outgoing connections, so they stay free while a server is restarted.
 */
export async function findFreePorts(count: number): Promise<readonly number[]> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const first = FIRST + count * randomInt(Math.floor((END - FIRST) / count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if ((await Promise.all(ports.map(isFreePort))).every(Boolean)) return ports;
  }
  throw new Error('found no free ports');
}

const FIRST = 15_000;
const END = 32_000;

export async function isFreePort(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
