import { expect, test } from 'vitest';
import { parseIndexPage } from '#release/wheels/upload/index-links.js';

test('links are read with characters that are written otherwise', () => {
  const sha256 = 'ab'.repeat(32);
  const page = `<a href="/f/demo-1.0&#43;cu-py3-none-any.whl#sha256&#x3D;${sha256}">x</a> <a href='b?a=1&amp;b=2'>b</a>`;
  const links = parseIndexPage(page, 'text/html', new URL('http://127.0.0.1/simple/demo/'));
  expect(links.map(({ name, url, sha256: hash }) => [name, url.href, hash])).toEqual([
    ['demo-1.0+cu-py3-none-any.whl', 'http://127.0.0.1/f/demo-1.0+cu-py3-none-any.whl', sha256],
    ['b', 'http://127.0.0.1/simple/demo/b?a=1&b=2', undefined],
  ]);
});
