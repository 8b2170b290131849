import { describe, expect, it } from 'vitest';
import { parseImagePlan } from '#image/publication/document.js';
import { chooseTags, fillIn, newerStable } from '#image/publication/tags.js';
import { planPublication, type Selection } from '#image/publication/units.js';
import { compareVersions } from '#release/catalog/version-order.js';
import { channelRule } from '#release/version.js';

const NOTHING: Selection = { names: [], registries: [] };

function plan(image: readonly object[], registries: object = {}, selection = NOTHING) {
  return planPublication(parseImagePlan({ image, registries }, 'carport.toml'), selection);
}

describe('a plan of images', () => {
  it.each([
    [[{ name: 'a', base: 'a' }], '`a` on `a`'],
    [
      [
        { name: 'a', base: 'b' },
        { name: 'b', base: 'c' },
        { name: 'c', base: 'b' },
      ],
      '`b` on `c` on `b`',
    ],
    [
      [
        { name: 'a', variant: [{ name: 'gpu', base: 'b' }] },
        { name: 'b', base: 'a-gpu' },
      ],
      '`a-gpu` on `b` on `a-gpu`',
    ],
    [[{ name: 'app', base: 'bse' }, { name: 'base' }], 'did you mean `base`'],
    [[{ name: 'app', base: 'ubuntu' }], 'docker.io/library/ubuntu:TAG'],
    [[{ name: 'a' }, { name: 'a' }], 'two images are called `a`'],
    [[{ name: 'a', variant: [{ name: 'b' }] }, { name: 'a-b' }], 'called the same'],
    [[{ name: 'A' }], '`image.0.name`: is no name'],
    [[{ name: 'a', contents: 'x' }], '`image.0.contents`'],
    [[{ name: 'a', bsae: 'x' }], 'bsae'],
    [[{ name: 'a', platforms: ['linux/arm'] }], 'which ARM'],
    [[{ name: 'a', contents: { linux: [] } }], 'no platform'],
    [[{ name: 'a', registries: ['prc'] }], '`prc`, which `a` names, is none of `[registries]`'],
    [[{ name: 'a', region: { prc: {} } }], '`prc`'],
    [{ name: 'a' }, '`image`'],
  ] as const)('is refused: %j', (image, message) => {
    const told = (() => {
      try {
        plan(image as readonly object[]);
        return '';
      } catch (error) {
        const { message, hint } = error as { readonly message: string; readonly hint: string };
        return `${message} ${hint}`;
      }
    })();
    expect(told).toContain(message);
  });

  it('has what others are built on first, also where that is not asked for', () => {
    const images = [
      { name: 'c', base: 'b', variant: [{ name: 'gpu' }] },
      { name: 'b', base: 'a', variant: [{ name: 'gpu', base: 'docker.io/nvidia/cuda:1' }] },
      { name: 'a', push: false },
    ];
    const all = plan(images);
    expect(all.units.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'b-gpu', 'c-gpu']);
    expect(all.destinations.map(({ repository, variant }) => `${repository}${variant?.suffix ?? ''}`)).toEqual([
      ...['c', 'c-gpu', 'b', 'b-gpu'],
    ]);
    const one = plan(images, {}, { names: ['c-gpu'], registries: [] });
    expect(one.units.map(({ id }) => id)).toEqual(['b-gpu', 'c-gpu']);
    expect(one.destinations).toHaveLength(1);
    expect(() => plan(images, {}, { names: ['c-gpus'], registries: [] })).toThrow('`c-gpus` is no image');
  });

  it('puts variables and labels together, and all else in the place of another', () => {
    const env = { A: '1', B: '1' };
    const [, gpu] = plan([
      { name: 'a', env, cmd: ['x'], user: 'u', variant: [{ name: 'gpu', env: { B: '2' }, cmd: ['y'] }] },
    ]).units;
    expect(gpu!.recipe).toMatchObject({ env: { A: '1', B: '2' }, cmd: ['y'], user: 'u' });
  });
});

describe('tags', () => {
  const rules = ['latest', '{number}', 'dev', '{short-commit}', 'nightly'].map((tag) => ({ tag }));
  const commit = 'c'.repeat(40);
  it.each([
    [{ version: 'v1.2.3', channel: 'stable', commit }, '1.2.3 ccccccc nightly latest'],
    [{ version: 'v1.2.3+a', channel: 'extra' }, '1.2.3_a nightly'],
    [{ version: commit, channel: 'development', commit }, 'ccccccc dev nightly'],
    [{}, 'nightly'],
  ] as const)('of %j are %s', (build, tags) => {
    expect(
      chooseTags(rules, '', build)
        .map(({ tag }) => tag)
        .join(' '),
    ).toBe(tags);
    expect(chooseTags(rules, '-gpu', build).map(({ tag }) => tag)).toEqual(tags.split(' ').map((tag) => `${tag}-gpu`));
  });

  it('are given when it is said', () => {
    const nightly = [{ tag: 'nightly', when: 'development' }] as const;
    expect(chooseTags(nightly, '', { version: 'v1.0.0', channel: 'stable' })).toEqual([]);
    expect(() => chooseTags([{ tag: 'a{b}' }], '', {})).toThrow('cannot be a tag');
    expect(() => fillIn('{version}', {})).toThrow('it is not known');
    expect(fillIn('$HOME {json} {arch}', {}, { arch: 'arm64' })).toBe('$HOME {json} arm64');
  });

  const isStable = (version: string) => channelRule()(version) === 'stable';
  const newer = (version: string, tags: readonly string[], suffix = '', others: readonly string[] = []) =>
    newerStable(version, tags, { suffix, others }, { isStable, compare: compareVersions });
  it('know the newest stable version, of the same variant', () => {
    expect(newer('v1.10.0', ['v1.9.0', 'latest', 'v2.0.0-rc1', 'v1.10.0', 'f00'])).toBeUndefined();
    expect(newer('v1.9.1', ['v1.9.0', 'v1.10.0', 'v1.9.2'])).toBe('v1.10.0');
    expect(newer('v1.9.1', ['1.10.0'])).toBe('v1.10.0');
    expect(newer('v1.9.1', ['1.9.1'])).toBeUndefined();
    expect(newer('v1.9.1', ['v2.0.0-gpu', 'v1.9.0'], '', ['-gpu'])).toBeUndefined();
    expect(newer('v1.9.1', ['v2.0.0-gpu', 'v1.9.0'], '-gpu', [''])).toBe('v2.0.0');
  });
});
