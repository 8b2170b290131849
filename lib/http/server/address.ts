/** Addresses to listen at, and who reaches them. */

import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { CarportError } from '../../errors.js';

/** An address and a port of this machine; port 0 is any that is free. */
export interface ListenAddress {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** Whether only this machine reaches an address. */
export function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Parses `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000`; `undefined` for what is none. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const parts = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[^\s:[\]/@]+)):(?<port>[0-9]{1,5})$/.exec(text)?.groups;
  const port = Number(parts?.port);
  if (parts === undefined || port > 65_535) return undefined;
  if (parts.six !== undefined) return isIP(parts.six) === 6 ? { host: parts.six, port } : undefined;
  return { host: parts.host!, port };
}

/** The address as URLs and people write it. */
export function renderListenAddress({ host, port }: ListenAddress): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** The address that a name stands for. Throws `E_NOT_FOUND` where it stands for none. */
export async function resolveListenAddress(wanted: ListenAddress): Promise<ListenAddress> {
  if (isIP(wanted.host) !== 0) return wanted;
  try {
    const { address } = await lookup(wanted.host);
    return { ...wanted, host: address };
  } catch (cause) {
    throw new CarportError('E_NOT_FOUND', `\`${wanted.host}\`, where to listen, is no address of this machine`, {
      cause,
      hint: 'give an address, such as `127.0.0.1:5000` or `[::1]:5000`',
    });
  }
}

/**
 * Whether a `Host` header names loopback. A page of any web site may have a name that leads here, and would be this server's own
 * page to a browser; the name in its requests is that of the site.
 */
export function namesLoopback(hostHeader: string | undefined): boolean {
  const host = /^(?:\[(?<six>[^\]]*)\]|(?<name>[^:]*))(?::[0-9]{1,5})?$/.exec(hostHeader ?? '')?.groups;
  if (host === undefined) return false;
  if (host.six !== undefined) return isLoopback(host.six);
  return host.name!.toLowerCase().replace(/\.$/, '') === 'localhost' || isLoopback(host.name!);
}
