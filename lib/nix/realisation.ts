/** Realisations: what a build made of an output whose path no derivation tells (RFC 62), as caches and Nix's stores have them. */

import * as v from 'valibot';
import { formatError } from '../errors.js';
import { checkShape } from '../strict-json.js';
import { derivationName, isDerivationPath } from './derivation/derivation.js';
import type { PathInfo } from './path-info.js';
import { baseNameOf, isStoreBaseName, isStorePathName, nameOf, outputName, storePathOf } from './store-path.js';

/** Which store path an output of a derivation is, and who says so (libstore/realisation.cc, Nix 2.4 to 2.34). */
export interface Realisation {
  /** `sha256:<base 16>!<output>`; the hash is the derivation's, see `createRealisationHashes`. */
  readonly id: string;
  /** Full store path. */
  readonly outPath: string;
  /** Realisations that the build used, by id, with the base names of their paths. Nix 2.33 and later know none. */
  readonly dependentRealisations: Readonly<Record<string, string>>;
  /** `<key name>:<base 64>`. */
  readonly signatures: readonly string[];
}

/** The output of a resolved derivation, as Nix 2.35 and later name realisations. */
export interface TracedOutput {
  /** Base name, with its `.drv`. */
  readonly drvPath: string;
  readonly outputName: string;
}

/** The output that an id is of. */
export function outputOfRealisation(id: string): string {
  return id.slice(id.indexOf('!') + 1);
}

/** The id of an output of the derivation with this hash, which is base 16. */
export function realisationId(hash: string, output: string): string {
  return `sha256:${hash}!${output}`;
}

/** Whether a text is the id of a realisation. */
export function isRealisationId(text: string): boolean {
  const match = /^sha256:[0-9a-f]{64}!(.*)$/s.exec(text);
  return match !== null && isStorePathName(match[1]!);
}

/** Fields that are not known are left out, as Nix does. */
const RealisationJson = v.object({
  id: v.string(),
  outPath: v.string(),
  dependentRealisations: v.optional(v.record(v.string(), v.string()), {}),
  signatures: v.optional(v.array(v.string()), []),
});

/** Parses a realisation as caches have it. Its `outPath` is a base name; some versions wrote the whole path. */
export function parseRealisation(text: string, storeDir: string): Realisation {
  const { id, outPath, dependentRealisations, signatures } = checkShape('realisation', jsonOf(text), RealisationJson);
  if (!isRealisationId(id)) throw formatError('realisation', 'its `id` is none');
  const strange = Object.entries(dependentRealisations).find(
    ([key, path]) => !isRealisationId(key) || !isStoreBaseName(path),
  );
  if (strange !== undefined) throw formatError('realisation', 'one that it depends on has no id, or no path');
  const baseName = outPath.startsWith(`${storeDir}/`) ? baseNameOf(outPath) : outPath;
  return { id, outPath: storePathOf(baseName, storeDir), dependentRealisations, signatures };
}

/** Prints a realisation as Nix does. */
export function renderRealisation({ signatures, ...realisation }: Realisation): string {
  return JSON.stringify({ ...signedPart(realisation), signatures });
}

/** What a signature of a realisation covers: all but the signatures. */
export function realisationFingerprint(realisation: Omit<Realisation, 'signatures'>): string {
  return JSON.stringify(signedPart(realisation));
}

/** Its fields in the order of Nix's JSON, which sorts them. */
function signedPart({ dependentRealisations, id, outPath }: Omit<Realisation, 'signatures'>) {
  const dependent = Object.entries(dependentRealisations).sort(([a], [b]) => (a < b ? -1 : 1));
  return { dependentRealisations: Object.fromEntries(dependent), id, outPath: baseNameOf(outPath) };
}

/** What Nix 2.35 and later call an output. Nobody signs which derivation made a path; its name must fit the path's, at least. */
export function tracedOutputOf(
  { path, deriver }: Pick<PathInfo, 'path' | 'deriver'>,
  output: string,
): TracedOutput | undefined {
  if (deriver === undefined || !isDerivationPath(deriver)) return undefined;
  if (nameOf(path) !== outputName(derivationName(deriver), output)) return undefined;
  return { drvPath: baseNameOf(deriver), outputName: output };
}

/** What a signature covers from Nix 2.35 on. */
export function traceFingerprint({ drvPath, outputName }: TracedOutput, outPath: string): string {
  return JSON.stringify({ key: { drvPath, outputName }, value: { outPath: baseNameOf(outPath) } });
}

const TraceJson = v.object({
  outPath: v.string(),
  signatures: v.optional(v.array(v.union([v.string(), v.object({ keyName: v.string(), sig: v.string() })])), []),
});

/** Parses what `renderTrace` prints. */
export function parseTrace(text: string, storeDir: string): Pick<Realisation, 'outPath' | 'signatures'> {
  const { outPath, signatures } = checkShape('realisation', jsonOf(text), TraceJson);
  return {
    outPath: storePathOf(outPath, storeDir),
    signatures: signatures.map((each) => (typeof each === 'string' ? each : `${each.keyName}:${each.sig}`)),
  };
}

/** A realisation as caches have it for Nix 2.35 and later. */
export function renderTrace(outPath: string, signatures: readonly string[]): string {
  const structured = signatures.map((text) => {
    const colon = text.indexOf(':');
    return { keyName: text.slice(0, colon), sig: text.slice(colon + 1) };
  });
  return JSON.stringify({ outPath: baseNameOf(outPath), signatures: structured });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw formatError('realisation', 'is not JSON', { cause });
  }
}
