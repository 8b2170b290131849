import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type CutFinder, createCutFinder } from '#lib/compression/gear/cut-finder.js';
import { noise } from '../../../support/files.js';

const MIB = 1024 * 1024;

/** Once in 512 KiB. */
const CUT_BELOW = 2 ** 13;

/** All cuts of bytes that come in pieces of a size. */
function cutsOf(finder: CutFinder, bytes: Uint8Array, size = bytes.length): number[] {
  const cuts: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, Math.min(at + size, bytes.length));
    const cut = finder.find(piece, CUT_BELOW);
    at += cut < 0 ? piece.length : cut;
    if (cut < 0) continue;
    cuts.push(at);
    finder.restart();
  }
  return cuts;
}

const content = noise(4 * MIB, 'cuts');
const first = cutsOf(createCutFinder({ plain: true }), content);

/** Bytes whose last one cuts: what a hash that begins there has in its window. */
const beforeCut = content.subarray(first[0]! - 32, first[0]);

describe('the cuts of a stream', () => {
  it('are where the hash of the last 32 bytes is small', () => {
    const gear = (byte: number) => createHash('sha256').update(`carport gear ${byte}`).digest().readUInt32LE();
    const hash = beforeCut.reduce((sum, byte) => (sum * 2 + gear(byte)) % 2 ** 32, 0);
    expect(hash).toBeLessThan(CUT_BELOW);
    expect(first.length).toBeGreaterThan(3);
  });

  it.each([4 * MIB, 65_536, 32_769, 4099, 7])('are the same in WebAssembly, in pieces of %i bytes', (size) => {
    const bytes = content.subarray(0, Math.max(size, first[1]! + 1));
    expect(cutsOf(createCutFinder(), bytes, size)).toEqual(first.filter((cut) => cut <= bytes.length));
  });

  it.each([0, 1, 7, 8, 9, 32_735, 32_736, 32_737])('are found behind %i other bytes', (count) => {
    const bytes = Buffer.concat([Buffer.alloc(count, 1), beforeCut, Buffer.alloc(3)]);
    expect(createCutFinder({ plain: true }).find(bytes, CUT_BELOW)).toBe(count + 32);
    expect(createCutFinder().find(bytes, CUT_BELOW)).toBe(count + 32);
  });

  it('are found in memory that threads share', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(first[0]! + 10));
    shared.set(content.subarray(0, shared.length));
    expect(createCutFinder().find(shared, CUT_BELOW)).toBe(first[0]);
  });

  it('are none in nothing', () => {
    expect(createCutFinder().find(new Uint8Array(), CUT_BELOW)).toBe(-1);
  });

  it('of two streams do not depend on each other', () => {
    const [one, other] = [createCutFinder(), createCutFinder()];
    expect(one.find(beforeCut.subarray(0, 20), CUT_BELOW)).toBe(-1);
    expect(other.find(content.subarray(0, 1000), CUT_BELOW)).toBe(-1);
    expect(one.find(beforeCut.subarray(20), CUT_BELOW)).toBe(12);
  });
});
