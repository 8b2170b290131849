/** Named pipes, which Node reads without holding a thread only as it reads sockets. */

import { constants, open } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

/** Opens a named pipe. A thread that waited for its writer could not be stopped, and the process would wait for it. */
export async function openPipe(path: string): Promise<Readable> {
  const fd = await promisify(open)(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}
