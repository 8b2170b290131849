import { describe, expect, it } from 'vitest';
import { isDense } from '#lib/compression/chunks/density.js';
import { wireTokens } from '#lib/nix/nar/encode.js';

const BEGIN = wireTokens('type', 'regular');
const OTHER = Buffer.from(BEGIN).fill(5, 0, 1);
const dense = (...parts: readonly Uint8Array[]) => isDense(Buffer.concat(parts));

describe('a window in which files begin', () => {
  it('is dense with two of them, wherever they are', () => {
    expect(dense(BEGIN, BEGIN)).toBe(true);
    expect(dense(BEGIN, Buffer.alloc(999), BEGIN, Buffer.alloc(1), BEGIN)).toBe(true);
    expect(dense(Buffer.alloc(64 * 1024), BEGIN)).toBe(false);
    expect(dense()).toBe(false);
  });

  it('counts whole beginnings only', () => {
    expect(dense(BEGIN.subarray(1), BEGIN)).toBe(false);
    expect(dense(BEGIN.subarray(9), BEGIN)).toBe(false);
    expect(dense(BEGIN, BEGIN.subarray(0, -1))).toBe(false);
    expect(dense(OTHER, BEGIN, OTHER)).toBe(false);
    expect(dense(OTHER, BEGIN, OTHER, BEGIN)).toBe(true);
  });

  it('may be in memory that threads share', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(200));
    for (const at of [5, 110]) shared.set(BEGIN, at);
    expect(isDense(shared.subarray(5, 142))).toBe(true);
    expect(isDense(shared.subarray(6, 142))).toBe(false);
  });
});
