/** What a server tells: where it listens and what to write into `nix.conf`, then little; as lines of JSON everything. */

import type { ServeEvent } from '../../cache/serve/events.js';
import { type PublicKey, renderPublicKey } from '../../lib/signing/key.js';
import type { Emit } from '../../lib/work.js';
import { type CommonOptions, type Context, note, say, writeJsonLine, writeLines } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';

export interface ServeReport {
  readonly emit: Emit<ServeEvent>;
  /** `address` is absent of a socket that is none of IP. */
  listening(address: string | undefined, keys: readonly PublicKey[]): Promise<void>;
  /** A signal has come. */
  draining(): void;
  /** All is answered. */
  ended(): void;
}

export function createServeReport(context: Context, options: CommonOptions): ServeReport {
  const totals = { requests: 0, nars: 0, narSize: 0 };
  const json = options.json === true;
  const show = json ? jsonEvents(context, options) : textEvents(context, options);
  return {
    emit(event) {
      if (event.type === 'request') totals.requests++;
      if (event.type === 'nar-fetched') totals.nars++;
      if (event.type === 'nar-fetched') totals.narSize += event.narSize;
      show(event);
    },
    async listening(address, keys) {
      const url = address && `http://${address}`;
      const nixConf = nixConfLines(url, keys);
      if (json) return writeJsonLine(context.stdout, { type: 'listening', ...(url && { url }), nixConf });
      note(context, options, `listening at ${url ?? 'the socket that was passed'}; the lines for nix.conf:`);
      await writeLines(context.stdout, nixConf);
    },
    draining() {
      if (json) writeJsonLine(context.stdout, { type: 'draining' });
      else note(context, options, 'ending when the answers that run are sent; a second signal ends at once');
    },
    ended() {
      if (json) return writeJsonLine(context.stdout, { type: 'summary', ...totals, result: 'done' });
      const { requests, nars, narSize } = totals;
      const fetched = `fetched ${count(nars, 'NAR')} (${formatBytes(narSize)})`;
      note(context, options, `served ${count(requests, 'request')}; ${fetched}`);
    },
  };
}

/** `extra-` leaves what is there; Nix asks them by their priorities. */
function nixConfLines(url: string | undefined, keys: readonly PublicKey[]): readonly string[] {
  return [
    ...(url === undefined ? [] : [`extra-substituters = ${url}`]),
    keys.length > 0
      ? `extra-trusted-public-keys = ${keys.map(renderPublicKey).join(' ')}`
      : '# extra-trusted-public-keys = the keys of these caches, as without carport serve',
  ];
}

/** Each request is told to those who ask for it. */
function isTold(event: ServeEvent, { verbose = 0 }: CommonOptions): boolean {
  return event.type !== 'request' || verbose > 0;
}

function jsonEvents({ stdout }: Context, options: CommonOptions): Emit<ServeEvent> {
  return (event) => {
    const { about: _, ...line } = { about: undefined, ...event };
    if (isTold(event, options)) writeJsonLine(stdout, line);
  };
}

function textEvents(context: Context, options: CommonOptions): Emit<ServeEvent> {
  return (event) => {
    if (event.type === 'warning') say(context, `${printableLine(`warning: ${event.message}`)}\n`);
    else if ((options.verbose ?? 0) > 0) say(context, `${printableLine(textOf(event))}\n`);
  };
}

function textOf(event: Exclude<ServeEvent, { type: 'warning' }>): string {
  if (event.type === 'nar-fetched') return `fetched ${event.path} (${formatBytes(event.narSize)}) from ${event.cache}`;
  const { method, target, status, milliseconds, failure } = event;
  return `${method} ${target} ${status} ${milliseconds} ms${failure === undefined ? '' : `, broken off: ${failure}`}`;
}
