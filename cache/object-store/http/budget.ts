import type { HttpResponse, TransportDecorator } from './transport.js';

/** Statuses with which a server asks for fewer requests. */
const SLOW_DOWN = [429, 503];

/** Answers to requests that were sent before the last cut say nothing new. */
const CUT_PAUSE_MS = 1000;

/**
 * At most `limit` requests are under way, of parts, objects and everything else together. A server that asks to slow
 * down gets half as many; each answer after that adds a little (additive increase, multiplicative decrease).
 */
export function createBudget(limit: number): TransportDecorator {
  const waiting: (() => void)[] = [];
  let allowed = limit;
  let underWay = 0;
  let lastCut = Number.NEGATIVE_INFINITY;

  const admit = (): void => {
    while (underWay < Math.floor(allowed) && waiting.length > 0) {
      underWay++;
      waiting.shift()!();
    }
  };
  const release = (): void => {
    underWay--;
    admit();
  };
  const learn = ({ status }: HttpResponse): void => {
    if (!SLOW_DOWN.includes(status)) allowed = Math.min(limit, allowed + 1 / allowed);
    else if (performance.now() - lastCut > CUT_PAUSE_MS) {
      allowed = Math.max(1, allowed / 2);
      lastCut = performance.now();
    }
  };
  return (send) => async (request) => {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      admit();
    });
    try {
      const response = await send(request);
      learn(response);
      void response.closed.then(release);
      return response;
    } catch (error) {
      release();
      throw error;
    }
  };
}
