import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/**
 * What goes wrong with one exchange. An answer without a body is cut within its head; where there is no byte to flip and
 * no body to shorten, nothing happens.
 */
export type Fault = Answer | Delay | Gate | Flip | (typeof PLAIN_FAULTS)[number];

export const PLAIN_FAULTS = [
  /** RST instead of an answer; the server sees nothing. */
  'reset-before',
  /** The server has done it, then RST instead of an answer. */
  'reset-after',
  /** RST after half of the request's body, or of the answer when the request has none. */
  'reset-midway',
  /** The connection ends, in order, after half of the answer. */
  'truncate',
  /** Half of the body, as if it were all. */
  'truncate-silently',
  /** Half of the answer, then nothing until the client goes away. */
  'stall',
  /** The request is read; the server sees nothing and the client hears nothing until it goes away. */
  'stall-before',
] as const;

/** An answer that is not the server's, which sees nothing. */
export interface Answer {
  readonly status: number;
  /** Seconds. */
  readonly retryAfter?: number;
  /** Default: an error as S3 words it. */
  readonly body?: string;
  /**
   * Reads the request's body before answering. Otherwise answers at once and closes: a client that still writes may see
   * a broken connection instead of the answer, as with real servers.
   */
  readonly readBody?: boolean;
}

export interface Delay {
  /** Milliseconds until the request goes to the server. */
  readonly delay: number;
}

export interface Gate {
  /** When the request goes to the server. */
  readonly until: Promise<unknown>;
}

export interface Flip {
  /** Offset in the body of the byte whose lowest bit changes. */
  readonly flip: number;
  /** Default: down, the answer's body. */
  readonly direction?: 'up' | 'down';
}

/** A request's head. */
export interface RequestHead {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export type Match = (request: RequestHead) => boolean;

export interface Rule {
  /** Default: every request. */
  readonly match?: Match;
  /** How many requests are to fail; default 1. */
  readonly times?: number;
  /** How many matching requests pass before that. */
  readonly skip?: number;
  readonly fault: Fault;
}

export interface Chaos {
  readonly seed: number | string;
  /** Of a fault, for each request: 0 to 1. */
  readonly probability: number;
  readonly faults: readonly Fault[];
  readonly match?: Match;
  /** At most so many faults for one method and path, so that clients who try more often succeed. */
  readonly timesEach?: number;
}

/** Decides which fault, if any, befalls a request: the first rule that is due, otherwise chaos. */
export function createFaultPlan() {
  let rules: { readonly rule: Rule; skip: number; times: number }[] = [];
  let chaos: ((request: RequestHead) => Fault | undefined) | undefined;

  return {
    add(rule: Rule): void {
      rules.push({ rule, skip: rule.skip ?? 0, times: rule.times ?? 1 });
    },
    startChaos(settings: Chaos): void {
      chaos = createChaos(settings);
    },
    clear(): void {
      rules = [];
      chaos = undefined;
    },
    next(request: RequestHead): Fault | undefined {
      for (const state of rules) {
        if (state.times <= 0 || state.rule.match?.(request) === false) continue;
        if (state.skip > 0) state.skip--;
        else {
          state.times--;
          return state.rule.fault;
        }
      }
      return chaos?.(request);
    },
  };
}

/** What is another in each run: the bucket of `freshBucket`, and the server's upload ids. */
const DRAWN_ANEW = /^\/test-[0-9a-f]{12}(?=[/?]|$)|\buploadId=[^&]*/g;

/** Draws for the nth request of a method and path, whatever comes between: concurrency does not change what happens. */
function createChaos({ seed, probability, faults, match, timesEach = Number.POSITIVE_INFINITY }: Chaos) {
  const seen = new Map<string, { requests: number; faults: number }>();
  return (request: RequestHead): Fault | undefined => {
    if (match?.(request) === false) return undefined;
    const name = `${request.method} ${request.path.replace(DRAWN_ANEW, '')}`;
    const counts = seen.get(name) ?? { requests: 0, faults: 0 };
    seen.set(name, counts);
    const draw = createHash('sha256')
      .update(`${seed}\n${name}\n${counts.requests++}`)
      .digest();
    if (counts.faults >= timesEach || draw.readUInt32LE(0) / 2 ** 32 >= probability) return undefined;
    counts.faults++;
    return faults[draw.readUInt32LE(4) % faults.length];
  };
}
