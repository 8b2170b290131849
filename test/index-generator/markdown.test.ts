import { describe, expect, it } from 'vitest';
import { markupOf } from '#index-generator/markup.js';
import { parseNotes } from '#index-generator/notes/markdown.js';
import { HOSTILE_NAMES } from './html-samples.js';

const html = (text: string, headings = 4) => markupOf(parseNotes(text).render(headings)).trim();
const summary = (text: string) => {
  const { lines, isShort } = parseNotes(text);
  return [...lines, isShort];
};

describe('Notes as markup', () => {
  it.each([
    ['a *b* **c** ~~d~~ `e<f>`', '<p>a <em>b</em> <strong>c</strong> <s>d</s> <code>e&lt;f&gt;</code></p>'],
    ['a\nb  \nc', '<p>a\nb<br>\nc</p>'],
    ['* a\n* b', '<ul><li>a\n</li>\n<li>b\n</li>\n</ul>'],
    ['3. a', '<ol start="3"><li>a\n</li>\n</ol>'],
    ['> a', '<blockquote><p>a</p>\n</blockquote>'],
    ['```sh\nx <y>\n```', '<pre><code>x &lt;y&gt;\n</code></pre>'],
    ['---', '<hr>'],
    ['[a](https://x.example/b?c=1&d#e)', '<p><a href="https://x.example/b?c=1&amp;d#e">a</a></p>'],
    ['[](https://x.example)', '<p><a href="https://x.example/">https://x.example/</a></p>'],
    ['see https://x.example/y.', '<p>see <a href="https://x.example/y">https://x.example/y</a>.</p>'],
    ['notes.md and a@b.example', '<p>notes.md and a@b.example</p>'],
    ['![alt](https://x.example/a.png)', '<p><a href="https://x.example/a.png">alt</a></p>'],
    ['[![alt](https://x.example/a.png)](https://y.example)', '<p><a href="https://y.example/">alt</a></p>'],
    ['[a](https://user:secret@x.example/)', '<p><a href="https://x.example/">a</a></p>'],
    [
      '| a | |\n|-|-|\n| 1 | 2 |',
      '<table><thead><tr><th scope="col">a</th><td></td></tr>\n</thead><tbody><tr><td>1</td><td>2</td></tr>\n</tbody></table>',
    ],
    ['# a\n### b\n## c\n# ', '<h4>a</h4>\n<h5>b</h5>\n<h5>c</h5>'],
    ['&amp; &copy; &#0;', '<p>&amp; © \u{fffd}</p>'],
    ['', ''],
  ])('are %j', (text, expected) => {
    expect(html(text)).toBe(expected);
  });

  it.each([
    '[a](javascript:alert(1))',
    '[a](JaVaScRiPt:alert(1))',
    '[a](&#106;avascript:alert(1))',
    '[a](data:text/html,<script>alert(1)</script>)',
    '[a](vbscript:x)',
    '[a](file:///etc/passwd)',
    '[a](//x.example)',
    '[a](../../x)',
    '<javascript:alert(1)>',
    '![a](javascript:alert(1))',
    '[a]: javascript:alert(1)\n\n[a]',
    '<a href="javascript:alert(1)">a</a>',
    '<img src=x onerror=alert(1)>',
    '<script>alert(1)</script>',
    '<!-- --><style>*{}</style>',
    '[a](https://x.example/"onmouseover="alert(1))',
    '![a" onerror="alert(1)](x)',
    '```"><script>\n```',
    ...HOSTILE_NAMES,
  ])('have no link but to the web, and no markup of their own: %j', (text) => {
    const tags = html(text).match(/<[^>]*>/g) ?? [];
    for (const tag of tags) {
      expect(tag).toMatch(
        /^<(\/?(p|pre|code|h[1-6]|ul|ol|li|em|strong|a|blockquote|hr|br)|ol start="\d+"|a href="https:\/\/[^"<>\s]*")>$/,
      );
    }
  });

  it.each([
    ['quotations', '> '.repeat(30_000)],
    ['lists', '- '.repeat(30_000)],
    ['brackets', '['.repeat(65_000)],
    ['pictures', '![a]('.repeat(13_000)],
    ['stars', '*a **b '.repeat(9000)],
    ['ticks', Array.from({ length: 350 }, (_, index) => '`'.repeat(index)).join(' ')],
    ['angles', '<a '.repeat(20_000)],
    ['tables', `${'|a'.repeat(500)}|\n${'|-'.repeat(500)}|\n${'|\n'.repeat(20_000)}`],
    ['references', '[a]: x\n'.repeat(9000)],
    ['addresses', 'https://a.'.repeat(6000)],
    ['entities', '&amp;'.repeat(13_000)],
  ])('of many %s are bounded', (_, text) => {
    expect(html(text).length).toBeLessThan(500_000);
  });

  it('begin with their first paragraph, or the first points of their first list', () => {
    expect(summary('Only fixes.')).toEqual(['Only fixes.', true]);
    expect(summary('One.\n\nTwo.')).toEqual(['One.', false]);
    expect(summary('## Added\n\n- `a` is *b*\n- c\n- d\n- e')).toEqual(['a is b', 'c', 'd', false]);
    expect(summary('- a\n- b')).toEqual(['a', 'b', true]);
    expect(summary('```\ncode\n```')).toEqual([false]);
    expect(summary('')).toEqual([true]);
    const [line, isShort] = summary('word '.repeat(100)) as [string, boolean];
    expect([line.length < 162, line.endsWith('word…'), isShort]).toEqual([true, true, false]);
  });
});
