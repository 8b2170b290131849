import { expect, it } from 'vitest';
import { copyStatements } from '#cache/keys/publish.js';
import { readStatements, signStatement, writeStatements } from '#cache/keys/statement.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import { renderPublicKey, type SecretKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import { fakeGraph } from '../../support/recording-store.js';
import { sampleKey } from '../../support/samples.js';

const open = (name: string) => openMemoryStore(new Map(), { url: `s3://${name}` });
const NOW = '2026-11-28T12:00:00.000Z';
const says = (key: SecretKey, ...next: readonly SecretKey[]) =>
  signStatement(key, {
    ...{ caches: ['https://nix.example.org'], updatedAt: NOW },
    successors: next.map(({ publicKey }) => ({ key: renderPublicKey(publicKey), until: NOW })),
  });
type Copied = Parameters<typeof copyStatements>[2];
const signedBy = (...keys: readonly SecretKey[]): Copied =>
  [...fakeGraph(3).values()].map((info: PathInfo) => {
    return { ...info, signatures: [...keys.map((key) => signPath(info, key)), 'foreign-1:AAAA'] };
  }) as unknown as Copied;

it('copies what keys say that have signed what is copied, and their successors, however many others there are', async () => {
  const [old, next, later] = [sampleKey('old-1', 1), sampleKey('new-1', 2), sampleKey('later-1', 3)];
  const strangers = Array.from({ length: 28 }, (_, index) =>
    sampleKey(index < 2 ? 'foreign-1' : `x-${index}`, 50 + index),
  );
  const [from, to, full] = [open('from'), open('to'), open('full')];
  await writeStatements(from, [...strangers, later].map((key) => says(key)).concat(says(old, next), says(next, later)));
  const warnings: string[] = [];
  const copy = (target: typeof to, infos: Copied) =>
    copyStatements(from, target, infos, ({ message }) => warnings.push(message));
  const keysIn = async (target: typeof to) =>
    (await readStatements(target))?.statements.map(({ value }) => value.key) ?? [];

  await copy(to, signedBy());
  expect(await keysIn(to)).toEqual([]);
  await copy(to, signedBy(old));
  const texts = [old, next, later].map(({ publicKey }) => renderPublicKey(publicKey));
  expect([...(await keysIn(to))].sort()).toEqual(texts.sort());
  expect(warnings.at(-1)).toContain('28 keys');
  // A cache that has as many as readers look at stays as it is.
  const others = Array.from({ length: 32 }, (_, index) => sampleKey(`y-${index}`, 100 + index));
  await writeStatements(
    full,
    others.map((key) => says(key)),
  );
  await copy(full, signedBy(old));
  expect(await keysIn(full)).toHaveLength(32);
  expect(warnings.at(-1)).toContain('nothing of it is copied');
});
