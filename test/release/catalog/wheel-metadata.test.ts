import { expect, test } from 'vitest';
import { withoutMetadata } from '#release/catalog/wheel-metadata.js';

const file = { size: 1, sha256: '0'.repeat(64), storePath: null, target: 'any' };
const python = { project: 'demo', version: '1.0', requiresPython: null };

test('metadata beside a wheel that says so is no file for people; what only looks like it is', () => {
  const key = (name: string) => ({ name, key: `v1.0/any/${name}` });
  const wheel = { ...file, ...key('demo-1.0-py3-none-any.whl'), python: { ...python, metadataSha256: '1'.repeat(64) } };
  const beside = { ...file, ...key('demo-1.0-py3-none-any.whl.metadata') };
  const sdist = { ...file, ...key('demo-1.0.tar.gz'), python: { ...python, metadataSha256: null } };
  const other = { ...file, ...key('demo-1.0.tar.gz.metadata') };
  expect(withoutMetadata([wheel, beside, sdist, other])).toEqual([wheel, sdist, other]);
});
