/** The system's Nix, through its command line. */

import { readdir } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { inTurns } from '../../concurrency.js';
import { CarportError, insteadOf } from '../../errors.js';
import type { PathGraph } from '../../nix/closure.js';
import { isDerivationPath } from '../../nix/derivation/derivation.js';
import type { PathInfo } from '../../nix/path-info.js';
import { hashPartOf, isStoreBaseName, storeDirOf } from '../../nix/store-path.js';
import { ProgramFailure } from '../../process/run.js';
import type { Store } from '../store.js';
import { answerTo, JSON_FORMAT, type NixAnswer, PATH_INFO, RECURSIVE } from './ahead.js';
import { queryNixRealisations } from './daemon.js';
import { pathInfosIn } from './path-info-json.js';
import { placeOfNix } from './place.js';
import { NIX_COMMAND, PATHS_A_CALL, runNix } from './program.js';

/** Path infos that are read before others have their turn: the first thousand take 20 ms. */
const INFOS_A_TURN = 200;

/** Nix 2.8 reads a derivation that it is asked about, and refuses one of a feature that the user has not allowed. */
const FOR_DERIVATIONS = ['--extra-experimental-features', 'ca-derivations impure-derivations'];

/**
 * The system's Nix, through its public command line; `undefined` when `nix` is not on PATH. Of what the closure will be asked
 * of Nix is asked at once, beside what takes as long, unless one of `answers` is for that.
 */
export async function openNixStore(
  env: NodeJS.ProcessEnv,
  closureOf: readonly string[] = [],
  answers: readonly NixAnswer[] = [],
): Promise<Store | undefined> {
  const askPathInfo = withFirst(pathInfoOf(env, answers), [...RECURSIVE, ...closureOf], closureOf.length > 0);
  const place = await placeOfNix(env, answers);
  if (place === undefined) return undefined;
  const { storeDir, realStoreDir } = place;

  const pathInfo = async (paths: readonly string[], flags: readonly string[]): Promise<readonly PathInfo[]> => {
    const infos: PathInfo[] = [];
    const outputs = await inBatches(paths, (some) => askPathInfo([...flags, ...some]));
    for (const output of outputs) {
      for (const info of pathInfosIn(output, storeDir)) {
        if (infos.push(info) % INFOS_A_TURN === 0) await setImmediate();
      }
    }
    return infos;
  };
  /** A bare derivation would stand for its outputs; with `--derivation` an output would stand for its derivation. */
  const pathInfos = async (paths: readonly string[], flags: readonly string[]): Promise<PathGraph> => {
    // Mostly all are valid, and to ask for that first is a program more.
    const all = await infosOf(paths, flags).catch(insteadOf('E_PROGRAM', undefined));
    return all && paths.every((path) => all.has(path)) ? all : infosOf(await validOf(paths, env), flags);
  };
  const infosOf = async (valid: readonly string[], flags: readonly string[]): Promise<PathGraph> => {
    const infos = await Promise.all([
      pathInfo(valid.filter(isDerivationPath), [...FOR_DERIVATIONS, '--derivation', ...flags]),
      pathInfo(
        valid.filter((path) => !isDerivationPath(path)),
        flags,
      ),
    ]);
    return new Map(infos.flat().map((info) => [info.path, info]));
  };
  return {
    storeDir,
    realStoreDirs: [realStoreDir],
    description: "the system's Nix store",
    queryInfos: (paths) => pathInfos(paths, []),
    queryClosure: (paths) => pathInfos(paths, RECURSIVE),
    async queryHashParts() {
      const paths = new Map<string, string>();
      await inTurns(await readdir(realStoreDir).catch(() => []), (name) => {
        if (!isStoreBaseName(name)) return;
        const [part, path] = [hashPartOf(name), `${storeDir}/${name}`];
        // The shortest: beside a path may lie what Nix itself needs for it, `<path>.lock` or `<path>.check`.
        if (path.length < (paths.get(part)?.length ?? Number.POSITIVE_INFINITY)) paths.set(part, path);
      });
      return paths;
    },
    realPath: ({ path }) => realStoreDir + path.slice(storeDir.length),
    // Where Nix does not answer, it is as if there were none: everything else is done without.
    queryRealisations: (ids) => queryNixRealisations(ids, storeDir, env).catch(noneIfFailed),
  };
}

async function validOf(paths: readonly string[], env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const outputs = await inBatches(paths, (some) =>
    runNix('nix-store', ['--check-validity', '--print-invalid', ...some], env),
  );
  const invalid = new Set(outputs.flatMap((output) => output.split('\n')));
  return paths.filter((path) => !invalid.has(path));
}

/**
 * What the system's Nix knows of paths that are no derivations, by one program and without asking where its store is;
 * `undefined` where it cannot tell of each.
 */
export async function glanceAtPaths(
  env: NodeJS.ProcessEnv,
  paths: readonly string[],
  answers: readonly NixAnswer[] = [],
): Promise<PathGraph | undefined> {
  const output = await pathInfoOf(env, answers)(paths).catch(insteadOf('E_PROGRAM', undefined));
  if (output === undefined) return undefined;
  const infos = new Map([...pathInfosIn(output, storeDirOf(paths[0]!))].map((info) => [info.path, info]));
  return paths.every((path) => infos.has(path)) ? infos : undefined;
}

/** Has one question asked at once; its answer is given to who asks it first. */
function withFirst(ask: AskPathInfo, question: readonly string[], isAsked: boolean): AskPathInfo {
  let first = isAsked ? ask(question) : undefined;
  // Perhaps nobody will ask.
  first?.catch(() => undefined);
  return (args) => {
    const isSame =
      first !== undefined && args.length === question.length && args.every((arg, at) => arg === question[at]);
    const answer = isSame ? first! : ask(args);
    if (isSame) first = undefined;
    return answer;
  };
}

type AskPathInfo = (args: readonly string[]) => Promise<string | undefined>;

/**
 * Asks for path infos in a format that Nix does not warn about, if there is no answer yet. Of versions that do not know of formats it
 * is tried once: to ask for the version is a program, too.
 */
function pathInfoOf(env: NodeJS.ProcessEnv, answers: readonly NixAnswer[]): AskPathInfo {
  let format = JSON_FORMAT;
  return async (args) => {
    const tried = format;
    const question = (form: readonly string[]) => [...NIX_COMMAND, ...PATH_INFO, ...form, ...args];
    const known = await answerTo(question(tried), answers);
    if (known !== undefined) return known;
    try {
      return await runNix('nix', question(tried), env);
    } catch (error) {
      if (tried.length === 0 || !isUnknownFlag(error)) throw error;
      format = [];
      return runNix('nix', question(format), env);
    }
  };
}

function isUnknownFlag(error: unknown): boolean {
  const cause = error instanceof CarportError ? error.cause : undefined;
  return cause instanceof ProgramFailure && /unrecogni[sz]ed flag\W+--json-format/.test(cause.stderr);
}

function noneIfFailed(error: unknown): readonly never[] {
  if (error instanceof CarportError) return [];
  throw error;
}

/** Asks about paths, as many at a time as a command line takes. */
async function inBatches(
  paths: readonly string[],
  ask: (some: readonly string[]) => Promise<string | undefined>,
): Promise<readonly string[]> {
  const outputs: string[] = [];
  for (let start = 0; start < paths.length; start += PATHS_A_CALL) {
    const output = await ask(paths.slice(start, start + PATHS_A_CALL));
    if (output !== undefined) outputs.push(output);
  }
  return outputs;
}
