import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import zstd from 'zstd-napi/binding.js';
import type { Zstd } from '#lib/compression/zstd-binding.js';
import { createWasmZstd } from '#lib/compression/zstd-wasm.js';

const wasm = createWasmZstd();
const native = zstd as unknown as Zstd;
const CONTENTS: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['text', Buffer.from('some text, and some text '.repeat(2000))],
  ['what does not compress', randomBytes(300_000)],
  ['much of the same', Buffer.alloc(1_000_000, 'abc')],
];

function compress({ CCtx, CParameter, compressBound }: Zstd, level: number, content: Uint8Array): Buffer {
  const context = new CCtx();
  context.setParameter(CParameter.compressionLevel, level);
  const into = Buffer.alloc(compressBound(content.length));
  return into.subarray(0, context.compress2(into, content));
}

/** Reads a stream piece by piece, as `decompressZstd` does. */
function read({ DCtx, DParameter }: Zstd, file: Uint8Array): { readonly content: Buffer; readonly isWhole: boolean } {
  const context = new DCtx();
  context.setParameter(DParameter.windowLogMax, 27);
  const output = Buffer.alloc(100_000);
  const pieces: Buffer[] = [];
  let atEnd = false;
  for (let [offset, more] = [0, false]; offset < file.length || more; ) {
    const [expected, made, taken] = context.decompressStream(output, file.subarray(offset));
    offset += taken;
    atEnd = expected === 0;
    more = made === output.length && !atEnd;
    pieces.push(Buffer.from(output.subarray(0, made)));
  }
  return { content: Buffer.concat(pieces), isWhole: atEnd };
}

describe('zstd as WebAssembly', () => {
  it('is the same zstd', () => {
    expect(wasm.versionString()).toBe(native.versionString());
    expect(wasm.compressBound(70_000)).toBe(native.compressBound(70_000));
  });

  it.each(CONTENTS)('writes the bytes of the native module, and reads them: %s', (_, content) => {
    for (const level of [1, 3, 9]) {
      const file = compress(wasm, level, content);
      expect(file.equals(compress(native, level, content))).toBe(true);
      const twice = read(wasm, Buffer.concat([file, file]));
      expect(twice.content.equals(Buffer.concat([content, content]))).toBe(true);
      expect(twice.isWhole).toBe(true);
      expect(read(wasm, file.subarray(0, -1)).isWhole).toBe(false);
      expect(wasm.findFrameCompressedSize(file)).toBe(file.length);
      expect(wasm.getFrameContentSize(file)).toBe(content.length);
      const whole = Buffer.alloc(content.length);
      expect(new wasm.DCtx().decompress(whole, file)).toBe(content.length);
      expect(whole.equals(content)).toBe(true);
    }
  });

  it('refuses in the same words', () => {
    const [, content] = CONTENTS[1]!;
    const damaged = compress(native, 3, content);
    damaged[10]! ^= 0xff;
    const words = (zstd: Zstd, file: Uint8Array) => {
      try {
        return read(zstd, file).isWhole;
      } catch (error) {
        return (error as Error).message;
      }
    };
    const wide = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00]);
    for (const file of [damaged, wide, Buffer.from('no zstd at all')])
      expect(words(wasm, file)).toBe(words(native, file));
    for (const file of [damaged.subarray(0, 30), Buffer.from('no zstd at all, whatever it is')]) {
      expect(() => wasm.findFrameCompressedSize(file)).toThrow();
    }
    expect(() => wasm.findFrameCompressedSize(damaged.subarray(0, 30))).toThrow(/size is incorrect/);
  });
});
