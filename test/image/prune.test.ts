import { describe, expect, it } from 'vitest';
import type { Node, TagFact } from '#image/prune/facts.js';
import { type PruneRules, planPrune } from '#image/prune/plan.js';
import { removePlanned } from '#image/prune/remove.js';
import { describe as described, renderDocument } from '#lib/oci/documents.js';
import { OCI } from '#lib/oci/media-types.js';
import { compareVersions } from '#release/catalog/version-order.js';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 29);

const digestOf = (name: string) => `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}`;
const tagOf = (name: string) => digestOf(name).replace(':', '-');
const nameOf = (digest: string) => Buffer.from(digest.slice(7), 'hex').toString().replaceAll('\0', '');

interface Given {
  readonly age?: number;
  readonly children?: readonly string[];
  readonly subject?: string;
}

/** What of tags goes, and why the others stay. Tags are `TAG DIGEST`. */
function planOf(tags: readonly string[], images: Readonly<Record<string, Given>>, rules: Partial<PruneRules>) {
  const nodes = new Map(
    Object.entries(images).map(([name, { age, children = [], subject }]): [string, Node] => [
      digestOf(name),
      {
        digest: digestOf(name),
        children: children.map(digestOf),
        ...(subject !== undefined && { subject: digestOf(subject) }),
        ...(age !== undefined && { created: NOW - age * DAY }),
      },
    ]),
  );
  const facts = tags.map((each): TagFact => {
    const [tag = '', name = tag] = each.split(' ');
    return { tag, digest: digestOf(name) };
  });
  const plan = planPrune(
    { tags: facts, nodes },
    {
      ...{ patterns: [], keep: undefined, within: undefined, now: NOW },
      staysFor: (tag) => (tag === 'latest' ? 'latest' : undefined),
      matches: (pattern, tag) => tag.startsWith(pattern),
      compare: (a, b) => (/^v/.test(a) ? compareVersions(a, b) : undefined),
      ...rules,
    },
  );
  return {
    remove: plan.remove.map(({ digest }) => nameOf(digest)).join(' '),
    untag: plan.untag.map(({ tag }) => tag).join(' '),
    kept: plan.kept.map(({ tag, reason }) => `${tag} ${reason}`),
  };
}

describe('of the tags of a repository', () => {
  const four = { a: { age: 1 }, b: { age: 2 }, c: { age: 30 }, d: { age: 40 } };

  it('the newest images stay, however many tags they have', () => {
    const plan = planOf(['a', 'x a', 'b', 'c', 'd'], four, { keep: 2 });
    expect(plan).toEqual({ remove: 'c d', untag: '', kept: ['a newest', 'x newest', 'b newest'] });
  });

  it('the younger stay, and those whose age is not known', () => {
    const plan = planOf(['a', 'c', 'old'], { ...four, old: {} }, { within: 10 * DAY });
    expect(plan).toEqual({ remove: 'c', untag: '', kept: ['a young', 'old no-age'] });
  });

  it('without times the newest versions stay, and what is no version', () => {
    const plan = planOf(['v1', 'v10', 'v9', 'f00'], { v1: {}, v10: {}, v9: {}, f00: {} }, { keep: 1 });
    expect(plan.remove).toBe('v1 v9');
    expect(plan.kept).toEqual(['v10 newest', 'f00 no-age']);
  });

  it('each pattern has its own newest, and others are not looked at', () => {
    const plan = planOf(
      ['n1 a', 'n2 b', 'm1 c', 'm2 d', 'z'],
      { ...four, z: { age: 99 } },
      { keep: 1, patterns: ['n', 'm'] },
    );
    expect(plan).toEqual({ remove: 'b d', untag: '', kept: ['n1 newest', 'm1 newest', 'z not-named'] });
  });

  it('what an index or a tag that stays refers to stays, and only the tag goes', () => {
    const images = {
      i: { age: 1, children: ['p', 'q'] },
      p: { age: 50 },
      q: { age: 50 },
      o: { age: 60, children: ['q', 'r'] },
      r: { age: 60 },
    };
    const plan = planOf(['i', 'p-amd64 p', 'o', 'latest q'], images, { keep: 1 });
    expect(plan.remove).toBe('o r');
    expect(plan.untag).toBe('p-amd64');
  });

  it('what is about an image goes with it, and stays with it', () => {
    const images = {
      ...four,
      sa: { subject: 'a' },
      sd: { subject: 'd' },
      id: { children: ['sd'] },
      sbom: { age: 1, subject: 'c' },
    };
    const tags = ['a', 'c', 'd', `${tagOf('a')}.sig sa`, `${tagOf('d')}.sig sd`, `${tagOf('d')} id`, 'latest sbom'];
    const plan = planOf(tags, images, { keep: 1 });
    expect(plan.remove).toBe('d id sd');
    // Something that stays is about it.
    expect(plan.untag).toBe('c');
    expect(plan.kept).toEqual(['a newest', 'latest latest', `${tagOf('a')}.sig referrer`]);
  });

  it('nothing goes that stays or has a new tag, whatever a list of what is about an image says', async () => {
    const removed: string[] = [];
    const document = (manifests: readonly string[]) =>
      described(
        OCI.index,
        renderDocument({
          ...{ schemaVersion: 2, mediaType: OCI.index },
          manifests: manifests.map((digest) => ({ mediaType: OCI.manifest, digest, size: 1 })),
        }),
      );
    const [goes, copied, part] = ['goes', 'copied', 'part'].map(digestOf) as [string, string, string];
    // Since the look one image was copied to another tag, and another has become part of an index.
    const index = document([part]);
    const tags = new Map<string, string>([
      ...([
        ['a', goes],
        ['b', copied],
        ['c', part],
        ['v1', copied],
      ] as const),
      ...([
        ['v2', index.descriptor.digest],
        ['stays', digestOf('stays')],
      ] as const),
    ]);
    const repository = {
      tags: async () => [...tags.keys()],
      async manifest(reference: string) {
        const digest = tags.get(reference);
        return digest && { ...index, descriptor: { ...index.descriptor, digest } };
      },
      referrers: async () => ['signature', 'stays'].map((name) => ({ digest: digestOf(name) })),
      remove: async (reference: string) => removed.push(nameOf(reference) || `tag ${reference}`),
    };
    const nodes = new Map([goes, copied, part, digestOf('stays')].map((digest) => [digest, { digest, children: [] }]));
    const facts = { tags: ['a', 'b', 'c', 'stays'].map((tag) => ({ tag, digest: tags.get(tag)! })), nodes };
    const none = { patterns: [], keep: undefined, within: undefined, now: NOW };
    const reasonOf = (tag: string) => (tag === 'stays' ? ('pattern' as const) : undefined);
    const rules = { ...none, staysFor: reasonOf, matches: () => false, compare: () => 0 };
    const plan = planPrune(facts, rules);
    expect(plan.remove.map(({ digest }) => nameOf(digest)).sort()).toEqual(['copied', 'goes', 'part']);
    const work = { emit() {}, signal: new AbortController().signal };
    await removePlanned(repository as never, plan, nodes, work);
    expect(removed).toEqual(['tag b', 'tag c', 'goes', 'signature']);
  });

  it('an index of itself ends', () => {
    expect(planOf(['i', 'a'], { i: { age: 9, children: ['i'] }, a: { age: 1 } }, { keep: 1 }).remove).toBe('i');
  });
});
