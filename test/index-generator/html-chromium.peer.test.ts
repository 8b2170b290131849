import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import axe from 'axe-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PageOptions, renderPage } from '#index-generator/html/page.js';
import { describeWithChromium, useChromium } from '../support/chromium.js';
import { fullIndex, HOSTILE_NAMES, indexOf, releaseOf, TARGETS } from './html-samples.js';

const OPTIONS: PageOptions = {
  title: 'Garage',
  baseUrl: 'https://garage.example.org',
  forge: { kind: 'gitea', url: 'https://git.example.org/Deuxfleurs/garage' },
  minisignKey: 'RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3',
};

/** Every way in which people see the page. */
const VIEWS = [360, 1440].flatMap((width) =>
  (['light', 'dark'] as const).flatMap((scheme) => [true, false].map((scripts) => ({ width, scheme, scripts }))),
);

describeWithChromium('The release page in Chromium', () => {
  const open = useChromium();
  const index = fullIndex();
  const keys = new Set(
    Object.values(index.releases).flatMap((releases) =>
      releases.flatMap(({ targets }) => targets.flatMap(({ files }) => files.map(({ key }) => key))),
    ),
  );
  let server: Server;
  let url: string;

  beforeAll(async () => {
    server = createServer((request, response) => {
      const key = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname).slice(1);
      const pages = new Map([
        ['_releases.html', renderPage(index, OPTIONS)],
        ['empty.html', renderPage(indexOf(), OPTIONS)],
        ['one.html', renderPage(indexOf(releaseOf('v1.0.0', 'stable', TARGETS)), OPTIONS)],
        // What an attacker would do who had found a way past the templates.
        [
          'broken.html',
          renderPage(index, OPTIONS).replace(
            '<main',
            '<script>window.attacked = true</script><img src="http://127.0.0.1:9/x"><main',
          ),
        ],
      ]);
      const page = pages.get(key);
      response.statusCode = page !== undefined || keys.has(key) ? 200 : 404;
      response.setHeader('content-type', page === undefined ? 'application/octet-stream' : 'text/html; charset=utf-8');
      response.end(page);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/_releases.html`;
  });
  afterAll(() => server.close());

  it.each(VIEWS)('can be read and used by everybody at $width pixels, $scheme, scripts $scripts', async (view) => {
    for (const name of ['_releases.html', 'empty.html']) {
      const page = await open(new URL(name, url).href, view);
      await page.evaluate(`document.querySelectorAll('details').forEach((details) => { details.open = true; })`);
      expect(await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')).toEqual([
        view.width,
        view.width,
      ]);
      await page.evaluate(`${axe.source}; 0`);
      const violations = await page.evaluate(`axe.run().then(({ violations }) => violations.map(
        ({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + failureSummary).join()))`);
      expect(violations).toEqual([]);
      expect(page.requests).toEqual([new URL(name, url).href]);
      expect(page.complaints).toEqual([]);
    }
  });

  it.each([true, false])('shows hostile names as text, scripts %s', async (scripts) => {
    const page = await open(url, { width: 1440, scheme: 'light', scripts });
    const texts = await page.evaluate<string[]>(
      `Array.from(document.querySelectorAll('#extra bdi'), (bdi) => bdi.textContent)`,
    );
    for (const name of HOSTILE_NAMES) expect(texts.filter((text) => text === name).length).toBeGreaterThanOrEqual(5);
    expect(await page.evaluate('window.attacked === undefined && document.images.length === 0')).toBe(true);
    expect(await page.evaluate('document.scripts.length')).toBe(1);
  });

  it('has links that lead to the files', async () => {
    const page = await open(url, { width: 1440, scheme: 'light', scripts: true });
    const links = await page.evaluate<string[]>(`Array.from(document.querySelectorAll('td a'), (link) => link.href)`);
    expect(new Set(links).size).toBe(keys.size);
    for (const link of links) expect([link, (await fetch(link)).status]).toEqual([link, 200]);
  });

  it('runs and loads nothing that got into it', async () => {
    const page = await open(new URL('broken.html', url).href, { width: 1440, scheme: 'light', scripts: true });
    expect(await page.evaluate('[window.attacked === undefined, document.images.length]')).toEqual([true, 1]);
    expect(page.complaints.join()).toMatch(/Content Security Policy.*Content Security Policy/s);
  });

  it('is folded, and unfolds for the keyboard', async () => {
    const page = await open(url, { width: 360, scheme: 'light', scripts: false });
    expect(await page.evaluate(`document.querySelectorAll('details[open]').length`)).toBe(0);
    const focused = () => page.evaluate<string>('document.activeElement.textContent.trim()');
    await page.press('Tab');
    expect(await focused()).toBe('Skip to the releases');
    for (let presses = 0; (await focused()) !== 'Show 10 extra builds'; presses++) {
      expect(presses).toBeLessThan(100);
      await page.press('Tab');
    }
    await page.press('Enter');
    expect(await page.evaluate(`document.querySelector('#extra details').open`)).toBe(true);
  });

  it('filters with scripts, and has no field for it without', async () => {
    const page = await open(url, { width: 1440, scheme: 'light', scripts: true });
    const type = (text: string) =>
      page.evaluate(`(() => {
        const input = document.querySelector('input');
        input.value = ${JSON.stringify(text)};
        input.dispatchEvent(new Event('input'));
        const shown = [...document.querySelectorAll('[data-release]')].filter((release) => release.checkVisibility());
        return [shown.length, document.querySelector('[role=status]').textContent, document.querySelectorAll('details[open]').length];
      })()`);
    expect(await type('V2.0')).toEqual([1, '1 of 14 releases', 0]);
    expect(await type('onerror')).toEqual([1, '1 of 14 releases', 1]);
    expect(await type('nowhere')).toEqual([0, '0 of 14 releases', 0]);
    expect(await type('')).toEqual([3, '', 0]);
    const without = await open(url, { width: 1440, scheme: 'light', scripts: false });
    expect(await without.evaluate(`document.querySelectorAll('input, button').length`)).toBe(0);
  });

  it('copies a command with a button, and tells so', async () => {
    const page = await open(url, { width: 1440, scheme: 'light', scripts: true });
    const labels = await page.evaluate<string[]>(
      `Array.from(document.querySelectorAll('button'), (button) => button.ariaLabel)`,
    );
    expect(labels[0]).toBe('Copy the command for garage, x86_64-unknown-linux-musl');
    expect(labels.at(-1)).toBe('Copy the command for the check of SHA256SUMS');
    expect(new Set(labels).size).toBe(labels.length);
    const told = `document.querySelector('.unseen[role=status]').textContent`;
    expect(await page.evaluate(told)).toBe('');
    const copied = await page.evaluate<string>(`(async () => {
      let copied;
      Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied = text; } } });
      document.querySelector('button').click();
      await new Promise((resolve) => setTimeout(resolve));
      return copied;
    })()`);
    expect(copied).toContain(
      "curl -fL -o garage 'https://garage.example.org/_releases/v2.0.0/x86_64-unknown-linux-musl/garage' &&",
    );
    expect(await page.evaluate(told)).toBe('Copied the command for garage, x86_64-unknown-linux-musl');
    // Also where there is nothing to filter.
    const one = await open(new URL('one.html', url).href, { width: 1440, scheme: 'light', scripts: true });
    expect(await one.evaluate(`[document.querySelectorAll('input').length, ${told}]`)).toEqual([0, '']);
  });
});
