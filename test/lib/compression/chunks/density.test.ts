import { describe, expect, it } from 'vitest';
import { countBeginnings } from '#lib/compression/chunks/density.js';
import { wireTokens } from '#lib/nix/nar/encode.js';

const BEGIN = wireTokens('type', 'regular');
const OTHER = Buffer.from(BEGIN).fill(5, 0, 1);
const count = (...parts: readonly Uint8Array[]) => countBeginnings(Buffer.concat(parts));

describe('beginnings of files in a window', () => {
  it('are counted wherever they are', () => {
    expect(count(BEGIN, BEGIN)).toBe(2);
    expect(count(BEGIN, Buffer.alloc(999), BEGIN, Buffer.alloc(1), BEGIN)).toBe(3);
    expect(count(...new Array<Uint8Array>(9).fill(BEGIN))).toBe(9);
    expect(count(Buffer.alloc(64 * 1024), BEGIN)).toBe(1);
    expect(count()).toBe(0);
  });

  it('are counted when they are whole', () => {
    expect(count(BEGIN.subarray(1), BEGIN)).toBe(1);
    expect(count(BEGIN.subarray(9), BEGIN)).toBe(1);
    expect(count(BEGIN, BEGIN.subarray(0, -1))).toBe(1);
    expect(count(OTHER, BEGIN, OTHER)).toBe(1);
    expect(count(OTHER, BEGIN, OTHER, BEGIN)).toBe(2);
  });

  it('may be in memory that threads share', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(200));
    for (const at of [5, 110]) shared.set(BEGIN, at);
    expect(countBeginnings(shared.subarray(5, 142))).toBe(2);
    expect(countBeginnings(shared.subarray(6, 142))).toBe(1);
  });
});
