import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import axe from 'axe-core';
import { HtmlValidate } from 'html-validate';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CacheStats } from '#cache/stats/stats.js';
import { renderCachePage, type ShownCache } from '#index-generator/cache/cache-page.js';
import { renderStatsPage } from '#index-generator/cache/stats-page.js';
import { describeWithChromium, useChromium } from '../support/chromium.js';

const HOSTILE = '"><script>window.attacked = true</script><img src="http://127.0.0.1:9/x">';
const amount = { objects: 3, bytes: 123_456 };
const root = (name: string, bytes: number) => ({ kind: 'pin' as const, name, paths: 12, bytes, alone: bytes / 2 });

const CACHE: ShownCache = {
  ...{ title: HOSTILE, url: 'https://nix.example.org', publicKeys: [`nix.example.org-1:${'A'.repeat(43)}=`] },
  pins: [HOSTILE, 'toolchain'].map((name) => ({
    ...{ name, since: '2026-11-28T12:00:00.000Z', expiresAt: '2027-11-28T12:00:00.000Z', paths: 12, bytes: 1e9 },
    storePaths: [`/nix/store/${'0'.repeat(32)}-${'long-'.repeat(30)}name`],
  })),
  ...{ paths: 123_456, narSize: 5e12, bytes: 2e12 },
};
const STATS: CacheStats = {
  ...{ time: '2026-11-28T12:00:00.000Z', objects: 1e6, bytes: 2e12, paths: 3e5, narSize: 5e12, compressionRatio: 2.5 },
  groups: {
    nars: amount,
    narinfos: amount,
    listings: amount,
    belongings: amount,
    carport: amount,
    releases: amount,
    others: amount,
  },
  ...{ duplicates: { paths: 3, bytes: 4e6 }, orphans: amount, shared: 1e9, unrooted: 2e9, beside: 3e3 },
  roots: [root(HOSTILE, 8e11), ...Array.from({ length: 60 }, (_, n) => root(`pin-${n}`, 1e9 * (60 - n)))],
  names: [
    { name: HOSTILE, paths: 3, bytes: 4e9 },
    { name: 'gcc', paths: 3, bytes: 4e8 },
  ],
  months: Array.from({ length: 40 }, (_, n) => ({
    month: `${2023 + Math.floor(n / 12)}-${String((n % 12) + 1).padStart(2, '0')}`,
    paths: n,
    bytes: n * 1e9,
  })),
};
const SNAPSHOTS = Array.from({ length: 300 }, (_, n) => ({
  time: new Date(Date.UTC(2026, 0, 1 + n)).toISOString(),
  ...{ objects: n, bytes: n * 1e9, paths: n, narSize: n },
}));
const PAGES = new Map([
  ['/cache', renderCachePage(CACHE)],
  ['/empty', renderCachePage({ ...CACHE, pins: [], publicKeys: [], paths: 0, narSize: 0, bytes: 0 })],
  ['/stats', renderStatsPage(CACHE.url, STATS, SNAPSHOTS)],
  ['/nothing', renderStatsPage(CACHE.url, { ...STATS, roots: [], names: [], months: [] }, [])],
]);

describeWithChromium('pages about a cache', () => {
  const open = useChromium();
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(PAGES.get(request.url!));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  it.each([
    { width: 320, scheme: 'light', scripts: true },
    { width: 768, scheme: 'dark', scripts: false },
    { width: 1280, scheme: 'light', scripts: true },
  ] as const)('can be read by everybody at $width pixels, $scheme, scripts $scripts', async (view) => {
    for (const path of PAGES.keys()) {
      const page = await open(url + path, view);
      const widths = await page.evaluate('[innerWidth, document.documentElement.scrollWidth]');
      expect([path, widths]).toEqual([path, [view.width, view.width]]);
      await page.evaluate(`${axe.source}; 0`);
      const violations = await page.evaluate(`axe.run().then(({ violations }) => violations.map(
        ({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + failureSummary).join()))`);
      expect([path, violations]).toEqual([path, []]);
      expect(page.requests).toEqual([url + path]);
      expect(page.complaints).toEqual([]);
      expect(await page.evaluate('window.attacked === undefined && document.images.length === 0')).toBe(true);
    }
  });

  it('are valid HTML, and the same for the same cache', async () => {
    const rules = { 'long-title': 'off', 'require-sri': 'off' } as const;
    const validator = new HtmlValidate({
      root: true,
      extends: ['html-validate:recommended', 'html-validate:document'],
      rules,
    });
    for (const page of PAGES.values()) {
      const { results } = await validator.validateString(page);
      expect(results.flatMap(({ messages }) => messages.map(({ ruleId, line }) => `${line}: ${ruleId}`))).toEqual([]);
    }
    expect(renderCachePage(CACHE)).toBe(PAGES.get('/cache'));
  });
});
