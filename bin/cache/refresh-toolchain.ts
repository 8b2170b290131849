/** The command `cache refresh-toolchain`: builds, and pushes what it takes to build. */

import { access } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { stripVTControlCharacters } from 'node:util';
import { checkPushTarget } from '../../cache/push/session.js';
import { CarportError } from '../../lib/errors.js';
import { makePrivateDirectory } from '../../lib/filesystem/private-directory.js';
import { checkValid } from '../../lib/store/closure.js';
import { instantiate, instantiateFlakes, keepDerivations, type NixBuild, realise } from '../../lib/store/nix/build.js';
import { openNixStore } from '../../lib/store/nix/store.js';
import { requireNixStore } from '../../lib/store/open.js';
import { resolveStorePath } from '../../lib/store/resolve.js';
import type { Store } from '../../lib/store/store.js';
import { type Context, say } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { printable } from '../cli/printable.js';
import { withCache } from '../cli/with-caches.js';
import { closureOf, closureWarnings } from '../closure/select.js';
import { type PreparedPush, preparePush } from '../push/prepare.js';
import { type PushRun, pushPrepared } from '../push/request.js';
import { withReporter } from '../reporters/transfer.js';
import type { RefreshToolchainOptions } from './command.js';

/** Evaluates, builds what is not there, and pushes the build closure. */
export async function run(
  targets: readonly string[],
  options: RefreshToolchainOptions,
  context: Context,
): Promise<void> {
  const groups = groupsOf(targets);
  if (groups.some(({ kind }) => kind === 'attributes')) await checkFile(options.file);
  if ((await openNixStore(context.env)) === undefined) {
    throw new CarportError('E_PROGRAM', 'this needs Nix, and `nix` is not on PATH', {
      hint: 'run it where Nix is; machines without Nix can pull what it pushes',
    });
  }
  const prepared = await preparePush(options, context);
  const store = await requireNixStore(context.env);
  const { path: roots, remove } = await makePrivateDirectory(tmpdir());
  try {
    await withReporter(context, options, async (emit) => {
      await checkTarget(prepared, store, { options, context, emit });
      const derivations = await buildAll(store, groups, options, { roots, context });
      const how = { ...options, closure: 'build' } as const;
      const closure = await closureOf(how, store, derivations);
      for (const warning of closureWarnings(closure, options)) emit(warning);
      await pushPrepared(prepared, { store, own: undefined, closure }, { options, context, emit });
    });
  } finally {
    await remove();
  }
}

/** Builds take long: what would make the push fail is looked for first, in the cache, too. */
async function checkTarget({ to, request }: PreparedPush, { storeDir }: Store, use: PushRun): Promise<void> {
  await withCache(to, use, ({ objects }) => checkPushTarget(objects, storeDir, request.pins));
}

/** Arguments beside each other that Nix evaluates in one go. */
interface Group {
  readonly kind: 'derivations' | 'attributes' | 'flakes';
  readonly targets: string[];
}

function groupsOf(targets: readonly string[]): readonly Group[] {
  const groups: Group[] = [];
  for (const what of targets) {
    const kind = kindOf(what);
    const last = groups.at(-1);
    if (last?.kind === kind) last.targets.push(what);
    else groups.push({ kind, targets: [what] });
  }
  if (targets.length === 0) groups.push({ kind: 'attributes', targets: [] });
  return groups;
}

async function checkFile(file: string): Promise<void> {
  // Those that Nix looks up or fetches: `<nixpkgs>`, `https://…`.
  if (/^<.*>$|^[a-z+]+:/.test(file)) return;
  await access(file).catch((cause) => {
    throw new CarportError('E_NOT_FOUND', `\`${file}\` does not exist`, {
      cause,
      hint: 'name the file that has the attributes: `--file FILE`; outputs of flakes are named as `.#NAME`',
    });
  });
}

function kindOf(what: string): Group['kind'] {
  // Nix would take it for one of its options.
  if (what === '' || what.startsWith('-') || /[\x00-\x1f\x7f]/.test(what)) {
    throw new CarportError('E_USAGE', `\`${what}\` is neither a derivation nor an attribute`);
  }
  if (what.endsWith('.drv')) return 'derivations';
  if (what.includes('#')) return 'flakes';
  if (!what.includes('/') && what !== '.') return 'attributes';
  throw new CarportError('E_USAGE', `\`${what}\` is neither a derivation nor an attribute`, {
    hint: 'of a flake name the output, `FLAKE#NAME`; a path that is built is pushed by `carport push PATH --closure build`',
  });
}

/** Where builds are rooted while they are pushed. */
interface Surroundings {
  readonly roots: string;
  readonly context: Context;
}

/** The derivations that are meant, when what they need is valid. */
async function buildAll(
  store: Store,
  groups: readonly Group[],
  options: RefreshToolchainOptions,
  { roots, context }: Surroundings,
): Promise<readonly string[]> {
  const stop = new AbortController();
  const isHeard = !options.quiet && !options.json;
  const build: NixBuild = {
    env: context.env,
    roots,
    signal: stop.signal,
    onStderr: (text) => isHeard && say(context, printable(stripVTControlCharacters(text).replaceAll('\t', ' '))),
  };
  const work = async () => {
    const derivations = new Set<string>();
    for (const group of groups) {
      for (const path of await derivationsOf(group, store, options.file, build)) derivations.add(path);
    }
    const what = options.toolchainOnly ? 'inputs' : 'inputs-and-outputs';
    await realise(store, [...derivations], { what, dryRun: options.dryRun }, build);
    return [...derivations];
  };
  return interruptible(() => stop.abort(), work);
}

async function derivationsOf(
  { kind, targets }: Group,
  store: Store,
  file: string,
  build: NixBuild,
): Promise<readonly string[]> {
  if (kind === 'attributes') return instantiate(file, targets, build);
  if (kind === 'flakes') return instantiateFlakes(targets, build);
  const derivations = await Promise.all(targets.map((what) => resolveStorePath(what, store)));
  checkValid(store, await store.queryInfos(derivations), derivations);
  await keepDerivations(derivations, build);
  return derivations;
}
