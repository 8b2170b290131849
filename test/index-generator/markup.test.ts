import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Content, markup, markupOf } from '#index-generator/markup.js';

const rendered = (content: Content) => markupOf(markup`${content}`);

describe('Templates of markup', () => {
  it('take text as text', () => {
    expect(rendered(`<b a="1" b='2'>\`&amp;</b>`)).toBe(
      '&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&#96;&amp;amp;&lt;/b&gt;',
    );
  });

  it('take markup as it is, once', () => {
    const inner = markup`<b>${'<'}</b>`;
    expect(rendered(inner)).toBe('<b>&lt;</b>');
    expect(rendered([inner, [' & ', 1], undefined])).toBe('<b>&lt;</b> &amp; 1');
  });

  it('let no text out of its place, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(rendered(text)).not.toMatch(/[<>"'`]/);
        expect(textOf(rendered(text))).toBe(text.replace(NOT_IN_HTML, '\u{fffd}'));
      }),
      { numRuns: 500 },
    );
  });

  it('say U+FFFD for what HTML cannot hold', () => {
    expect(rendered('a\0b\u{1b}c\u{7f}d\u{85}e\ud800f\ufffeg\u{1ffff}h')).toBe([...'abcdefgh'].join('\u{fffd}'));
    expect(rendered('\t\n \u{202e}\u{1f600}')).toBe('\t\n \u{202e}\u{1f600}');
  });

  it('refuse a value without quotes in an attribute', () => {
    expect(() => markup`<a href=${'x onclick=y'}>`).toThrow('quotes');
  });

  it('cannot be given markup by data', () => {
    const forged = JSON.parse('{"markup":"<script>","Symbol(markup)":"<script>","description":"markup"}');
    expect(() => rendered(forged)).toThrow('neither text nor markup');
    expect(() => rendered({ [Symbol('markup')]: '<script>' } as unknown as Content)).toThrow('neither');
    expect(() => rendered(null as unknown as Content)).toThrow();
    // @ts-expect-error An object that only looks like markup is none for the compiler either.
    expect(() => rendered({ toString: () => '<script>' })).toThrow('neither');
  });
});

const NOT_IN_HTML = /[\0-\u{8}\v\f\u{e}-\u{1f}\u{7f}-\u{9f}\p{Cs}\p{Noncharacter_Code_Point}]/gu;

function textOf(text: string): string {
  const characters: Record<string, string> = {
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    '#39': "'",
    '#96': '`',
    '#13': '\r',
  };
  return text.replace(/&([^;]+);/g, (_, name) => characters[name] ?? expect.fail(`&${name};`));
}
