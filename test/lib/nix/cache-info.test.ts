import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CacheInfo, parseCacheInfo, renderCacheInfo } from '#lib/nix/cache-info.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectFormatError } from '../../support/errors.js';

describe('nix-cache-info', () => {
  it('gives back what was rendered', () => {
    const infos = fc.record(
      {
        storeDir: arbitrary.printable(0, 20).map((text) => `/${text}/store`),
        wantMassQuery: fc.boolean(),
        priority: fc.integer({ min: -999, max: 999_999_999 }),
      },
      { requiredKeys: ['storeDir'] },
    );
    fc.assert(
      fc.property(infos, (info) => {
        expect(parseCacheInfo(renderCacheInfo(info))).toEqual(info);
      }),
    );
  });

  it('is one line when only the store dir is set, as Nix writes it', () => {
    expect(renderCacheInfo({ storeDir: '/nix/store' })).toBe('StoreDir: /nix/store\n');
  });

  it('has all three lines in order', () => {
    const text = 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n';
    expect(parseCacheInfo(text)).toEqual({ storeDir: '/nix/store', wantMassQuery: true, priority: 40 });
    expect(renderCacheInfo(parseCacheInfo(text))).toBe(text);
  });

  it('may have lines of other keys, without colon or end, and carriage returns', () => {
    const text = 'Unknown: 1\r\nnonsense\r\n\r\nStoreDir:/nix/store\r\nWantMassQuery: 0\r\nPriority: -1';
    expect(parseCacheInfo(text)).toEqual({ storeDir: '/nix/store', wantMassQuery: false, priority: -1 });
  });

  it('is not misled by keys that every object has', () => {
    expect(parseCacheInfo('__proto__: 1\nconstructor: 2\nStoreDir: /s\n')).toEqual({ storeDir: '/s' });
  });

  it.each([
    ['when empty', '', 'missing or not absolute'],
    ['without a store dir', 'Priority: 1\n', 'missing or not absolute'],
    ['with a relative store dir', 'StoreDir: nix/store\n', 'missing or not absolute'],
    ['with an empty store dir', 'StoreDir:\n', 'missing or not absolute'],
    ['with a control character in the store dir', 'StoreDir: /nix\x1b[2J/store\n', 'control character'],
    ['with a priority in words', 'StoreDir: /s\nPriority: high\n', 'is not a number'],
    ['with a priority that is no integer', 'StoreDir: /s\nPriority: 1.5\n', 'is not a number'],
    ['with a priority in base 16', 'StoreDir: /s\nPriority: 0x1\n', 'is not a number'],
    ['with an enormous priority', `StoreDir: /s\nPriority: ${'9'.repeat(10)}\n`, 'is not a number'],
    ['with an empty priority', 'StoreDir: /s\nPriority:\n', 'is not a number'],
  ])('is refused %s', (_, text, reason) => {
    expectFormatError(reason, () => parseCacheInfo(text));
  });

  it('cannot be rendered with a line of someone else’s in the store dir', () => {
    for (const char of ['\n', '\r', '\0', '\x7f']) {
      const info: CacheInfo = { storeDir: `/nix/store${char}Priority: 1` };
      expectFormatError('control character', () => renderCacheInfo(info));
    }
  });
});
