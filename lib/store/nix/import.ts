/** Has Nix take paths into its store, and keep them. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CarportError, hasCode } from '../../errors.js';
import { createTemporaryNames } from '../../filesystem/temporary.js';
import { isDerivationPath } from '../../nix/derivation/derivation.js';
import type { PathInfo } from '../../nix/path-info.js';
import { hashPartOf } from '../../nix/store-path.js';
import { ProgramFailure } from '../../process/run.js';
import { type PublicKey, renderPublicKey } from '../../signing/key.js';
import { NIX_COMMAND, PATHS_A_CALL, runNix } from './program.js';

export interface NixImport {
  /** A directory that is a binary cache and holds the paths. */
  readonly cache: string;
  /** A directory for links that keep what was copied from Nix's garbage collector, for as long as they are there. */
  readonly roots: string;
  /** Keys that Nix is to trust beside its own. */
  readonly keys: readonly PublicKey[];
  /** `false` takes what no trusted key has signed. */
  readonly checkSignatures: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** Ends Nix. */
  readonly signal: AbortSignal;
}

/** Times that a batch is copied which a garbage collection removes before it has a root. */
const COPIES = 10;

/**
 * Has Nix copy paths from a cache of this machine into its store, and keeps them there with roots. Each path's references
 * are among `infos`, before it, or in the store already. Nix checks signatures and hashes itself.
 */
export async function importIntoNix(infos: readonly PathInfo[], options: NixImport): Promise<void> {
  const { cache, roots, keys, checkSignatures, env, signal } = options;
  const trust = ['--option', 'extra-trusted-public-keys', keys.map(renderPublicKey).join(' ')];
  const flags = [...(keys.length > 0 ? trust : []), ...(checkSignatures ? [] : ['--no-check-sigs'])];
  checkCacheDirectory(cache);
  const from = ['copy', '--no-recursive', '--from', `file://${cache}`, ...flags];
  const nextRoot = await createTemporaryNames(roots);
  for (const { paths, tops, areDerivations } of batchesOf(infos)) {
    const kind = areDerivations ? ['--derivation'] : [];
    const copy = [...NIX_COMMAND, ...from, ...kind, ...paths];
    const root = nextRoot();
    for (let left = COPIES; ; left--) {
      await copyIntoNix(copy, cache, { env, signal }).catch((error) => {
        throw explain(error, checkSignatures);
      });
      // Nix keeps what it copies while it runs, and not until the next process of Nix has begun.
      try {
        await makeNixRoots(tops, root, env, signal);
        break;
      } catch (error) {
        if (left === 1 || !wasCollected(error)) throw error;
      }
    }
  }
}

/**
 * Copies. Versions of Nix hash paths that name themselves in different ways, and each refuses the content address of the others:
 * no signature covers it, so it is left out where the path is signed.
 */
async function copyIntoNix(
  copy: readonly string[],
  cache: string,
  { env, signal }: Pick<NixImport, 'env' | 'signal'>,
): Promise<void> {
  const done = new Set<string>();
  for (;;) {
    try {
      await runNix('nix', copy, env, { signal, hint: HINT });
      return;
    } catch (error) {
      const failure = error instanceof CarportError && error.cause instanceof ProgramFailure ? error.cause : undefined;
      const path = /ca hash mismatch importing path '([^']+)'/.exec(failure?.stderr ?? '')?.[1];
      if (path === undefined || done.has(path)) throw error;
      done.add(path);
      const file = join(cache, `${hashPartOf(path)}.narinfo`);
      const text = await readFile(file, 'latin1');
      await writeFile(file, text.replace(/^CA: .*\n/m, ''), 'latin1');
    }
  }
}

/** Makes `link` point to a path of Nix's store, and a root of Nix's garbage collector. */
export function makeNixRoot(path: string, link: string, env: NodeJS.ProcessEnv): Promise<void> {
  return makeNixRoots([path], link, env);
}

/** Makes such links to several paths: `link`, `link-2` and so on. Either all are derivations, or none is. */
async function makeNixRoots(
  paths: readonly string[],
  link: string,
  env: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<void> {
  const root = ['--add-root', link, '--indirect'];
  const options = { hint: HINT, ...(signal && { signal }) };
  // Realising a derivation would build it; one that is evaluated gets a root of its own.
  const expressionOf = (path: string) =>
    `{ type = "derivation"; name = "root"; outputName = "out"; drvPath = builtins.storePath "${path}"; }`;
  const done = paths.every(isDerivationPath)
    ? runNix('nix-instantiate', [...root, '-E', ...paths.map(expressionOf)], env, options)
    : runNix('nix-store', ['--realise', ...paths, ...root], env, options);
  await done.catch((error) => {
    throw explain(error, true);
  });
}

/** Whether paths that were there are there no more. */
export function wasCollected(error: unknown): error is CarportError {
  return hasCode(error, 'E_UNAVAILABLE') && error.cause instanceof ProgramFailure;
}

const HINT = 'check that Nix works by hand: `nix-store --verify`, `nix store ping`';

interface Batch {
  readonly paths: readonly string[];
  /** Those to which no other of the batch refers: what keeps them keeps all. */
  readonly tops: readonly string[];
  readonly areDerivations: boolean;
}

/**
 * Cuts paths into command lines: a derivation among outputs would stand for its outputs. Takes as many of one kind as
 * their references allow, then of the other; mostly two batches do.
 */
function batchesOf(infos: readonly PathInfo[]): readonly Batch[] {
  const batches: Batch[] = [];
  let left = infos;
  for (let areDerivations = false; left.length > 0; areDerivations = !areDerivations) {
    const waiting = new Set<string>();
    const taken: PathInfo[] = [];
    for (const info of left) {
      const { path, references } = info;
      const mayGo = !references.some((reference) => reference !== path && waiting.has(reference));
      if (mayGo && isDerivationPath(path) === areDerivations) taken.push(info);
      else waiting.add(path);
    }
    for (let start = 0; start < taken.length; start += PATHS_A_CALL) {
      batches.push(batchOf(taken.slice(start, start + PATHS_A_CALL), areDerivations));
    }
    left = left.filter(({ path }) => waiting.has(path));
  }
  return batches;
}

function batchOf(infos: readonly PathInfo[], areDerivations: boolean): Batch {
  const paths = infos.map(({ path }) => path);
  const referred = new Set(infos.flatMap(({ path, references }) => references.filter((each) => each !== path)));
  return { paths, tops: paths.filter((path) => !referred.has(path)), areDerivations };
}

/** Nix's versions differ in what they decode of a URL: throws unless a directory's name is the same in all. */
export function checkCacheDirectory(directory: string): void {
  if (/^[A-Za-z0-9/._~+=,@-]+$/.test(directory)) return;
  throw new CarportError(
    'E_USAGE',
    `the temporary directory \`${directory}\` has characters that Nix takes in no URL`,
    {
      hint: 'set TMPDIR to a directory whose whole path has only letters, digits and `/ . _ ~ + = , @ -`',
    },
  );
}

function explain(error: unknown, checkSignatures: boolean): unknown {
  const failure = error instanceof CarportError && error.cause instanceof ProgramFailure ? error.cause : undefined;
  if (failure === undefined) return error;
  const line = failure.stderr.split('\n').findLast((text) => text.includes('error: ')) ?? failure.message;
  const cause = new Error(line.replace(/^.*?error: /, ''));
  if (/lacks a (valid )?signature/.test(failure.stderr)) {
    return new CarportError('E_SIGNATURE', 'Nix does not take the signatures', {
      cause,
      hint: checkSignatures
        ? 'its daemon takes keys of trusted users only: have the administrator add the key to `trusted-public-keys`, or you to `trusted-users`, in /etc/nix/nix.conf'
        : 'its daemon takes unsigned paths of trusted users only: have the administrator add you to `trusted-users` in /etc/nix/nix.conf',
    });
  }
  if (COLLECTED.test(failure.stderr)) {
    return new CarportError('E_UNAVAILABLE', "Nix's garbage collector removed paths while they were pulled", {
      cause: failure,
      hint: 'run it again when no `nix-store --gc` or `nix-collect-garbage` is at work; `min-free` in nix.conf starts one, too',
    });
  }
  if (/No space left on device|disk is full/i.test(failure.stderr)) {
    return new CarportError('E_IO', "the disk of Nix's store is full", {
      cause,
      hint: 'free some space, for example with `nix-store --gc`, and run it again',
    });
  }
  return error;
}

/** What Nix's versions say of a path that they do not have (any more). Nothing is built here: such a failure is one of these. */
const COLLECTED =
  /path '\S+' is not valid|don't know how to build these paths|build of '\S+' failed|does not exist and cannot be created|is required, but .*no substituter/;
