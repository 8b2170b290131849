import { describe, expect, it } from 'vitest';
import type { FoundPath } from '#cache/find-path.js';
import type { PlainNarReader } from '#cache/serve/plain-nar.js';
import { readWholeNar } from '#cache/serve/whole-nar.js';
import { CarportError } from '#lib/errors.js';
import { hashBytes } from '#lib/nix/hash.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import { piecesOf } from '../../support/nar-pieces.js';

const NAR = Buffer.from('the whole of it');
const gone = new CarportError('E_UNAVAILABLE', 'gone');

/** Reads from caches that each give what they are said to, and then fail or end. */
async function read(...caches: readonly { readonly gives: string; readonly fails?: Error }[]) {
  const candidates = caches.map((_, index) => {
    const objects = openMemoryStore(new Map(), { url: `s3://${index}` });
    return { info: { path: '/nix/store/x' }, objects } as unknown as FoundPath;
  });
  const failures: string[] = [];
  let whole: string | undefined;
  const reads: PlainNarReader = async function* readOne(found, _, after) {
    const { gives, fails } = caches[candidates.indexOf(found)]!;
    yield* piecesOf(Buffer.from(gives), { size: 1, after });
    if (fails) throw fails;
  };
  const pieces: Uint8Array[] = [];
  let error: unknown;
  async function* all(): AsyncGenerator<FoundPath> {
    yield* candidates;
  }
  const nar = readWholeNar({
    ...{ narHash: hashBytes('sha256', NAR), narSize: NAR.length, candidates: all(), read: reads },
    onFailure: ({ objects }) => void failures.push(objects.url),
    onWhole: ({ objects }) => {
      whole = objects.url;
    },
    signal: new AbortController().signal,
  });
  try {
    for await (const { bytes } of nar) pieces.push(bytes);
  } catch (thrown) {
    error = thrown;
  }
  return { text: Buffer.concat(pieces).toString(), failures, whole, error };
}

describe('a NAR of several caches', () => {
  it('goes on with the next where one fails', async () => {
    const { text, failures, whole } = await read(
      { gives: 'the wh', fails: gone },
      { gives: '', fails: gone },
      { gives: NAR.toString() },
    );
    expect([text, failures, whole]).toEqual([NAR.toString(), ['s3://0', 's3://1'], 's3://2']);
  });

  it('does not go on from other bytes than were sent', async () => {
    const { text, error } = await read({ gives: 'the WH', fails: gone }, { gives: NAR.toString() });
    expect([text, error]).toEqual(['the WH', expect.objectContaining({ code: 'E_INTEGRITY' })]);
  });

  it.each([['the whole of IT'], ['the whole of iT, and more'], ['the whole']])(
    'has not its last byte where it is `%s`, whoever has checked it',
    async (gives) => {
      const { text, error } = await read({ gives });
      expect(text.length).toBeLessThan(NAR.length);
      expect(error).toMatchObject({ code: 'E_INTEGRITY' });
    },
  );

  it('is missing where no cache has it', async () => {
    expect((await read()).error).toMatchObject({ code: 'E_NOT_FOUND' });
  });
});
