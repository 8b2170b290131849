import { describe, expect, it } from 'vitest';
import { planPush } from '#cache/push/plan.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { fakeGraph, recordingStore } from '../../support/recording-store.js';
import { sampleKey } from '../../support/samples.js';

const [OWN, UPSTREAM] = [sampleKey('own-1'), 'upstream-1'];
const RECORD = `carport/skips/${Buffer.from(UPSTREAM).toString('hex')}.json`;

/** Some of 2,001 paths carry a signature of upstream. */
const GRAPH: ReadonlyMap<string, PathInfo> = new Map(
  [...fakeGraph(2001).values()].map((info, at) => {
    const signatures = at % 4 === 0 && at < 2000 ? [`${UPSTREAM}:AAAA`] : [];
    return [info.path, { ...info, signatures }];
  }),
);
const [THEIRS, OURS] = [
  [...GRAPH.values()].filter(({ signatures }) => signatures.length > 0),
  [...GRAPH.values()].filter(({ signatures }) => signatures.length === 0),
];

describe('paths that a push has left out', () => {
  const request = { graph: GRAPH, keys: [OWN], checkAll: false, hasCache: true };

  it('are sent by one that does not leave them out', async () => {
    const { objects, calls } = recordingStore(OURS, OWN, [RECORD]);
    const plan = await planPush(objects, { ...request, skipSignedBy: [] });
    expect(new Set(plan.upload.map(({ path }) => path))).toEqual(new Set(THEIRS.map(({ path }) => path)));
    // The root and its NAR, the record, and one listing.
    expect([calls.reads.length, calls.sizes.length, calls.lists]).toEqual([1, 2, 1]);
  });

  it('and are there by now are asked for, and no others', async () => {
    const { objects, calls } = recordingStore([...GRAPH.values()], OWN, [RECORD]);
    const plan = await planPush(objects, { ...request, skipSignedBy: [] });
    expect([plan.upload, plan.sign]).toEqual([[], []]);
    expect(calls.reads.length).toBe(1 + THEIRS.length);
  });

  it('and lack a signature of ours by now are signed', async () => {
    const { objects } = recordingStore([...GRAPH.values()], OWN, [RECORD]);
    const unsigned = recordingStore(THEIRS);
    const read = async (key: string, limit: number) =>
      (await unsigned.objects.read(key, limit)) ?? (await objects.read(key, limit));
    const plan = await planPush({ ...objects, read }, { ...request, skipSignedBy: [] });
    expect([plan.upload.length, plan.sign.length]).toEqual([0, THEIRS.length]);
  });

  it('are not asked for by one that leaves them out, too', async () => {
    const { objects, calls } = recordingStore(OURS, OWN, [RECORD]);
    const plan = await planPush(objects, { ...request, skipSignedBy: [UPSTREAM, 'other-1'] });
    expect([plan.upload, plan.skipped.length, plan.skippedBy]).toEqual([[], THEIRS.length, [UPSTREAM]]);
    expect([calls.reads.length, calls.sizes.length, calls.lists]).toEqual([1, 1, 0]);
  });

  it('are not doubted in a cache to which all pushes sent them', async () => {
    const { objects, calls } = recordingStore([...GRAPH.values()], OWN);
    const plan = await planPush(objects, { ...request, skipSignedBy: [] });
    expect(plan.upload).toEqual([]);
    // The root's NAR is looked for beside that.
    const asked = calls.sizes.filter((key) => !key.startsWith('nar/'));
    expect(calls.sizes.length).toBe(asked.length + 1);
    expect([calls.reads.length, asked, calls.lists]).toEqual([1, [RECORD], 0]);
  });

  it('are none in a closure that nobody else has signed: only the root and its NAR are asked for', async () => {
    const graph = fakeGraph(2001);
    const { objects, calls } = recordingStore([...graph.values()], OWN, [RECORD]);
    const plan = await planPush(objects, { ...request, graph, skipSignedBy: [] });
    expect(plan.upload).toEqual([]);
    expect([calls.reads.length, calls.sizes.length, calls.lists]).toEqual([1, 1, 0]);
  });
});
