/** The commands `store add`, `ls`, `info` and `verify`. */

import { basename, resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { formatHash } from '../../lib/nix/hash.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { Notice } from '../../lib/notice.js';
import { openKnown, openStoreForWriting } from '../../lib/store/open.js';
import { addToStore } from '../../lib/store/own/add.js';
import { realPathIn } from '../../lib/store/own/layout.js';
import { withStoreWrite } from '../../lib/store/own/lock/lock.js';
import { makeOutLink, prepareOutLinks } from '../../lib/store/own/out-links.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import { listRoots, type Root } from '../../lib/store/own/roots.js';
import { OWN_PROBLEMS, type StoreProblem, unregisterDamaged, verifyStore } from '../../lib/store/own/verify.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { openLocalPaths, pathsOfOwn, resolveLocalPaths } from '../arguments/local-paths.js';
import { type Context, note, write, writeJson, writeLines } from '../cli/context.js';
import { type KeyValue, keyValueLines } from '../cli/key-values.js';
import { printable, printableLine } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { withPool } from '../cli/with-pool.js';
import { withActivity } from '../reporters/activity.js';
import { writeList } from '../reporters/table.js';
import type { AddOptions, ListOptions, StoreOptions, VerifyOptions } from './command.js';

/** Adds a build output to the store; prints its store path. */
export async function add(path: string, options: AddOptions, context: Context): Promise<void> {
  const { settings } = options;
  const { store, known } = await openOwnAndKnown(settings.store.value, context);
  const name = options.name ?? basename(resolve(path));
  const links = await prepareOutLinks(options.outLink, (link, path) =>
    makeOutLink(store, link, realPathIn(store.layout, path)),
  );
  const notify = ({ message }: Notice) => note(context, options, message);
  const addAndLink = async (pool: WorkerPool) => {
    const added = await addToStore({ path, name, store, known, pool });
    await links.make([added.info.path]);
    return added;
  };
  const { info, existed, unknownMentions } = await withPool(settings.jobs.value, (pool) =>
    withStoreWrite(store, () => addAndLink(pool), { notify }),
  );
  for (const hashPart of unknownMentions) {
    const message = `it mentions \`${store.storeDir}/${hashPart}-…\`, which is not in the store`;
    warnPeople(context)({ type: 'warning', message });
  }
  if (options.json) await writeJson(context.stdout, { ...toJson(info), existed });
  else await writeLines(context.stdout, [info.path]);
}

/** Prints the valid paths of the store, or what keeps them. */
export async function list(options: ListOptions, context: Context): Promise<void> {
  const store = openStoreForWriting(options.settings.store.value, context.env);
  if (options.roots) return printRoots(await listRoots(store), options, context);
  const infos = [...(await store.queryAll()).values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (options.json) return writeJson(context.stdout, { paths: infos.map(toJson) });
  await writeList(context, infos, {
    columns: [{ name: 'store path' }, { name: 'size', isNumber: true }],
    row: ({ path, narSize }) => [path, formatBytes(narSize)],
    line: ({ path }) => path,
  });
}

async function printRoots(roots: readonly Root[], options: ListOptions, context: Context): Promise<void> {
  if (options.json) return writeJson(context.stdout, { roots });
  const rows = roots.flatMap(({ kind, name, storePaths }) => storePaths.map((path) => ({ kind, name, path })));
  await writeList(context, rows, {
    columns: ['kind', 'root', 'store path'].map((name) => ({ name })),
    row: ({ kind, name, path }) => [kind, name, path].map(printableLine),
    line: ({ kind, name, path }) => printable(`${kind.padEnd(8)}${name} -> ${path}`),
  });
}

/** Shows what is known of store paths. Throws where one is not valid. */
export async function info(targets: readonly string[], options: StoreOptions, context: Context): Promise<void> {
  const here = await openLocalPaths(options.settings, context);
  const { store } = here;
  const paths = await resolveLocalPaths(targets, here, context);
  const infos = await store.queryInfos(paths);
  const missing = paths.find((path) => !infos.has(path));
  if (missing !== undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${missing}\` is not valid in ${store.description}`, {
      hint: '`carport store ls` prints what is',
    });
  }
  const found = paths.map((path) => ({ ...toJson(infos.get(path)!), realPath: store.realPath(infos.get(path)!) }));
  if (options.json) return writeJson(context.stdout, { paths: found });
  await write(context.stdout, found.map(toText).join('\n'));
}

/** Hashes store paths again. Throws where one is not whole. */
export async function verify(targets: readonly string[], options: VerifyOptions, context: Context): Promise<void> {
  const { store, known } = await openOwnAndKnown(options.settings.store.value, context);
  const paths = targets.length > 0 ? await resolveLocalPaths(targets, pathsOfOwn(store), context) : undefined;
  if (paths) await requireRegistered(paths, store);
  const result = await withPool(options.settings.jobs.value, (pool) =>
    withActivity(context, options, ({ emit }) => verifyStore(store, known, { pool, only: paths, emit })),
  );
  for (const name of result.unregistered) {
    const message = `note: \`${name}\` is in the store dir but not registered: the next pull of it uses it, or \`carport store gc\` removes it`;
    note(context, options, printable(message));
  }
  for (const name of result.leftAlone) {
    const message = `note: \`${name}\` is in the store dir but not registered, and nothing says that carport put it there`;
    note(context, options, printable(message));
  }
  const notify = ({ message }: Notice) => note(context, options, message);
  const { problems } = result;
  const gaveUp = options.repair && problems.length > 0 ? await unregisterDamaged(store, problems, { notify }) : [];
  if (options.json) await writeJson(context.stdout, { ...result, ...(options.repair && { gaveUp }) });
  else {
    await writeLines(context.stdout, [
      ...problems.map(({ path, problem, detail }) => printable(`${path}: ${problem}: ${detail}`)),
      ...gaveUp.map((path) => printable(`${path}: given up: pull or add it again`)),
    ]);
  }
  if (problems.length > 0) {
    throw new CarportError('E_INTEGRITY', `${count(problems.length, 'problem')} in ${store.description}`, {
      hint: repairHint(problems, gaveUp, options),
    });
  }
  note(context, options, `${count(result.checked, 'path')} checked, all whole`);
}

function repairHint(
  problems: readonly StoreProblem[],
  gaveUp: readonly string[],
  { repair = false }: VerifyOptions,
): string {
  const isOwn = problems.some(({ problem }) => OWN_PROBLEMS.includes(problem));
  if (problems.every(({ problem }) => problem === 'unreadable')) {
    return 'nothing is known of what cannot be read, and `--repair` leaves it: look into permissions, the disk and the memory';
  }
  if (!isOwn) return 'pull or add the paths again that are not valid: what refers to them is whole then';
  return repair
    ? `${count(gaveUp.length, 'path')} given up, with what refers to them: pull or add them again`
    : '`carport store verify --repair` gives the paths up, with what refers to them; then pull or add them again';
}

async function requireRegistered(paths: readonly string[], store: OwnStore): Promise<void> {
  const { registered, damaged } = await store.queryReadable();
  const unreadable = new Set(damaged.map(({ hashPart }) => hashPart));
  const missing = paths.find((path) => !registered.has(path) && !unreadable.has(hashPartOf(path)));
  if (missing === undefined) return;
  throw new CarportError('E_NOT_FOUND', `\`${missing}\` is not valid in ${store.description}`, {
    hint: '`carport store ls` prints what is',
  });
}

/** carport's own store, and what counts as known beside it. */
async function openOwnAndKnown(selection: string | undefined, context: Context) {
  const store = openStoreForWriting(selection, context.env);
  const known = await openKnown(store, context.env);
  return { store, known };
}

function toJson({ path, narHash, narSize, references, deriver, signatures, ca }: PathInfo) {
  return {
    path,
    narHash: formatHash(narHash, 'sri'),
    narSize,
    references,
    deriver: deriver ?? null,
    signatures,
    ca: ca ?? null,
  };
}

/** Fits the longest key. */
const WIDTH = 17;

function toText(info: ReturnType<typeof toJson> & { readonly realPath: string }): string {
  const pairs: readonly KeyValue[] = [
    ['path', info.path],
    ['files', info.realPath],
    ['nar hash', info.narHash],
    ['nar size', info.narSize],
    ['deriver', info.deriver],
    ['content address', info.ca],
    ...info.signatures.map((signature) => ['signature', signature] as const),
    ...info.references.map((reference) => ['reference', reference] as const),
  ];
  return keyValueLines(pairs, WIDTH)
    .map((line) => `${line}\n`)
    .join('');
}
