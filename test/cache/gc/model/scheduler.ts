import type { Clock } from '#cache/leases/clock.js';
import type { Scheduler } from '#lib/object-store/decorators/delayed.js';
import type { StoreOperation } from '#lib/object-store/decorators/operations.js';

/** Random numbers of a seed, from 0 to below 1. */
export type Random = () => number;

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A request is done at the latest so long after it was sent: no store without compare-and-swap is safe otherwise. */
const IN_FLIGHT_MS = 10_000;

interface Waiting {
  readonly actor: Actor;
  readonly kind: 'request' | 'answer' | 'sleep';
  /** Requests: when they must be done; pauses: when they may end, by the world's time. */
  readonly time: number;
  readonly resume: () => void;
  readonly operation?: StoreOperation;
}

/** A process with clocks of its own, which may be asleep for a while, or be killed. */
export interface Actor {
  readonly name: string;
  readonly clock: Clock;
  isKilled: boolean;
  /** Requests that were on their way when it was killed, and are done all the same. */
  readonly lastWishes: Set<StoreOperation>;
  /** It does nothing until then. */
  asleepUntil: number;
}

/** The world: its time, and who goes on when. Nothing happens but by `step`. */
export interface World extends Scheduler {
  time: number;
  readonly random: Random;
  readonly actors: readonly Actor[];
  addActor(name: string): Actor;
  /** A request that is no operation of its own, such as the next page of a listing. */
  page(actor: Actor): Promise<void>;
  kill(actor: Actor): void;
  /** Lets something happen; false when nothing can. */
  step(): boolean;
}

export function createWorld(random: Random): World {
  const waiting: Waiting[] = [];
  const actors: Actor[] = [];
  const sent = new WeakSet<StoreOperation>();
  const wait = (actor: Actor, kind: Waiting['kind'], operation?: StoreOperation) =>
    new Promise<void>((resolve) => {
      const time = world.time + IN_FLIGHT_MS;
      waiting.push({ actor, kind, time, resume: resolve, ...(operation && { operation }) });
    });
  const world: World = {
    time: 1_700_000_000_000,
    random,
    actors,
    addActor(name) {
      const actor = createActor(name, world, waiting);
      actors.push(actor);
      return actor;
    },
    turn(name, operation) {
      const actor = actors.find((each) => each.name === name)!;
      // A decorator asks twice for each operation: when it is sent, and when it is answered.
      const isAnswer = sent.has(operation);
      sent.add(operation);
      return wait(actor, isAnswer ? 'answer' : 'request', operation);
    },
    page: (actor) => wait(actor, 'request'),
    kill(actor) {
      actor.isKilled = true;
      for (const { kind, operation, actor: of } of waiting) {
        if (of === actor && kind === 'request' && operation && random() < 0.5) actor.lastWishes.add(operation);
      }
    },
    step: () => step(world, waiting),
  };
  return world;
}

function createActor(name: string, world: World, waiting: Waiting[]): Actor {
  const actor: Clocks = {
    name,
    isKilled: false,
    lastWishes: new Set(),
    asleepUntil: 0,
    isMonotonicWrong: world.random() < 0.5,
    lostMonotonic: 0,
    wallOffset: Math.floor((world.random() - 0.5) * 3_600_000),
    clock: {
      monotonic: () => world.time - actor.lostMonotonic,
      wall: () => world.time + actor.wallOffset,
      sleep: (milliseconds, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          const stop = () => {
            waiting.splice(waiting.indexOf(entry), 1);
            resolve();
          };
          const resume = () => {
            signal?.removeEventListener('abort', stop);
            resolve();
          };
          const entry = { actor, kind: 'sleep' as const, time: world.time + milliseconds, resume };
          waiting.push(entry);
          signal?.addEventListener('abort', stop);
        }),
    },
  };
  return actor;
}

/** One of the clocks of a process may be wrong: the other one is right. */
interface Clocks extends Actor {
  readonly isMonotonicWrong: boolean;
  lostMonotonic: number;
  wallOffset: number;
}

/** Puts a process to sleep: one of its clocks stands still, or is set back, and the other goes on. */
export function suspend(world: World, actor: Actor, milliseconds: number): void {
  const clocks = actor as Clocks;
  actor.asleepUntil = world.time + milliseconds;
  if (clocks.isMonotonicWrong) clocks.lostMonotonic += milliseconds;
  else clocks.wallOffset -= milliseconds;
}

/** Mostly what the favourite does: a process gets far while another stands still, and then it is another's turn. */
function choose(world: World & { favourite?: Actor | undefined }, choice: readonly Waiting[]): Waiting {
  const { random, actors } = world;
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  if (random() < 0.06) world.favourite = random() < 0.3 ? undefined : pick(actors);
  const favoured = choice.filter(({ actor }) => actor === world.favourite);
  return pick(favoured.length > 0 && random() < 0.95 ? favoured : choice);
}

/** Does one thing that can be done, or lets time pass. */
function step(world: World, waiting: Waiting[]): boolean {
  if (waiting.length === 0) return false;
  const { random } = world;
  const overdue = waiting.filter(({ kind, time }) => kind === 'request' && time <= world.time);
  const isAwake = ({ actor }: Waiting) => actor.asleepUntil <= world.time || actor.isKilled;
  const ready = waiting.filter((each) =>
    each.kind === 'request' ? true : isAwake(each) && (each.kind === 'answer' || each.time <= world.time),
  );
  const choice = overdue.length > 0 ? overdue : ready;
  if (choice.length > 0 && (overdue.length > 0 || random() < 0.9)) {
    const chosen = choose(world, choice);
    waiting.splice(waiting.indexOf(chosen), 1);
    chosen.resume();
    return true;
  }
  const limits = waiting.flatMap(({ kind, time }) => (kind === 'request' ? [time] : []));
  const wakes = waiting.map(({ kind, time, actor }) => Math.max(kind === 'sleep' ? time : 0, actor.asleepUntil));
  const least = choice.length > 0 ? 0 : Math.max(0, Math.min(...wakes) - world.time);
  const passes = least + Math.floor(random() ** 3 * 8000);
  world.time = Math.min(world.time + passes, ...limits);
  return true;
}
