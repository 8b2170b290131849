/** Holds a lease or a sweep: writes it, renews it in time, and knows well before others do when it is void. */

import type * as v from 'valibot';
import { CarportError, hasCode } from '../../lib/errors.js';
import { type DocumentPlace, putSigned } from '../../lib/object-store/documents.js';
import type { WriteStore } from '../../lib/object-store/object-store.js';
import type { DocumentKind, DocumentOf } from '../../lib/signing/document.js';
import { type Clock, elapsedSince, type Moment, momentOf } from './clock.js';

/** How long what is held counts, in milliseconds. */
export interface HoldTimes {
  /** For others, since it was written last, by the store's clock. */
  readonly lifetime: number;
  /** For its owner, since it began to write it, by the owner's clocks. The rest is for requests that are under way by then. */
  readonly trusted: number;
  /** So often it is written again. */
  readonly renewal: number;
}

/** Patience that the times above have room for, with as much to spare. */
const USUAL_PATIENCE = 60_000;

/** The times for requests that are tried again for so many milliseconds: one of them may be done as late as that. */
export function timesFor(times: HoldTimes, patience: number): HoldTimes {
  return { ...times, lifetime: times.lifetime + Math.max(0, Math.ceil((patience - USUAL_PATIENCE) / 1000) * 1000) };
}

/** A document that counts as long as this process lives. */
export interface Hold<Value> {
  /** What was written last. */
  value(): Value;
  /** Throws `E_UNAVAILABLE` when it may be void soon. Ask before each change that depends on it. */
  check(): void;
  /** Until when `check` is content, unless it is renewed. */
  until(): Moment;
  /** Whether an error is that of `check`: the work may begin anew with another document. */
  isLapse(error: unknown): boolean;
  /** Writes it with other content. */
  update(value: Value): Promise<void>;
  /** Removes it. */
  release(): Promise<void>;
}

/** What somebody holds, and how. */
export interface HoldOptions {
  readonly clock: Clock;
  readonly times: HoldTimes;
  /** Ends what the renewal waits for. */
  readonly signal?: AbortSignal;
}

/** Writes a document and renews it until it is released. Throws where the first writing fails. */
export async function hold<Entries extends v.ObjectEntries>(
  objects: WriteStore,
  place: DocumentPlace<Entries>,
  first: DocumentOf<DocumentKind<Entries>>,
  { clock, times }: HoldOptions,
): Promise<Hold<DocumentOf<DocumentKind<Entries>>>> {
  let lapse: CarportError | undefined;
  const stop = new AbortController();
  let value = first;
  let since: Moment = momentOf(clock);
  let last: Promise<void> = Promise.resolve();
  let isOver = false;
  const isLapsed = () => (isOver ||= elapsedSince(clock, since) >= times.trusted);
  const write = async () => {
    const begun = momentOf(clock);
    await putSigned(objects, place, value, []);
    // Others may have found it void by now: then it is not taken up again.
    if (!isLapsed()) since = begun;
  };
  /** One after another: what is written first must not arrive last. */
  const queue = (): Promise<void> => {
    last = last.catch(() => undefined).then(write);
    return last;
  };
  const renew = async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(times.renewal, stop.signal);
      if (stop.signal.aborted || isLapsed()) return;
      await queue().catch(() => undefined);
    }
  };
  await queue();
  const renewing = renew();
  return {
    value: () => value,
    check() {
      if (!isLapsed()) return;
      lapse ??= lapsed(place.kind.what, objects.url);
      throw lapse;
    },
    until: () => ({ monotonic: since.monotonic + times.trusted, wall: since.wall + times.trusted }),
    isLapse: (error) => error !== undefined && error === lapse,
    async update(changed) {
      value = changed;
      await queue();
    },
    async release() {
      stop.abort(RELEASED);
      isOver = true;
      await last.catch(() => undefined);
      await renewing;
      await objects.remove([place.keyOf(first)]);
    },
  };
}

/** Why the renewal ends; nobody sees it. */
const RELEASED = 'released';

function lapsed(what: string, url: string): CarportError {
  return new CarportError('E_UNAVAILABLE', `the ${what} in \`${url}\` could not be renewed in time`, {
    hint: 'the server did not answer for minutes, or this machine slept: run it again, what was finished is kept',
  });
}

/** Whether a store does not take documents of ours: it is no bucket, or a key may not write there. */
export function isRefusal(error: unknown): error is CarportError {
  return hasCode(error, 'E_CREDENTIALS', 'E_UNSUPPORTED', 'E_REMOTE', 'E_NOT_FOUND');
}
