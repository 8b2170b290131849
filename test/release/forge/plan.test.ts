import { describe, expect, it } from 'vitest';
import type { ForgeAsset, ForgeTraits } from '#lib/forge/contract.js';
import { githubAssetName } from '#lib/forge/github-name.js';
import { isNewest } from '#release/forge/latest.js';
import { assetNames, checkPattern } from '#release/forge/names.js';
import { planAssets, tellDifference, unreadAssets } from '#release/forge/plan.js';
import { stableTitle } from '#release/forge/promote.js';
import { checkAssets, checkedContent, type WantedAsset } from '#release/forge/wanted.js';
import { channelRule } from '#release/version.js';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const GITHUB: ForgeTraits = {
  ...{ takesEmptyFiles: false, isToldLatest: true, publishesDrafts: false },
  storedName: githubAssetName,
};

function wanted(name: string, size = 3, sha256 = A): WantedAsset {
  return { name, size, sha256, open: () => expect.unreachable() };
}

function found(id: number, name: string, more: Partial<ForgeAsset> = {}): ForgeAsset {
  const download = new URL(`https://git.example.org/${id}`);
  return { id, name, label: undefined, size: 3, sha256: A, isWhole: true, download, ...more };
}

describe('planAssets', () => {
  const faults = (assets: readonly ForgeAsset[], digests = new Map<number, string>()) => {
    const plan = planAssets([wanted('a b.txt')], assets, digests, GITHUB);
    return { ...plan, faults: plan.differences.map(({ fault }) => fault) };
  };

  it('keeps what is right, under the name that the forge made of it, or its label', () => {
    for (const asset of [found(1, 'a.b.txt'), found(1, 'other', { label: 'a b.txt' })]) {
      expect(faults([asset])).toMatchObject({ faults: [], send: [], remove: [] });
    }
  });

  it('replaces what has broken off, another size, another hash; and believes what was read before what is told', () => {
    for (const [fault, asset] of [
      ['unfinished', found(1, 'a.b.txt', { isWhole: false, size: 0 })],
      ['size', found(1, 'a.b.txt', { size: 4 })],
      ['content', found(1, 'a.b.txt', { sha256: B })],
      ['content', found(1, 'a.b.txt', { sha256: undefined })],
    ] as const) {
      expect(faults([asset])).toMatchObject({ faults: [fault], send: [{ name: 'a b.txt' }], remove: [{ id: 1 }] });
    }
    expect(faults([found(1, 'a.b.txt')], new Map([[1, B]])).faults).toEqual(['content']);
    expect(faults([]).faults).toEqual(['missing']);
  });

  it('keeps the oldest that is right of several, whoever looks, and tells of what is not wanted', () => {
    const assets = [found(3, 'a.b.txt'), found(1, 'a.b.txt', { sha256: B }), found(2, 'a.b.txt'), found(4, 'else')];
    for (const list of [assets, assets.toReversed()]) {
      const plan = faults(list);
      expect(plan.right.get('a b.txt')?.id).toBe(2);
      expect(plan.remove.map(({ id }) => id)).toEqual([1, 3]);
      expect(plan.send).toEqual([]);
      expect(plan.differences.map(tellDifference).at(-1)).toBe('`else` is there, and not of the release');
    }
  });

  it('reads what may be right, and of what the forge vouches for only where all is read', () => {
    const assets = [
      found(1, 'a.b.txt', { sha256: undefined }),
      found(2, 'a.b.txt'),
      found(3, 'a.b.txt', { size: 9 }),
      found(4, 'x'),
    ];
    const ids = (all: boolean, digests = new Map<number, string>()) =>
      unreadAssets([wanted('a b.txt')], assets, digests, { traits: GITHUB, all }).map(({ id }) => id);
    expect(ids(false)).toEqual([1]);
    expect(ids(true)).toEqual([1, 2]);
    expect(ids(true, new Map([[1, A]]))).toEqual([2]);
  });
});

describe('names of files', () => {
  const file = (target: string, name: string, sha256 = `${target}${name}`) => ({ target, name, sha256 });

  it('have the target where several have the name, before what tells the kind of file', () => {
    const files = [
      file('x', 'tool'),
      file('y', 'tool'),
      file('x', 'tool-1.2.tar.gz'),
      file('y', 'tool-1.2.tar.gz'),
      file('x', 'only.zip'),
    ];
    expect([...assetNames([...files, file('x', 'LICENSE', 'l'), file('y', 'LICENSE', 'l')], 'v1').keys()]).toEqual([
      ...['tool-x', 'tool-y', 'tool-1.2-x.tar.gz', 'tool-1.2-y.tar.gz', 'only.zip', 'LICENSE'],
    ]);
    expect([
      ...assetNames([file('x', 'tool-1.2')], 'v1', checkPattern('{stem}-{version}-{target}{ext}')).keys(),
    ]).toEqual(['tool-1.2-v1-x']);
    expect(() => assetNames(files, 'v1', '{ext}')).toThrow('two files would be called');
    for (const pattern of ['{nothing}', 'a/{name}', 'fixed', ''])
      expect(() => checkPattern(pattern)).toThrow('no pattern');
  });

  it('are what GitHub makes of them, and must differ there', () => {
    const names = {
      'a b  c.txt': 'a.b.c.txt',
      '.hidden': 'default.hidden',
      'é~x.gz': 'e.x.gz',
      'a+b@1_2-3': 'a+b@1_2-3',
      日本: '',
    };
    for (const [name, stored] of Object.entries(names)) expect(githubAssetName(name), name).toBe(stored);
    expect(() => checkAssets([wanted('a b'), wanted('a.b')], GITHUB)).toThrow('would have the name');
    expect(() => checkAssets([wanted('日本')], GITHUB)).toThrow('no character of a name');
    expect(() => checkAssets([wanted('empty', 0)], GITHUB)).toThrow('has no bytes');
  });
});

describe('the latest', () => {
  it('is the newest stable one; components stand behind the project', () => {
    const channelOf = channelRule();
    for (const [tag, current, expected] of [
      ['v1.2.0', undefined, true],
      ['v1.10.0', 'v1.9.0', true],
      ['v1.9.5', 'v1.10.0', false],
      ['v1.2.0', 'v1.2.0', true],
      ['v1.2.0', 'nightly-2026', true],
      ['nightly-2026', 'v1.2.0', false],
      ['cli/v3.0.0', 'v1.2.0', false],
      ['v1.2.0', 'cli/v3.0.0', true],
      ['cli/v3.0.0', 'cli/v2.0.0', true],
      ['cli/v3.0.0', 'lib/v2.0.0', false],
    ] as const) {
      expect(isNewest(tag, current, channelOf), `${tag} beside ${current}`).toBe(expected);
    }
  });

  it('is no candidate any more by its title', () => {
    expect(stableTitle('Candidate iree 20231004.665')).toBe('Stable iree 20231004.665');
    expect(stableTitle('candidates of candidate')).toBe('candidates of stable');
  });
});

describe('what is sent', () => {
  it('does not arrive whole where it is something else', async () => {
    for (const [pieces, size] of [
      [['ab', 'd'], 3],
      [['ab', 'c', 'd'], 3],
      [['ab'], 3],
    ] as const) {
      const read = async function* () {
        for (const piece of pieces) yield Buffer.from(piece);
      };
      let sent = 0;
      const { open } = checkedContent({ name: 'x', size, sha256: A }, read, '`x`');
      const all = async () => {
        for await (const piece of open()) sent += piece.length;
      };
      await expect(all()).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      expect(sent).toBeLessThan(size);
    }
  });
});
