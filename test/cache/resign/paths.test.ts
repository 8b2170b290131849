import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readNarInfo } from '#cache/binary-cache.js';
import { resignPaths } from '#cache/resign/paths.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { watchedStore } from '#lib/object-store/decorators/watched.js';
import { openFileStore } from '#lib/object-store/file.js';
import { verifyPath } from '#lib/signing/signature.js';
import { useSampleCache } from '../../support/sample-cache.js';
import { sampleKey } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';

const NEXT = sampleKey('next-1');
const work = { emit: () => {}, signal: new AbortController().signal };

describe('a cache that is signed again', () => {
  const sample = useSampleCache();
  const box = useSandbox();

  const signBeside = async (beside: (key: string, cache: string) => Promise<void>) => {
    const cache = await sample().copy(box().path('cache'));
    const objects = openFileStore(cache);
    const keys = [sample().key.publicKey];
    const request = { keys: [NEXT], remove: [], trust: { keys, allowUnsigned: false }, dryRun: false };
    const watched = watchedStore(objects, {
      async after({ method, keys: [key] }) {
        if (method === 'put' && key?.endsWith('.narinfo')) await beside(key, cache);
      },
    });
    return { objects, result: await resignPaths(watched, request, work) };
  };

  it('has all signatures, also where a push writes a narinfo back as it was', async () => {
    const { path } = sample().samples.top;
    const key = `${hashPartOf(path)}.narinfo`;
    const before = await readFile(`${await sample().copy(box().path('before'))}/${key}`);
    let times = 0;
    const { objects, result } = await signBeside(async (put, cache) => {
      if (put === key && times++ === 0)
        await openFileStore(cache).put(put, before, { contentType: 'text/x-nix-narinfo' });
    });
    expect(times).toBe(2);
    expect(result).toMatchObject({ signed: sample().samples.paths.length, asTheyWere: 0, refused: [] });
    const info = (await readNarInfo(objects, hashPartOf(path)))!;
    expect(verifyPath(info, [NEXT.publicKey]).state).toBe('valid');
  });
});
