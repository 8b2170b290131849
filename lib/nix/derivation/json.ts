/** The JSON of `nix show-derivation`. */

import type { ByteString, Derivation, DerivationOutput } from './derivation.js';

/** Derivations by store path, as `nix show-derivation` has them; strings stay one character a byte. */
export function derivationToJson(derivation: Derivation): Record<string, unknown> {
  return {
    args: derivation.args,
    builder: derivation.builder,
    env: record(derivation.env),
    inputDrvs: record(derivation.inputDerivations),
    inputSrcs: derivation.inputSources,
    outputs: record(new Map([...derivation.outputs].map(([name, output]) => [name, outputToJson(output)]))),
    system: derivation.system,
  };
}

function outputToJson({ path, hashAlgorithm, hash }: DerivationOutput): Record<string, ByteString> {
  return {
    ...(hash !== '' && { hash }),
    ...(hashAlgorithm !== '' && { hashAlgo: hashAlgorithm }),
    ...(path !== '' && { path }),
  };
}

/** Own properties also for keys such as `__proto__`. */
function record<T>(map: ReadonlyMap<ByteString, T>): Record<string, T> {
  return Object.fromEntries(map);
}
