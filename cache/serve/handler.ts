/** Answers what Nix asks of a binary cache, from the caches behind it. */

import { CarportError } from '../../lib/errors.js';
import type { Answer, ServedRequest, StreamedBody } from '../../lib/http/server/answer.js';
import { renderCacheInfo } from '../../lib/nix/cache-info.js';
import type { StoredObject } from '../../lib/object-store/object-store.js';
import type { ServedNar } from '../layout.js';
import { type NarInfos, servedNarInfo } from './narinfos.js';
import type { Nars } from './nars.js';
import { type Route, routeOf } from './route.js';
import type { Upstreams } from './upstreams.js';

export interface HandlerOptions {
  readonly upstreams: Upstreams;
  readonly narInfos: NarInfos;
  readonly nars: Nars;
  /** In place of those of the caches. */
  readonly priority: number | undefined;
  readonly offlineOk: boolean;
}

export type Handler = (request: ServedRequest) => Promise<Answer>;

const NOT_FOUND: Answer = { status: 404, body: '404\n' };

/** What a browser shows. */
const GREETING = 'This is a binary cache for Nix on this machine, of carport serve.\n';

/** Answers each request. A cache that fails is a status of the answer; an error breaks the connection. */
export function createHandler(options: HandlerOptions): Handler {
  return async (request) => {
    const route = routeOf(request.target);
    if (route === undefined) return NOT_FOUND;
    try {
      return await answerTo(route, request, options);
    } catch (error) {
      if (!(error instanceof CarportError)) throw error;
      return failed(route, error, options);
    }
  };
}

async function answerTo(
  route: Route,
  request: ServedRequest,
  { upstreams, narInfos, nars, priority }: HandlerOptions,
): Promise<Answer> {
  switch (route.kind) {
    case 'root':
      return { status: 200, body: GREETING };
    case 'cache-info': {
      const info = { ...(await upstreams.describe()), ...(priority !== undefined && { priority }) };
      return { status: 200, contentType: 'text/x-nix-cache-info', body: renderCacheInfo(info) };
    }
    case 'path': {
      const found = await narInfos.find(route.hashPart);
      if (found === undefined) return NOT_FOUND;
      return { status: 200, contentType: 'text/x-nix-narinfo', body: servedNarInfo(found.info) };
    }
    case 'contents':
      return answerWithNar(route, request, { narInfos, nars });
    case 'file': {
      const found = await upstreams.firstOf((objects) => objects.open(route.key));
      return found ? { status: 200, contentType: route.contentType, body: bodyOf(found) } : NOT_FOUND;
    }
  }
}

function bodyOf(object: StoredObject): StreamedBody {
  return {
    size: object.size,
    pieces: () => object.bytes(),
    discard: () => object.discard(),
  };
}

async function answerWithNar(
  key: ServedNar,
  { method, signal }: ServedRequest,
  { narInfos, nars }: Pick<HandlerOptions, 'narInfos' | 'nars'>,
): Promise<Answer> {
  const { value: found } = await narInfos.having(key.hashPart, key.narHash).next();
  if (found === undefined) return NOT_FOUND;
  const { info } = found;
  const contentType = 'application/x-nix-nar';
  const answer = { status: 200, contentType, body: { size: info.narSize, pieces: () => nothing() } };
  if (method === 'HEAD') return answer;
  // While nothing is sent, what goes wrong has a status.
  const pieces = nars.open(info, key, signal);
  const first = await pieces.next();
  async function* all(): AsyncGenerator<Uint8Array> {
    if (!first.done) yield first.value;
    yield* pieces;
  }
  return { ...answer, body: { size: info.narSize, pieces: all } };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/**
 * A NAR that no cache gives is one that is gone, for which Nix goes on to its next substituter. What is only not known just now
 * Nix is told to ask again, unless the caches may be away.
 */
function failed(route: Route, error: CarportError, { offlineOk }: HandlerOptions): Answer {
  const isAway = error.code === 'E_UNAVAILABLE';
  const isGone = isAway ? offlineOk : route.kind === 'contents' || error.code === 'E_NOT_FOUND';
  if (isGone) return NOT_FOUND;
  return { status: isAway ? 503 : 502, body: 'no cache that is behind this one has answered as it should\n' };
}
