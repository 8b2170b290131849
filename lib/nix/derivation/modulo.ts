/** HashDerivationModulo, and the output paths that it gives. */

import { formatError } from '../../errors.js';
import {
  type ContentAddress,
  type ContentAddressMethod,
  METHOD_PREFIXES,
  makeContentAddressedPath,
} from '../content-address.js';
import { hashBytes, parseHash, toHex } from '../hash.js';
import { makeOutputPath } from '../store-path.js';
import { printDerivation } from './aterm.js';
import { type ByteString, type Derivation, derivationName, isFixedOutput, isFloating } from './derivation.js';

/** Looks up a derivation by its store path; `undefined` when it is not at hand. */
export type FindDerivation = (drvPath: string) => Promise<Derivation | undefined>;

/** A derivation's identity, and whether its outputs are known only after a build. */
interface ModuloHash {
  /** Base 16, by output. */
  readonly hashes: ReadonlyMap<ByteString, string>;
  readonly isDeferred: boolean;
}

/**
 * Computes derivations' output paths (libstore's hashDerivationModulo): two derivations that differ only in how their
 * fixed inputs are fetched have the same outputs. Remembers what it computed; make one for each set of derivations.
 */
export function createOutputPaths(find: FindDerivation, storeDir: string) {
  const { textModuloInputs } = createModuloHashes(find);

  /**
   * The output paths that the derivation's own text and its inputs give, by output; `undefined` for an output that is
   * known only after the build. Throws when an input derivation is not at hand.
   */
  return async (drvPath: string, derivation: Derivation): Promise<ReadonlyMap<ByteString, string | undefined>> => {
    const name = derivationName(drvPath);
    if (isFixedOutput(derivation)) {
      return new Map([['out', makeContentAddressedPath(fixedAddress(derivation), name, storeDir)]]);
    }
    if ([...derivation.outputs.values()].some(isFloating)) {
      return new Map([...derivation.outputs.keys()].map((output) => [output, undefined]));
    }
    const { text, isDeferred } = await textModuloInputs(withoutOutputPaths(derivation));
    const hash = isDeferred ? undefined : hashBytes('sha256', Buffer.from(text, 'latin1'));
    return new Map(
      [...derivation.outputs.keys()].map((output) => [output, hash && makeOutputPath(output, hash, name, storeDir)]),
    );
  };
}

/**
 * Computes the hashes that stand for derivations in the ids of their outputs' realisations (staticOutputHashes of libstore,
 * before Nix 2.35), in base 16. Remembers what it computed. Throws when an input derivation is not at hand.
 */
export function createRealisationHashes(find: FindDerivation) {
  const { textModuloInputs } = createModuloHashes(find);
  return async (derivation: Derivation): Promise<string> => {
    const { text } = await textModuloInputs(withoutOutputPaths(derivation));
    return toHex(hashBytes('sha256', Buffer.from(text, 'latin1')).digest);
  };
}

/** What stands for derivations in the text of those that they are inputs of. */
function createModuloHashes(find: FindDerivation) {
  const hashes = new Map<string, Promise<ModuloHash>>();
  /** The input that each derivation waits for, so that a circle throws instead of waiting for itself for ever. */
  const waitsFor = new Map<string, string>();

  const hashOf = async (drvPath: string, asker?: string): Promise<ModuloHash> => {
    const known = hashes.get(drvPath) ?? computeHash(drvPath);
    hashes.set(drvPath, known);
    if (asker === undefined) return known;
    for (let next: string | undefined = drvPath; next !== undefined; next = waitsFor.get(next)) {
      if (next === asker) throw formatError('derivation', `\`${asker}\` depends on itself`);
    }
    waitsFor.set(asker, drvPath);
    try {
      return await known;
    } finally {
      waitsFor.delete(asker);
    }
  };
  const computeHash = async (drvPath: string): Promise<ModuloHash> => {
    const derivation = await find(drvPath);
    if (derivation === undefined) throw formatError('derivation', `the input \`${drvPath}\` is not at hand`);
    if (isFixedOutput(derivation)) {
      return { hashes: new Map([['out', fixedOutputHash(derivation)]]), isDeferred: false };
    }
    const { text, isDeferred } = await textModuloInputs(derivation, drvPath);
    const hash = toHex(hashBytes('sha256', Buffer.from(text, 'latin1')).digest);
    return {
      hashes: new Map([...derivation.outputs.keys()].map((output) => [output, hash])),
      isDeferred: isDeferred || [...derivation.outputs.values()].some(isFloating),
    };
  };
  /** The derivation's text with its inputs' hashes in place of their paths, and whether one of these is deferred. */
  const textModuloInputs = async (
    derivation: Derivation,
    drvPath?: string,
  ): Promise<{ readonly text: ByteString; readonly isDeferred: boolean }> => {
    const inputs = new Map<string, Set<string>>();
    let isDeferred = false;
    for (const [path, outputs] of derivation.inputDerivations) {
      const input = await hashOf(path, drvPath);
      isDeferred ||= input.isDeferred;
      for (const output of outputs) {
        const hash = input.hashes.get(output);
        if (hash === undefined) throw formatError('derivation', `\`${path}\` has no output \`${output}\``);
        inputs.set(hash, (inputs.get(hash) ?? new Set()).add(output));
      }
    }
    const inputDerivations = new Map([...inputs].map(([hash, outputs]) => [hash, [...outputs]]));
    return { text: printDerivation({ ...derivation, inputDerivations }), isDeferred };
  };
  return { textModuloInputs };
}

/** The store path of a derivation: a text file that refers to its sources and input derivations. */
export function derivationPath(name: string, derivation: Derivation, storeDir: string): string {
  const hash = hashBytes('sha256', Buffer.from(printDerivation(derivation), 'latin1'));
  const others = [...derivation.inputSources, ...derivation.inputDerivations.keys()];
  return makeContentAddressedPath({ method: 'text', hash }, `${name}.drv`, storeDir, { others, self: false });
}

/** What a fixed output is named after: `r:sha256` and a base 16 hash. */
function fixedAddress(derivation: Derivation): ContentAddress {
  const { hashAlgorithm, hash } = derivation.outputs.get('out')!;
  const colon = hashAlgorithm.lastIndexOf(':');
  return {
    method: methodOf(hashAlgorithm.slice(0, colon + 1)),
    hash: parseHash(`${hashAlgorithm.slice(colon + 1)}:${hash}`),
  };
}

function methodOf(prefix: string): ContentAddressMethod {
  if (prefix === 'text:') return 'text';
  for (const method of ['flat', 'recursive', 'git'] as const) {
    if (METHOD_PREFIXES[method] === prefix) return method;
  }
  throw formatError('derivation', `\`${prefix}\` is not a way of hashing`);
}

function fixedOutputHash(derivation: Derivation): string {
  const { hashAlgorithm, hash, path } = derivation.outputs.get('out')!;
  return toHex(hashBytes('sha256', `fixed:out:${hashAlgorithm}:${hash}:${path}`).digest);
}

/** The derivation as it was before its outputs' paths were filled in: in the outputs and in the environment. */
function withoutOutputPaths(derivation: Derivation): Derivation {
  const outputs = new Map([...derivation.outputs].map(([name, output]) => [name, { ...output, path: '' }]));
  const env = new Map([...derivation.env].map(([key, value]) => [key, derivation.outputs.has(key) ? '' : value]));
  return { ...derivation, outputs, env };
}
