import { expect, it } from 'vitest';
import { createNarInfos } from '#cache/serve/narinfos.js';
import { openMemoryStore } from '#lib/object-store/memory.js';

const hashPart = (number: number) => String(number).padStart(32, '0');

/** Narinfos with so many bytes of fields that Nix does not know, and how often one was asked for. */
function start(junk: string) {
  const asked = new Map<string, number>();
  const objects = {
    ...openMemoryStore(new Map()),
    async read(key: string) {
      const part = key.slice(0, 32);
      asked.set(part, (asked.get(part) ?? 0) + 1);
      const path = `StorePath: /nix/store/${part}-a\nURL: nar/x.nar\nCompression: none\n`;
      return Buffer.from(`${path}NarHash: sha256:${'0'.repeat(52)}\nNarSize: 100\nReferences: \n${junk}`);
    },
  };
  const { find } = createNarInfos({
    upstreams: { firstOf: (look: (from: unknown) => unknown) => look(objects) } as never,
    ...{ keys: [], now: () => 0 },
  });
  return async (number: number) => {
    expect((await find(hashPart(number)))?.info.narSize).toBe(100);
    return asked.get(hashPart(number));
  };
}

it('remembers narinfos by what they take, with all that Nix does not know', async () => {
  const small = start('Other: x\n');
  const large = start(`Other: ${'x'.repeat(100_000)}\n`);
  for (let number = 1; number <= 400; number++) expect([await small(number), await large(number)]).toEqual([1, 1]);
  // The newest are there, the oldest of the large ones not.
  expect([await small(1), await small(400), await large(400), await large(1)]).toEqual([1, 1, 1, 2]);
});

it('does not remember a narinfo that is larger than any of Nix', async () => {
  const many = start('A: x\n'.repeat(10_000));
  const long = start(`Other: ${'x'.repeat(1_000_000)}\n`);
  expect([await many(1), await many(1), await long(1), await long(1)]).toEqual([1, 2, 1, 2]);
});
