import { describe, expect, it } from 'vitest';
import {
  type Derivation,
  type DerivationOutput,
  derivationName,
  isDerivationPath,
  isFixedOutput,
} from '#lib/nix/derivation/derivation.js';
import { createOutputPaths, derivationPath } from '#lib/nix/derivation/modulo.js';
import { hashBytes, toHex } from '#lib/nix/hash.js';
import { expectFormatError } from '../../../support/errors.js';

const STORE = '/nix/store';
const DIGEST = toHex(hashBytes('sha256', 'content').digest);
const NO_OUTPUT: DerivationOutput = { path: '', hashAlgorithm: '', hash: '' };

function derivation(changes: Partial<Derivation> = {}): Derivation {
  return {
    outputs: new Map([['out', NO_OUTPUT]]),
    inputDerivations: new Map(),
    inputSources: [],
    system: 'x86_64-linux',
    builder: '/bin/sh',
    args: [],
    env: new Map([['out', '']]),
    ...changes,
  };
}

const fixed = (hashAlgorithm: string, hash: string, args: string[] = []): Derivation =>
  derivation({ outputs: new Map([['out', { path: `${STORE}/${'0'.repeat(32)}-f`, hashAlgorithm, hash }]]), args });

/** A set of derivations by name, and what computes their output paths. */
function setOf(derivations: Readonly<Record<string, Derivation>>) {
  const paths = new Map(Object.entries(derivations).map(([name, value]) => [pathOf(name), value]));
  const outputPaths = createOutputPaths(async (path) => paths.get(path), STORE);
  return (name: string) => outputPaths(pathOf(name), derivations[name]!);
}

function pathOf(name: string): string {
  return `${STORE}/${'0'.repeat(32)}-${name}.drv`;
}

const using = (...names: string[]) => new Map(names.map((name) => [pathOf(name), ['out']]));

describe('output paths', () => {
  it('do not depend on the paths that are already filled in', async () => {
    const filled = derivation({
      outputs: new Map([['out', { ...NO_OUTPUT, path: `${STORE}/${'1'.repeat(32)}-x` }]]),
      env: new Map([['out', `${STORE}/${'1'.repeat(32)}-x`]]),
    });
    const blank = await setOf({ x: derivation() })('x');
    expect(await setOf({ x: filled })('x')).toEqual(blank);
    expect(blank.get('out')).toMatch(/^\/nix\/store\/[0-9a-z]{32}-x$/);
  });

  it('depend on everything else', async () => {
    const variants: Derivation[] = [
      derivation(),
      derivation({ args: ['x'] }),
      derivation({ builder: '/bin/bash' }),
      derivation({ system: 'aarch64-linux' }),
      derivation({
        env: new Map([
          ['out', ''],
          ['x', ''],
        ]),
      }),
      derivation({ inputSources: [`${STORE}/${'0'.repeat(32)}-s`] }),
      derivation({
        outputs: new Map([
          ['dev', NO_OUTPUT],
          ['out', NO_OUTPUT],
        ]),
      }),
    ];
    const outputs = await Promise.all(variants.map(async (value) => (await setOf({ x: value })('x')).get('out')));
    expect(new Set(outputs).size).toBe(variants.length);
  });

  it('are the same for inputs that fetch the same by other means, and other for other content', async () => {
    const set = {
      ours: fixed('sha256', DIGEST, ['ours']),
      mirror: fixed('sha256', DIGEST, ['mirror']),
      else: fixed('sha256', toHex(hashBytes('sha256', 'else').digest)),
    };
    const pathUsing = async (name: string) =>
      (await setOf({ ...set, x: derivation({ inputDerivations: using(name) }) })('x')).get('out');
    expect(await pathUsing('mirror')).toBe(await pathUsing('ours'));
    expect(await pathUsing('else')).not.toBe(await pathUsing('ours'));
  });

  it('depend on which outputs of an input are used', async () => {
    const many = derivation({
      outputs: new Map([
        ['dev', NO_OUTPUT],
        ['out', NO_OUTPUT],
      ]),
    });
    const pathUsing = async (outputs: string[]) =>
      (await setOf({ many, x: derivation({ inputDerivations: new Map([[pathOf('many'), outputs]]) }) })('x')).get(
        'out',
      );
    expect(new Set(await Promise.all([['out'], ['dev'], ['dev', 'out']].map(pathUsing))).size).toBe(3);
  });

  it('are not known of floating outputs, nor of what depends on them', async () => {
    const floating = derivation({ outputs: new Map([['out', { ...NO_OUTPUT, hashAlgorithm: 'r:sha256' }]]) });
    const outputPaths = setOf({
      floating,
      user: derivation({ inputDerivations: using('floating') }),
      indirect: derivation({ inputDerivations: using('user') }),
    });
    for (const name of ['floating', 'user', 'indirect']) expect((await outputPaths(name)).get('out')).toBeUndefined();
  });

  it('are computed once for each input, however often it is used', async () => {
    const width = 30;
    const layers: Record<string, Derivation> = { 'l0-a': derivation(), 'l0-b': derivation({ args: ['b'] }) };
    for (let layer = 1; layer <= width; layer++) {
      const inputDerivations = using(`l${layer - 1}-a`, `l${layer - 1}-b`);
      layers[`l${layer}-a`] = derivation({ inputDerivations });
      layers[`l${layer}-b`] = derivation({ inputDerivations, args: ['b'] });
    }
    let asked = 0;
    const outputPaths = createOutputPaths(async (path) => {
      asked++;
      return layers[derivationName(path)];
    }, STORE);
    await outputPaths(pathOf(`l${width}-a`), layers[`l${width}-a`]!);
    expect(asked).toBe(2 * width);
  });

  it.each([
    ['an input that is not at hand', derivation({ inputDerivations: using('missing') }), 'is not at hand'],
    [
      'an output that the input does not have',
      derivation({ inputDerivations: new Map([[pathOf('plain'), ['dev']]]) }),
      'has no output `dev`',
    ],
    ['an unknown way of hashing', fixed('x:sha256', DIGEST), '`x:` is not a way of hashing'],
    ['an unknown algorithm', fixed('r:blake3', DIGEST), 'no known algorithm'],
    ['a hash of the wrong length', fixed('r:sha256', DIGEST.slice(2)), 'wrong length'],
  ])('are refused for %s', async (_, value, reason) => {
    const failure = await setOf({ plain: derivation(), x: value })('x').catch((error: unknown) => error);
    expectFormatError(reason, () => {
      throw failure;
    });
  });

  it('are refused for derivations that are inputs of each other', async () => {
    const outputPaths = setOf({
      a: derivation({ inputDerivations: using('b') }),
      b: derivation({ inputDerivations: using('c') }),
      c: derivation({ inputDerivations: using('b') }),
      self: derivation({ inputDerivations: using('self') }),
    });
    await expect(outputPaths('a')).rejects.toThrow('depends on itself');
    await expect(outputPaths('self')).rejects.toThrow('depends on itself');
  });
});

describe('a derivation’s own path', () => {
  it('depends on its text, its name and its store dir', () => {
    const paths = [
      derivationPath('x', derivation(), STORE),
      derivationPath('y', derivation(), STORE),
      derivationPath('x', derivation({ args: ['x'] }), STORE),
      derivationPath('x', derivation(), '/other'),
    ];
    expect(new Set(paths.map((path) => path.slice(-40))).size).toBe(4);
    expect(paths[0]).toMatch(/^\/nix\/store\/[0-9a-z]{32}-x\.drv$/);
  });

  it('gives the name of its outputs', () => {
    expect(derivationName(pathOf('hello-1.0'))).toBe('hello-1.0');
    expect(derivationName(pathOf('hello.drv-x'))).toBe('hello.drv-x');
    expect(derivationName(pathOf('hello.drv'))).toBe('hello.drv');
    expect(isDerivationPath(pathOf('hello'))).toBe(true);
    expect(isDerivationPath(`${STORE}/${'0'.repeat(32)}-hello`)).toBe(false);
  });
});

describe('a derivation of fixed output', () => {
  it('has one output `out` with a hash', () => {
    const fixedOutput = { path: '', hashAlgorithm: 'sha256', hash: DIGEST };
    expect(isFixedOutput(fixed('sha256', DIGEST))).toBe(true);
    expect(isFixedOutput(derivation())).toBe(false);
    expect(isFixedOutput(fixed('r:sha256', 'impure'))).toBe(false);
    expect(isFixedOutput(derivation({ outputs: new Map([['dev', fixedOutput]]) }))).toBe(false);
    expect(
      isFixedOutput(
        derivation({
          outputs: new Map([
            ['dev', fixedOutput],
            ['out', fixedOutput],
          ]),
        }),
      ),
    ).toBe(false);
  });
});
