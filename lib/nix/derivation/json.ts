/** The JSON of `nix show-derivation` (Nix 2.8), and of `nix derivation show` since its format 4 (Nix 2.34). */

import { METHOD_PREFIXES } from '../content-address.js';
import { formatHash, parseHash } from '../hash.js';
import { baseNameOf } from '../store-path.js';
import {
  type ByteString,
  bytesOfText,
  type Derivation,
  type DerivationOutput,
  derivationName,
  textOfBytes,
} from './derivation.js';

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

/** The variable that has the attributes of a derivation with `__structuredAttrs`, as JSON. */
const STRUCTURED = '__json';

/**
 * A derivation in format 4: base names in place of store paths, hashes as SRI, and structured attributes as what they are.
 * Strings stay one character a byte.
 */
export function derivationToJson4(path: string, derivation: Derivation): Record<string, unknown> {
  const { args, builder, env, inputDerivations, inputSources, outputs, system } = derivation;
  const structured = structuredAttributes(env.get(STRUCTURED));
  const inputs = [...inputDerivations].map(
    ([input, names]) => [baseNameOf(input), { dynamicOutputs: {}, outputs: names }] as const,
  );
  return {
    args,
    builder,
    env: record(new Map([...env].filter(([name]) => name !== STRUCTURED || structured === undefined))),
    inputs: { drvs: record(new Map(inputs)), srcs: inputSources.map(baseNameOf) },
    name: derivationName(path),
    outputs: record(new Map([...outputs].map(([name, output]) => [name, outputToJson4(output)]))),
    ...(structured !== undefined && { structuredAttrs: structured }),
    system,
    version: 4,
  };
}

/** What the text says, with strings of one character a byte; `undefined` where it is no JSON. */
function structuredAttributes(text: ByteString | undefined): unknown {
  try {
    return text && JSON.parse(bytesOfText(JSON.stringify(JSON.parse(textOfBytes(text)))));
  } catch {
    return undefined;
  }
}

function outputToJson4({ path, hashAlgorithm, hash }: DerivationOutput): Record<string, unknown> {
  if (hashAlgorithm === '') return path === '' ? {} : { path: baseNameOf(path) };
  const colon = hashAlgorithm.lastIndexOf(':') + 1;
  const algorithm = hashAlgorithm.slice(colon);
  const method = METHODS[hashAlgorithm.slice(0, colon)] ?? hashAlgorithm.slice(0, colon);
  if (hash === '') return { hashAlgo: algorithm, method };
  if (hash === 'impure') return { hashAlgo: algorithm, impure: true, method };
  return { hash: formatHash(parseHash(`${algorithm}:${hash}`), 'sri'), method };
}

/** What Nix calls ways of hashing, by their prefixes in a `.drv`. */
const METHODS: Readonly<Record<string, string>> = {
  [METHOD_PREFIXES.flat]: 'flat',
  [METHOD_PREFIXES.recursive]: 'nar',
  [METHOD_PREFIXES.git]: 'git',
  'text:': 'text',
};

/** Own properties also for keys such as `__proto__`. */
function record<T>(map: ReadonlyMap<ByteString, T>): Record<string, T> {
  return Object.fromEntries(map);
}
