import { CarportError } from '../errors.js';
import { isDerivationPath } from '../nix/derivation/derivation.js';
import type { PathInfo } from '../nix/narinfo.js';
import { type PublicKey, renderPublicKey } from '../signing/key.js';
import { NIX_COMMAND, NixFailure, PATHS_A_CALL, runNix } from './nix-program.js';

export interface NixImport {
  /** A directory that is a binary cache and holds the paths. */
  readonly cache: string;
  /** Keys that Nix is to trust beside its own. */
  readonly keys: readonly PublicKey[];
  /** `false` takes what no trusted key has signed. */
  readonly checkSignatures: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** Ends Nix. */
  readonly signal: AbortSignal;
}

/**
 * Has Nix copy paths from a cache of this machine into its store. Each path's references are among `infos`, before it,
 * or in the store already. Nix checks signatures and hashes itself.
 */
export async function importIntoNix(infos: readonly PathInfo[], options: NixImport): Promise<void> {
  const { cache, keys, checkSignatures, env, signal } = options;
  const trust = ['--option', 'extra-trusted-public-keys', keys.map(renderPublicKey).join(' ')];
  const flags = [...(keys.length > 0 ? trust : []), ...(checkSignatures ? [] : ['--no-check-sigs'])];
  const from = ['copy', '--no-recursive', '--from', cacheUrl(cache), ...flags];
  for (const { paths, areDerivations } of batchesOf(infos)) {
    const kind = areDerivations ? ['--derivation'] : [];
    try {
      await runNix('nix', [...NIX_COMMAND, ...from, ...kind, ...paths], env, { signal, hint: HINT });
    } catch (error) {
      throw explain(error, checkSignatures);
    }
  }
}

/** Makes `link` point to a path of Nix's store, and a root of Nix's garbage collector. */
export async function makeNixRoot(path: string, link: string, env: NodeJS.ProcessEnv): Promise<void> {
  const root = ['--add-root', link, '--indirect'];
  // Realising a derivation would build it; one that is evaluated gets a root of its own.
  const expression = `{ type = "derivation"; name = "root"; outputName = "out"; drvPath = builtins.storePath "${path}"; }`;
  if (isDerivationPath(path)) await runNix('nix-instantiate', [...root, '-E', expression], env, { hint: HINT });
  else await runNix('nix-store', ['--realise', path, ...root], env, { hint: HINT });
}

const HINT = 'check that Nix works by hand: `nix-store --verify`, `nix store ping`';

interface Batch {
  readonly paths: readonly string[];
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
    const taken: string[] = [];
    for (const { path, references } of left) {
      const mayGo = !references.some((reference) => reference !== path && waiting.has(reference));
      if (mayGo && isDerivationPath(path) === areDerivations) taken.push(path);
      else waiting.add(path);
    }
    for (let start = 0; start < taken.length; start += PATHS_A_CALL) {
      batches.push({ paths: taken.slice(start, start + PATHS_A_CALL), areDerivations });
    }
    left = left.filter(({ path }) => waiting.has(path));
  }
  return batches;
}

/** Nix's versions differ in what they decode of a URL: only what is the same in all. */
function cacheUrl(directory: string): string {
  if (/^[A-Za-z0-9/._~+=,@-]+$/.test(directory)) return `file://${directory}`;
  throw new CarportError('E_USAGE', `\`${directory}\` has characters that Nix takes in no URL`, {
    hint: 'set TMPDIR to a directory whose name has letters and digits only',
  });
}

function explain(error: unknown, checkSignatures: boolean): unknown {
  const failure = error instanceof CarportError && error.cause instanceof NixFailure ? error.cause : undefined;
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
  if (/No space left on device|disk is full/i.test(failure.stderr)) {
    return new CarportError('E_IO', "the disk of Nix's store is full", {
      cause,
      hint: 'free some space, for example with `nix-store --gc`, and run it again',
    });
  }
  return error;
}
