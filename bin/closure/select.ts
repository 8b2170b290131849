/** Which closure is asked for, and what is said of it. */

import type { ClosureWarning } from '../../cache/push/events.js';
import { CarportError } from '../../lib/errors.js';
import {
  type BuildClosure,
  type BuildClosureGaps,
  buildClosure,
  describeMissingDeriver,
  type OutputOfDerivation,
} from '../../lib/store/build-closure.js';
import { type Closure, noClosure, runtimeClosure } from '../../lib/store/closure.js';
import type { Store } from '../../lib/store/store.js';
import { count } from '../cli/terminal.js';

/** The options that say which paths to take along; `bin/push/command.ts` declares them. */
export interface ClosureOptions {
  readonly closure: 'runtime' | 'build' | 'none';
  readonly toolchainOnly?: boolean;
}

/** The closure of `roots` that is asked for. */
export function closureOf(
  { closure, toolchainOnly = false }: ClosureOptions,
  store: Store,
  roots: readonly string[],
): Promise<Closure | BuildClosure> {
  if (toolchainOnly && closure !== 'build') {
    throw new CarportError(
      'E_USAGE',
      `\`--toolchain-only\` is for build closures, and not for \`--closure ${closure}\``,
      { hint: 'leave `--closure` out' },
    );
  }
  if (closure === 'build') return buildClosure(store, roots, { toolchainOnly });
  return closure === 'runtime' ? runtimeClosure(store, roots) : noClosure(store, roots);
}

/** Missing outputs that a warning names; a closure of which all was substituted misses thousands. */
const MOST_SHOWN = 3;

/** What is to be said of a closure: what is not in it that should be, and the other way round. */
export function closureWarnings(
  { missingOutputs = [], missingDerivers = [], neededOutputs = [] }: Pick<Closure, 'graph'> & Partial<BuildClosureGaps>,
  { verbose = 0 }: { readonly verbose?: number },
): readonly ClosureWarning[] {
  const derivers = missingDerivers.map(
    (missing) =>
      `what it takes to build \`${missing.path}\` is left out: ${describeMissingDeriver(missing)}; name its \`.drv\`, which \`nix-instantiate\` prints`,
  );
  const needed = neededOutputs.map(
    (output) => `${nameOf(output)} is not left out: another derivation of the closure needs it: ${output.path}`,
  );
  return [
    ...missingWarnings(missingOutputs, verbose > 0),
    ...[...derivers, ...needed].map((message): ClosureWarning => ({ type: 'warning', message })),
  ];
}

function missingWarnings(missing: readonly OutputOfDerivation[], all: boolean): readonly ClosureWarning[] {
  if (missing.length === 0) return [];
  const shown = all ? missing : missing.slice(0, MOST_SHOWN);
  const more = missing.length - shown.length;
  const message = [
    `${count(missing.length, 'output')} of derivations ${missing.length === 1 ? 'is' : 'are'} not here and left out:`,
    ...shown.map((output) => `  ${nameOf(output)}: ${output.path ?? 'its path is not known'}`),
    ...(more > 0 ? [`  and ${more} more (\`-v\` names all)`] : []),
  ].join('\n');
  return [
    { type: 'warning', message, missingOutputs: missing.map((output) => ({ ...output, path: output.path ?? null })) },
  ];
}

function nameOf({ output, derivation }: OutputOfDerivation): string {
  return `the output \`${output}\` of \`${derivation}\``;
}
