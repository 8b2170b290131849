import { expect, it } from 'vitest';
import { cacheClosure } from '#cache/cached-closure.js';
import { createBatchedCache } from '../support/batched-cache.js';
import { fakeFan } from '../support/fake-paths.js';
import { sampleKey } from '../support/samples.js';

it('asks for each narinfo once', async () => {
  const infos = fakeFan(5, 'few');
  const { objects, asked } = await createBatchedCache([infos], [sampleKey('test-1')]);
  const paths = infos.map(({ path }) => path);
  const { graph, roots } = await cacheClosure(objects, [paths.at(-1)!, paths[0]!]);
  expect([...graph.keys()].sort()).toEqual([...paths].sort());
  expect(roots).toEqual([paths.at(-1), paths[0]]);
  expect(asked().narInfos).toBe(6);
});
