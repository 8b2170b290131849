import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDerivation, printDerivation } from '#lib/nix/derivation/aterm.js';
import { derivationName } from '#lib/nix/derivation/derivation.js';
import { derivationToJson } from '#lib/nix/derivation/json.js';
import { createOutputPaths, derivationPath } from '#lib/nix/derivation/modulo.js';
import { nameOf } from '#lib/nix/store-path.js';
import { GOLDEN, SHARED_GOLDEN } from '../support/golden.js';

/** Tests every derivation of a directory, with the JSON of `nix show-derivation` beside it. */
function describeDerivations(title: string, directory: string, jsonEnding: string): void {
  const names = readdirSync(directory).filter((name) => name.endsWith('.drv'));
  const read = (name: string) => readFileSync(join(directory, name), 'latin1');
  const derivations = new Map(names.map((name) => [`/nix/store/${name}`, parseDerivation(read(name))]));
  const outputPaths = createOutputPaths(async (path) => derivations.get(path), '/nix/store');

  describe(title, () => {
    it('are there', () => {
      expect(names.length).toBeGreaterThan(5);
    });

    it.each(names)('print to the same bytes: %s', (name) => {
      expect(printDerivation(derivations.get(`/nix/store/${name}`)!)).toBe(read(name));
    });

    it.each(names)('have the path that follows from their bytes: %s', (name) => {
      const path = `/nix/store/${name}`;
      expect(derivationPath(derivationName(path), derivations.get(path)!, '/nix/store')).toBe(path);
    });

    it.each(names)('have the outputs that we compute: %s', async (name) => {
      const derivation = derivations.get(`/nix/store/${name}`)!;
      const computed = await outputPaths(`/nix/store/${name}`, derivation);
      const expected = [...derivation.outputs].map(([output, { path }]) => [output, path || undefined]);
      expect([...computed]).toEqual(expected);
    });

    it.each(names)('have the JSON of `nix show-derivation`: %s', (name) => {
      const json = JSON.parse(read(`${name}${jsonEnding}`)) as Record<string, unknown>;
      expect(derivationToJson(derivations.get(`/nix/store/${name}`)!)).toEqual(json[`/nix/store/${name}`]);
    });
  });
}

describeDerivations('derivations by Nix', join(GOLDEN, 'drv'), '.show');

describe('the derivations by Nix', () => {
  const directory = join(GOLDEN, 'drv');
  const all = readdirSync(directory)
    .filter((name) => name.endsWith('.drv'))
    .map((name) => ({ name: nameOf(name), text: readFileSync(join(directory, name), 'latin1') }));
  const named = (name: string) =>
    all.filter((file) => file.name === `${name}.drv`).map(({ text }) => parseDerivation(text));

  it('have one output path for one content of two recipes', () => {
    const [one, other, ...rest] = named('of-a-mirror');
    expect(rest).toEqual([]);
    expect([...one!.inputDerivations.keys()]).not.toEqual([...other!.inputDerivations.keys()]);
    expect(one!.outputs).toEqual(other!.outputs);
  });

  it('hold bytes that are not UTF-8', () => {
    expect(named('latin1')[0]!.env.get('bytes')).toBe('caf\xe9 \xff\xfe');
  });

  it('have floating outputs, and outputs that wait for them', () => {
    expect(named('floating')[0]!.outputs.get('out')).toEqual({ path: '', hashAlgorithm: 'r:sha256', hash: '' });
    expect(named('of-floating')[0]!.outputs.get('out')).toEqual({ path: '', hashAlgorithm: '', hash: '' });
  });
});

if (SHARED_GOLDEN) describeDerivations('derivations of the real world', join(SHARED_GOLDEN, 'drv'), '.json');
else it.skip('derivations of the real world: skipped, ../shared/golden is not there', () => {});
