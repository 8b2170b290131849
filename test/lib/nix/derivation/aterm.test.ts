import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { glanceAtDerivation, parseDerivation, printDerivation } from '#lib/nix/derivation/aterm.js';
import { bytesOfText, type Derivation, textOfBytes } from '#lib/nix/derivation/derivation.js';
import { derivationToJson } from '#lib/nix/derivation/json.js';
import * as arbitrary from '../../../support/arbitraries.js';
import { expectFormatError } from '../../../support/errors.js';

const HASH = '0123456789abcdfghijklmnpqrsvwxyz';
const PATH = (label: string) => `/nix/store/${HASH}-${label}`;

const inOrder = <T>(entries: readonly (readonly [string, T])[]): Map<string, T> =>
  new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));

const mapOf = <T>(key: fc.Arbitrary<string>, value: fc.Arbitrary<T>, minLength = 0) =>
  fc.uniqueArray(fc.tuple(key, value), { selector: ([text]) => text, minLength, maxLength: 4 }).map(inOrder);

const sortedSet = (item: fc.Arbitrary<string>) =>
  fc.uniqueArray(item, { maxLength: 4 }).map((items) => [...items].sort());

const derivations = (): fc.Arbitrary<Derivation> => {
  const bytes = arbitrary.byteString();
  const output = fc.record({
    path: fc.oneof(fc.constant(''), arbitrary.storePath()),
    hashAlgorithm: bytes,
    hash: bytes,
  });
  return fc.record({
    outputs: mapOf(arbitrary.storePathName(), output, 1),
    inputDerivations: mapOf(arbitrary.storePath(), sortedSet(bytes)),
    inputSources: sortedSet(arbitrary.storePath()),
    system: bytes,
    builder: bytes,
    args: fc.array(bytes, { maxLength: 4 }),
    env: mapOf(fc.oneof(bytes, fc.constantFrom('__proto__', 'constructor')), bytes),
  });
};

const PARTS = {
  outputs: `("out","${PATH('a')}","","")`,
  inputs: `("${PATH('b.drv')}",["out"])`,
  sources: `"${PATH('c')}"`,
  system: '"x86_64-linux"',
  builder: '"/bin/sh"',
  args: '"-c"',
  env: '("key","value")',
};

/** The text of a small derivation with some of its parts replaced. */
function textWith(changes: Partial<typeof PARTS> = {}): string {
  const { outputs, inputs, sources, system, builder, args, env } = { ...PARTS, ...changes };
  return `Derive([${outputs}],[${inputs}],[${sources}],${system},${builder},[${args}],[${env}])`;
}

describe('a derivation', () => {
  it('gives back what was printed, whichever bytes it holds', () => {
    fc.assert(
      fc.property(derivations(), (derivation) => {
        const text = printDerivation(derivation);
        expect(parseDerivation(text)).toEqual(derivation);
        expect(printDerivation(parseDerivation(text))).toBe(text);
      }),
      { numRuns: 300 },
    );
  });

  it('is printed in order, whatever the order of its maps', () => {
    fc.assert(
      fc.property(derivations(), (derivation) => {
        const reversed: Derivation = {
          ...derivation,
          outputs: new Map([...derivation.outputs].reverse()),
          inputDerivations: new Map([...derivation.inputDerivations].reverse()),
          inputSources: [...derivation.inputSources].reverse(),
          env: new Map([...derivation.env].reverse()),
        };
        expect(printDerivation(reversed)).toBe(printDerivation(derivation));
      }),
    );
  });

  it('escapes quotes, backslashes, newlines, returns and tabs, and nothing else', () => {
    const derivation = parseDerivation(textWith({ env: '("key","\\"\\\\\\n\\r\\t$\0\x7f\xff")' }));
    expect(derivation.env.get('key')).toBe('"\\\n\r\t$\0\x7f\xff');
    expect(printDerivation(derivation)).toContain('("key","\\"\\\\\\n\\r\\t$\0\x7f\xff")');
  });

  it('keeps what only looks like an end inside a string', () => {
    const text = textWith({ env: '("key","\\\\\\"),(\\"x")' });
    expect(parseDerivation(text).env.get('key')).toBe('\\"),("x');
  });

  it('has JSON that holds keys such as `__proto__` as its own', () => {
    const derivation = parseDerivation(textWith({ env: '("__proto__","x"),("a","y")' }));
    expect(JSON.stringify(derivationToJson(derivation).env)).toBe('{"__proto__":"x","a":"y"}');
  });

  it('has JSON without the parts of an output that are empty', () => {
    const outputs = `("a","","r:sha256",""),("b","${PATH('b')}","sha256","00"),("c","","","")`;
    expect(derivationToJson(parseDerivation(textWith({ outputs }))).outputs).toEqual({
      a: { hashAlgo: 'r:sha256' },
      b: { path: PATH('b'), hashAlgo: 'sha256', hash: '00' },
      c: {},
    });
  });
});

describe('byte strings', () => {
  it('hold text as UTF-8', () => {
    expect(bytesOfText('é😀')).toBe('\xc3\xa9\xf0\x9f\x98\x80');
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => textOfBytes(bytesOfText(text)) === text));
  });
});

describe('a derivation is refused', () => {
  it('when it is cut at any byte', () => {
    const text = textWith();
    expect(parseDerivation(text).system).toBe('x86_64-linux');
    for (let size = 0; size < text.length; size++) {
      expectFormatError(/expected|does not end|unknown escape|is not a store path/, () =>
        parseDerivation(text.slice(0, size)),
      );
    }
  });

  it.each([' ', '\n', ')', '\0'])('with %j after its end', (extra) => {
    expectFormatError('has bytes after its end', () => parseDerivation(textWith() + extra));
  });

  it.each<[string, Partial<typeof PARTS>, string]>([
    ['no outputs', { outputs: '' }, 'has no outputs'],
    ['outputs out of order', { outputs: '("out","","",""),("dev","","","")' }, 'outputs are not sorted'],
    ['an output twice', { outputs: '("out","","",""),("out","","","")' }, 'outputs are not sorted'],
    ['an output without a name', { outputs: '("","","","")' }, '`` cannot be the name of an output'],
    ['an output named as a path', { outputs: '("../out","","","")' }, '`../out` cannot be the name of an output'],
    ['an output named `..`', { outputs: '("..","","","")' }, '`..` cannot be the name of an output'],
    ['an output of three parts', { outputs: '("out","","")' }, 'expected `,`'],
    ['an output of five parts', { outputs: '("out","","","","")' }, 'expected `)`'],
    [
      'an output that is no store path',
      { outputs: '("out","/etc/passwd","","")' },
      '`/etc/passwd` is not a store path',
    ],
    ['an output with a relative path', { outputs: `("out","${HASH}-a","","")` }, 'is not a store path'],
    ['an output below a store path', { outputs: `("out","${PATH('a')}/b","","")` }, 'is not a store path'],
    ['an input that is no store path', { inputs: '("x.drv",["out"])' }, '`x.drv` is not a store path'],
    [
      'inputs out of order',
      { inputs: `("${PATH('b.drv')}",["out"]),("${PATH('a.drv')}",["out"])` },
      'input derivations are not sorted',
    ],
    [
      'an input twice',
      { inputs: `("${PATH('b.drv')}",["out"]),("${PATH('b.drv')}",["dev"])` },
      'input derivations are not sorted',
    ],
    ['an input’s outputs out of order', { inputs: `("${PATH('b.drv')}",["out","dev"])` }, 'are not sorted'],
    ['an input’s output twice', { inputs: `("${PATH('b.drv')}",["out","out"])` }, 'are not sorted'],
    ['an input of a dynamic derivation', { inputs: `("${PATH('b.drv')}",(["out"],[]))` }, 'expected `[`'],
    ['a source that is no store path', { sources: '"/nix/store/x"' }, '`/nix/store/x` is not a store path'],
    ['an empty source', { sources: '""' }, 'is not a store path'],
    ['sources out of order', { sources: `"${PATH('d')}","${PATH('c')}"` }, 'input sources are not sorted'],
    ['a source twice', { sources: `"${PATH('c')}","${PATH('c')}"` }, 'input sources are not sorted'],
    ['a variable twice', { env: '("a","1"),("a","2")' }, 'environment variables are not sorted'],
    ['variables out of order', { env: '("b",""),("a","")' }, 'environment variables are not sorted'],
    ['variables in the order of letters', { env: '("a",""),("B","")' }, 'environment variables are not sorted'],
    ['a variable without a value', { env: '("a")' }, 'expected `,`'],
    ['a comma after the last item', { args: '"-c",' }, 'expected `"`'],
    ['no comma between items', { args: '"a""b"' }, 'expected `,`'],
    ['white space between items', { args: '"a", "b"' }, 'expected `"`'],
    ['a string in single quotes', { system: "'x'" }, 'expected `"`'],
    ['an unknown escape', { system: '"\\x41"' }, 'unknown escape'],
    ['an escaped zero', { system: '"\\0"' }, 'unknown escape'],
    ['an escape named as what every object has', { system: '"\\constructor"' }, 'unknown escape'],
  ])('with %s', (_, changes, reason) => {
    expectFormatError(reason, () => parseDerivation(textWith(changes)));
  });

  it.each([
    ['of a dynamic kind', `DrvWithVersion("xp-dyn-drv",${textWith().slice(7)}`, 'dynamic derivations'],
    ['that is empty', '', 'expected `Derive(` at byte 0'],
    ['with white space before it', ` ${textWith()}`, 'expected `Derive(` at byte 0'],
    ['whose string has no end', 'Derive([("', 'a string does not end'],
    ['whose string ends in a backslash', 'Derive([("\\', 'unknown escape'],
  ])('%s', (_, text, reason) => {
    expectFormatError(reason, () => parseDerivation(text));
  });
});

describe('glanceAtDerivation', () => {
  it('tells of each derivation what reading all of it would, or nothing', () => {
    fc.assert(
      fc.property(derivations(), (derivation) => {
        const glance = glanceAtDerivation(printDerivation(derivation));
        if (glance === undefined) return;
        expect(glance.isTold).toBe([...derivation.outputs.values()].every(({ path }) => path !== ''));
        expect(glance.hasInputDerivations).toBe(derivation.inputDerivations.size > 0);
      }),
    );
  });

  it('tells of the usual ones, and nothing of what is no derivation', () => {
    const text = (outputs: string, inputs: string) => `Derive([${outputs}],[${inputs}],[],"s","b",[],[])`;
    const told = `("dev","${PATH('b')}","r:sha256","aa"),("out","${PATH('a')}","","")`;
    expect(glanceAtDerivation(text(told, PARTS.inputs))).toEqual({ isTold: true, hasInputDerivations: true });
    expect(glanceAtDerivation(text(told, ''))).toEqual({ isTold: true, hasInputDerivations: false });
    const floating = `${told},("z","","r:sha256","")`;
    expect(glanceAtDerivation(text(floating, ''))).toEqual({ isTold: false, hasInputDerivations: false });
    for (const other of ['', 'Derive([],[],', 'DrvWithVersion("xp-dyn-drv",[', 'Derive([("out"']) {
      expect(glanceAtDerivation(other)).toBeUndefined();
    }
  });
});
