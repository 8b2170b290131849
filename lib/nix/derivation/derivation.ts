/** What a derivation is; text of one character a byte. */

import { baseNameOf, nameOf } from '../store-path.js';

/**
 * Text of a derivation, one character a byte (latin1): derivations need not be UTF-8, and bytewise order is then the
 * order of strings. `textOfBytes` makes it readable.
 */
export type ByteString = string;

/** An output of a derivation as its `.drv` has it; parts that are not known are empty. */
export interface DerivationOutput {
  /** Full store path; empty for floating content-addressed, impure and deferred outputs. */
  readonly path: ByteString;
  /** With its method: `sha256`, `r:sha256`, `git:sha1`, `text:sha256`; empty for an input-addressed output. */
  readonly hashAlgorithm: ByteString;
  /** Base 16; `impure` for impure outputs. */
  readonly hash: ByteString;
}

/** A `.drv`: a build's recipe. Maps are in bytewise order of their keys. */
export interface Derivation {
  readonly outputs: ReadonlyMap<ByteString, DerivationOutput>;
  /** Store path of each input derivation, and the outputs of it that are used. */
  readonly inputDerivations: ReadonlyMap<ByteString, readonly ByteString[]>;
  readonly inputSources: readonly ByteString[];
  readonly system: ByteString;
  readonly builder: ByteString;
  readonly args: readonly ByteString[];
  readonly env: ReadonlyMap<ByteString, ByteString>;
}

/** Whether the derivation is one output with a known hash. */
export function isFixedOutput(derivation: Derivation): boolean {
  const out = derivation.outputs.get('out');
  return derivation.outputs.size === 1 && out !== undefined && out.hash !== '' && out.hash !== 'impure';
}

/** Whether an output's path is known only after the build (floating content address, impure). */
export function isFloating(output: DerivationOutput): boolean {
  return output.path === '' && output.hashAlgorithm !== '';
}

/** True for the store path of a derivation. */
export function isDerivationPath(path: string): boolean {
  return path.endsWith('.drv');
}

/** The name that the outputs' store paths carry: that of the `.drv` file without its ending. */
export function derivationName(drvPath: string): string {
  return nameOf(baseNameOf(drvPath)).replace(/\.drv$/, '');
}

/** The text of bytes that may be UTF-8; other bytes become U+FFFD. */
export function textOfBytes(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** The bytes of a text, one character each. */
export function bytesOfText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Orders byte strings bytewise. */
export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
