import { hash } from 'node:crypto';
import { NO_MEMORY } from '#cache/gc/narinfo-memory.js';
import { applyCollection, type GcRequest, planCollection, type Sweeping } from '#cache/gc/session.js';
import { SWEEP_STEPS } from '#cache/gc/sweep.js';
import { CACHE_INFO_KEY, PIN_LIST, PINS } from '#cache/layout.js';
import type { HoldTimes } from '#cache/leases/hold.js';
import { LEASING, type Leasing } from '#cache/leases/lease.js';
import { findWhole } from '#cache/push/nothing-new.js';
import { pushClosure } from '#cache/push/session.js';
import { CarportError } from '#lib/errors.js';
import { encodeNix32 } from '#lib/nix/base32.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { delayedStore } from '#lib/object-store/decorators/delayed.js';
import { faultyStore } from '#lib/object-store/decorators/faulty.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { sampleKey } from '../../../support/samples.js';
import { pinPolicy, SEEN_NOTHING } from '../../../support/transfers.js';
import { BY_KEY, closureGraph, closureNames, modelPool, NAMES, NARS_BY_KEY, PATHS, TOPS } from './paths.js';
import { type Actor, createRandom, createWorld, suspend, type World } from './scheduler.js';

const KEY = sampleKey('model-1');
const PIN_RULES = {
  policy: { ...pinPolicy({ keys: [KEY.publicKey], allowUnsigned: false }), now: () => 1_700_000_000_000 },
  seen: SEEN_NOTHING,
  history: 1000,
};

/** What is written within this time before a collection begins stays. */
export const GRACE_MS = 30_000;

/** A request may be under way for `IN_FLIGHT_MS`: the lifetime is longer than the trusted time by that and more. */
const TIMES: HoldTimes = { lifetime: 32_000, trusted: 20_000, renewal: 6000 };

/** How pushes and sweeps are; broken variants of the protocol change something here. */
export interface Protocol {
  readonly leasing: Omit<Leasing, 'clock' | 'identity'>;
  /** How many of the pushes, of one, look at their roots first, and end there if these are in the cache. */
  readonly atRoots: number;
  /** Of these, where it is another. */
  readonly leasingAtRoots?: Omit<Leasing, 'clock' | 'identity'>;
  readonly sweeping: Omit<Sweeping, 'clock' | 'identity'>;
  /** Around the store of a push, outside of what its lease guards. */
  readonly storeOfPush?: (store: WriteStore) => WriteStore;
}

export const PROTOCOL: Protocol = {
  atRoots: 0.3,
  leasing: { ...LEASING, times: TIMES, poll: 3000 },
  sweeping: { times: TIMES, patience: 2000, poll: 1000, steps: SWEEP_STEPS },
};

/** What a run of a seed has found. */
export interface Outcome {
  readonly seed: number;
  /** What was lost, or kept for nothing; `undefined` when all is well. */
  readonly failure: string | undefined;
  readonly pushes: number;
  /** Of those, how many ended at their roots. */
  readonly atRoots: number;
  readonly sweeps: number;
  readonly removed: number;
}

/** What must be there. */
interface Promised {
  readonly name: string;
  /** Until this time; by then a collection may take it. */
  readonly until: number;
}

interface Run {
  readonly world: World;
  readonly objects: MemoryObjects;
  readonly protocol: Protocol;
  readonly promised: Promised[];
  /** When each actor has put a narinfo last. */
  readonly written: Map<string, number>;
  readonly counts: { pushes: number; atRoots: number; sweeps: number; removed: number };
  readonly hasLargeNars: boolean;
  failure: string | undefined;
  ids: number;
}

/** Lets pushers and sweepers act as a seed says, and looks at each change whether something is lost. */
export async function explore(seed: number, protocol: Protocol = PROTOCOL): Promise<Outcome> {
  const random = createRandom(seed);
  const world = createWorld(random);
  const counts = { pushes: 0, atRoots: 0, sweeps: 0, removed: 0 };
  const run: Run = {
    ...{ world, protocol, counts, objects: new Map(), promised: [], written: new Map(), failure: undefined, ids: 0 },
    hasLargeNars: random() < 0.35,
  };
  fill(run);
  const work = [pusher(run, 'a'), sweeper(run, 'x', 1)];
  if (random() < 0.4) work.push(pusher(run, 'b'));
  if (random() < 0.2) work.push(sweeper(run, 'y', 1));
  await drive(run, Promise.all(work), true);
  if (run.failure === undefined && random() < 0.05) await checkNothingKept(run);
  return { seed, failure: run.failure, ...counts };
}

/** A cache that is complete, and has NARs that nobody names: of some time ago, or of a moment ago. */
function fill({ world, objects }: Run): void {
  const { random } = world;
  const age = () => (random() < 0.8 ? 500_000 : random() * 2 * GRACE_MS);
  const put = (key: string, bytes: Buffer, before: number) =>
    objects.set(key, {
      bytes,
      metadata: { contentType: 'text/plain' },
      modified: new Date(Math.floor((world.time - before) / 1000) * 1000),
      etag: hash('md5', bytes),
    });
  put(CACHE_INFO_KEY, Buffer.from('StoreDir: /nix/store\n'), 0);
  const there = new Set<string>();
  // A cache that has lost its narinfos has NARs only.
  const share = random() < 0.3 ? 0 : 0.5;
  for (const top of [...TOPS, 'twin']) if (random() < share) for (const name of closureNames(top)) there.add(name);
  for (const name of NAMES) {
    const { key, narKey, text, packed } = PATHS.get(name)!;
    if (there.has(name)) put(key, text, age());
    if (there.has(name) || random() < 0.7) put(narKey, Buffer.from(packed.bytes!), age());
    if (there.has(name) || random() < 0.2) put(key.replace('.narinfo', '.ls'), Buffer.from('{}'), age());
  }
}

/** Goes on until the work has ended. */
async function drive(run: Run, work: Promise<unknown>, mayHarm: boolean): Promise<void> {
  const { world } = run;
  let isDone = false;
  const ended = work.finally(() => {
    isDone = true;
  });
  ended.catch((error) => {
    run.failure ??= String(error);
  });
  for (let steps = 0; !isDone && run.failure === undefined; steps++) {
    await settle(run);
    if (isDone) break;
    if (mayHarm && world.random() < 0.015) harm(world);
    if (!world.step() || steps > 50_000) throw new Error('the model stands still');
  }
  if (run.failure === undefined) await ended;
  // What nobody waits for any more ends, too.
  for (const actor of world.actors) actor.isKilled = true;
  while (world.step()) await settle(run);
}

/** Waits until every process waits for its turn. What was spooled is removed from a real disk. */
async function settle({ hasLargeNars }: Run): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (hasLargeNars && process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq')));
}

/** Kills a process, or puts it to sleep. */
function harm(world: World): void {
  const living = world.actors.filter(({ isKilled }) => !isKilled);
  const actor = living[Math.floor(world.random() * living.length)];
  if (actor === undefined) return;
  if (world.random() < 0.3) world.kill(actor);
  else suspend(world, actor, Math.floor(20_000 + world.random() * 120_000));
}

function openFor(run: Run, actor: Actor): WriteStore {
  const { world, objects } = run;
  const memory = openMemoryStore(objects, {
    now: () => new Date(world.time),
    pageSize: 4,
    async beforePage() {
      await world.page(actor);
      if (actor.isKilled) throw new Error('killed');
    },
  });
  const observed: WriteStore = {
    ...memory,
    spoolName: async () => '/nowhere',
    async put(key, body, metadata) {
      await memory.put(key, body instanceof Uint8Array ? body : NARS_BY_KEY.get(key)!, metadata);
      if (BY_KEY.has(key)) run.written.set(`${actor.name} ${key}`, world.time);
      check(run, `${actor.name} puts ${key}`);
    },
    async remove(keys) {
      await memory.remove(keys);
      check(run, `${actor.name} removes ${keys.join(' ')}`);
    },
  };
  const faulty = faultyStore(observed, (operation) =>
    actor.isKilled && !actor.lastWishes.has(operation) ? 'killed' : undefined,
  );
  return delayedStore(faulty, actor.name, world);
}

/** What is visible is complete, and what was promised is there. */
function check(run: Run, doing: string): void {
  const lost = run.failure === undefined ? firstLoss(run) : undefined;
  if (lost !== undefined) run.failure = `${lost} when ${doing}`;
}

function firstLoss({ objects, world, promised }: Run): string | undefined {
  for (const path of PATHS.values()) {
    const missing = objects.has(path.key) ? path.needs.find((key) => !objects.has(key)) : undefined;
    if (missing !== undefined) return `${path.name} lacks ${missing}`;
  }
  const isGone = (name: string) => !objects.has(PATHS.get(name)!.key);
  const lost = promised.find(({ name, until }) => world.time < until && isGone(name));
  if (lost) return `${lost.name} is gone, which was pushed`;
  const name = pinned(objects).find(isGone);
  return name === undefined ? undefined : `${name} is gone, which is pinned`;
}

function pinned(objects: MemoryObjects): readonly string[] {
  const names: string[] = [];
  for (const [key, { bytes }] of objects) {
    if (!key.startsWith(PINS)) continue;
    const text = Buffer.from(bytes).toString();
    for (const { info, name } of PATHS.values()) if (text.includes(info.path)) names.push(name);
  }
  return names;
}

const identityOf = (run: Run) => ({
  newId() {
    const bytes = Buffer.alloc(20);
    bytes.writeUInt32LE(++run.ids);
    return encodeNix32(bytes);
  },
  process: async () => 'model',
});

/** Begins again under another name when it was killed. */
async function withLives(run: Run, name: string, work: (actor: Actor) => Promise<void>): Promise<void> {
  for (let life = 0; life < 3; life++) {
    const actor = run.world.addActor(`${name}${life}`);
    try {
      return await work(actor);
    } catch (error) {
      if (!actor.isKilled) throw error;
    }
  }
}

function pusher(run: Run, name: string): Promise<void> {
  const { random } = run.world;
  return withLives(run, name, async (actor) => {
    const count = random() < 0.3 ? 2 : 1;
    for (let number = 0; number < count; number++) {
      await actor.clock.sleep(random() * 12_000);
      await push(run, actor, TOPS[Math.floor(random() * TOPS.length)]!, random() < 0.05);
    }
  });
}

async function push(run: Run, actor: Actor, name: string, isPinned: boolean): Promise<void> {
  const { protocol, world, written, promised, counts } = run;
  const { info, key } = PATHS.get(name)!;
  const graph = closureGraph(name);
  const store = {
    storeDir: '/nix/store',
    realStoreDirs: [],
    description: '',
    realPath: ({ path }: PathInfo) => path,
  };
  const pin = { name: `pin-${name}`, expiresAt: null, keep: 30, discardHistory: false };
  const request = {
    store: store as never,
    own: undefined,
    closure: { graph, pinned: { storePaths: [info.path], derivations: [] } } as never,
    realisations: [],
    keys: [],
    packing: { compression: 'zstd', level: 3, listing: true } as const,
    pins: { requests: isPinned ? [pin] : [], signing: { keys: [KEY], policy: PIN_RULES.policy, seen: SEEN_NOTHING } },
    checkAll: false,
    skipSignedBy: { names: [], origin: '' },
    dryRun: false,
  };
  const { signal } = new AbortController();
  const own = { clock: actor.clock, identity: identityOf(run) };
  const work = { emit: () => {}, signal, leasing: { ...protocol.leasing, ...own } };
  const atRoots = { ...work, leasing: { ...(protocol.leasingAtRoots ?? protocol.leasing), ...own } };
  const open = openFor(run, actor);
  const objects = protocol.storeOfPush?.(open) ?? open;
  // As of the command: pins need the closure.
  const looksAtRoots = !isPinned && protocol.atRoots > 0 && world.random() < protocol.atRoots;
  try {
    const asked = { paths: [info.path], roots: Promise.resolve([info]), keys: [], skipSignedBy: [] };
    const found = looksAtRoots && (await findWhole(objects, asked, atRoots));
    if (found) counts.atRoots++;
    else await pushClosure(objects, request, { ...work, pool: modelPool(run.hasLargeNars) });
  } catch (error) {
    if (actor.isKilled || !(error instanceof CarportError) || error.code !== 'E_UNAVAILABLE') throw error;
    return;
  }
  counts.pushes++;
  promised.push({ name, until: (written.get(`${actor.name} ${key}`) ?? 0) + GRACE_MS - 1000 });
  check(run, `${actor.name} has pushed ${name}`);
  if (isPinned && world.random() < 0.5) await actor.clock.sleep(5000);
}

function requestOf(): GcRequest {
  return { pins: PIN_RULES, sources: [], keepNewerThan: GRACE_MS, maxSize: undefined };
}

function sweeper(run: Run, name: string, count: number): Promise<void> {
  const { random } = run.world;
  return withLives(run, name, async (actor) => {
    for (let number = 0; number < count; number++) {
      if (random() < 0.6) await actor.clock.sleep(random() * 15_000);
      await sweepOnce(run, actor);
    }
  });
}

/** False when something hindered it. */
async function sweepOnce(run: Run, actor: Actor): Promise<boolean> {
  const { protocol, counts } = run;
  const objects = openFor(run, actor);
  const { signal } = new AbortController();
  const work = { emit: () => {}, signal };
  try {
    const plan = await planCollection(objects, requestOf(), { ...work, memory: NO_MEMORY });
    const sweeping = { ...protocol.sweeping, clock: actor.clock, identity: identityOf(run) };
    const { objects: removed } = await applyCollection(objects, plan, requestOf(), work, sweeping);
    counts.sweeps++;
    counts.removed += removed;
    return true;
  } catch (error) {
    if (actor.isKilled || !(error instanceof CarportError) || error.code !== 'E_UNAVAILABLE') throw error;
    return false;
  }
}

/** When everything has ended, two sweeps leave what pins keep, and nothing else. */
async function checkNothingKept(run: Run): Promise<void> {
  const { world, objects } = run;
  world.time += 200_000;
  run.promised.length = 0;
  const last = async () => {
    const actor = world.addActor('last');
    for (let left = 2; left > 0; ) if (await sweepOnce(run, actor)) left--;
  };
  await drive(run, last(), false);
  if (run.failure !== undefined) return;
  const kept = new Set(pinned(objects).flatMap((name) => [...closureNames(name)]));
  const wanted = [...kept].flatMap((name) => [PATHS.get(name)!.key, PATHS.get(name)!.narKey]);
  const needed = new Set([
    CACHE_INFO_KEY,
    PIN_LIST,
    ...wanted,
    ...[...kept].map((name) => PATHS.get(name)!.key.replace('.narinfo', '.ls')),
  ]);
  const extra = [...objects.keys()].filter((key) => !needed.has(key) && !key.startsWith(PINS));
  if (extra.length > 0) run.failure = `kept for nothing: ${extra.join(' ')}`;
}
