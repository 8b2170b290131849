import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contrastOf, parseColour, useTheme } from '#index-generator/html/theme.js';
import { markupOf } from '#index-generator/markup.js';

describe('The colours of a page', () => {
  it('are compared as WCAG does it', () => {
    expect(contrastOf('#000000', '#ffffff')).toBeCloseTo(21);
    // An example of its own: the least grey that AA takes on white.
    expect(contrastOf('#767676', '#ffffff')).toBeCloseTo(4.54, 2);
  });

  it('are what was given where that can be read', () => {
    const { style, corrected } = useTheme({ accent: '#0b5d83', accentDark: '#7cc4e8' });
    expect(markupOf(style)).toContain('--accent: #0b5d83');
    expect(markupOf(style)).toContain('--accent: #7cc4e8');
    expect(corrected).toEqual([]);
    expect(markupOf(useTheme().style)).toBe('');
  });

  it('are corrected, and said, where they cannot', () => {
    expect(
      useTheme({ accent: '#ffd700', accentDark: '#101010' }).corrected.map(({ given, scheme }) => [given, scheme]),
    ).toEqual([
      ['#ffd700', 'light'],
      ['#101010', 'dark'],
    ]);
    // The dark one is made of the other, which is no mistake.
    expect(useTheme({ accent: '#0b5d83' }).corrected).toEqual([]);
  });

  it('can be read on every ground, whatever they were', () => {
    const colour = fc.integer({ min: 0, max: 0xffffff }).map((number) => `#${number.toString(16).padStart(6, '0')}`);
    fc.assert(
      fc.property(colour, (accent) => {
        const [light, dark] = [...markupOf(useTheme({ accent }).style).matchAll(/--accent: (#[0-9a-f]{6})/g)].map(
          ([, used]) => used!,
        );
        expect(Math.min(contrastOf(light!, '#ffffff'), contrastOf(light!, '#f3f5f7'))).toBeGreaterThanOrEqual(4.5);
        expect(Math.min(contrastOf(dark!, '#14181c'), contrastOf(dark!, '#1e242a'))).toBeGreaterThanOrEqual(4.5);
      }),
    );
  });

  it('are of one form', () => {
    expect(['#ABC', ' #0b5d83 ', '#0B5D83'].map(parseColour)).toEqual(['#aabbcc', '#0b5d83', '#0b5d83']);
    for (const wrong of ['', 'red', '#12345', '#1234567', 'rgb(1,2,3)', '#12345g', '#fff;}'])
      expect(parseColour(wrong)).toBeUndefined();
  });
});
