/** Where a server listens: what options and systemd say of it. */

import { CarportError } from '../../lib/errors.js';
import {
  isLoopback,
  type ListenAddress,
  parseListenAddress,
  renderListenAddress,
  resolveListenAddress,
} from '../../lib/http/server/address.js';
import { type ListenAt, remoteAddress } from '../../lib/http/server/server.js';

const DEFAULT_ADDRESS: ListenAddress = { host: '127.0.0.1', port: 5000 };

/** The first descriptor that systemd passes (sd_listen_fds(3)). */
const PASSED = 3;

/** The parser of `--listen`. */
export function checkListen(text: string, place: string): ListenAddress {
  const found = parseListenAddress(text);
  if (found) return found;
  const isSocket = text.startsWith('unix:') || text.startsWith('/');
  throw new CarportError('E_USAGE', `\`${text}\` (${place}) is no address with a port`, {
    hint: isSocket
      ? 'Nix reads no cache from a socket of a file: give an address such as `127.0.0.1:5000`'
      : 'give one such as `127.0.0.1:5000`, `[::1]:5000` or `localhost:5000`',
  });
}

interface ListenOptions {
  readonly listen?: ListenAddress | undefined;
  readonly allowRemote: boolean;
}

/** Where to listen: the socket that systemd has opened, if there is one. Throws `E_USAGE` for what others reach, unless they may. */
export async function placeToListen({ listen, allowRemote }: ListenOptions, env: NodeJS.ProcessEnv): Promise<ListenAt> {
  const descriptor = passedDescriptor(env, process.pid);
  if (descriptor !== undefined && listen) {
    throw new CarportError('E_USAGE', '`--listen` and a socket that is passed (LISTEN_FDS) exclude each other', {
      hint: 'systemd opens what the `.socket` says: leave `--listen` out there',
    });
  }
  if (descriptor !== undefined) return { descriptor };
  const address = await resolveListenAddress(listen ?? DEFAULT_ADDRESS);
  if (!allowRemote && !isLoopback(address.host)) throw remoteAddress(renderListenAddress(listen ?? address));
  return address;
}

/** The descriptor that was passed to the process `pid`; `undefined` where none was. */
export function passedDescriptor(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const { LISTEN_FDS: count, LISTEN_PID: owner = String(pid) } = env;
  // Those of another process were inherited by mistake.
  if (!count || count === '0' || owner !== String(pid)) return undefined;
  if (count === '1') return PASSED;
  throw new CarportError('E_USAGE', `${count} sockets are passed (LISTEN_FDS), and one is listened at`, {
    hint: 'have one `ListenStream=` in the `.socket`',
  });
}
