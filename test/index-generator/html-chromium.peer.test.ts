import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import axe from 'axe-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PageOptions, renderPage } from '#index-generator/html/page.js';
import { describeWithChromium, useChromium } from '../support/chromium.js';
import { fullIndex, HOSTILE_NAMES, indexOf, NOTES, releaseOf, SHA256, SYSTEMS } from './html-samples.js';

const OPTIONS: PageOptions = {
  title: 'Garage',
  baseUrl: 'https://garage.example.org',
  forge: { kind: 'gitea', url: 'https://git.example.org/Deuxfleurs/garage' },
  minisignKey: 'RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3',
};

/** A theme that nobody could read as it is. */
const THEMED: PageOptions = {
  ...OPTIONS,
  theme: { accent: '#ffd700' },
  logo: `data:image/svg+xml;base64,${Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="window.attacked = true"><script>window.attacked = true</script></svg>').toString('base64')}`,
};

/** Fifty stable releases, the newest of twelve files with notes. */
const MANY = Array.from({ length: 50 }, (_, index) =>
  releaseOf(
    `v1.${50 - index}.0`,
    'stable',
    [
      ...SYSTEMS,
      ...SYSTEMS.map((target) => target.replace(/^(x86_64|aarch64)/, 'i686').concat('-', target.slice(0, 3))),
    ],
    index === 0 ? { notes: NOTES } : {},
  ),
);

/** The ways in which people see the page: each width, scheme and script setting beside each other value of the others. */
const VIEWS = [
  { width: 320, scheme: 'light', scripts: true, name: '_releases.html' },
  { width: 390, scheme: 'dark', scripts: false, name: '_releases.html' },
  { width: 768, scheme: 'light', scripts: false, name: 'systems.html' },
  { width: 1280, scheme: 'dark', scripts: true, name: '_releases.html' },
  { width: 320, scheme: 'dark', scripts: false, name: 'systems.html' },
  { width: 1280, scheme: 'light', scripts: true, name: 'empty.html' },
] as const;

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
        ['systems.html', renderPage(indexOf(releaseOf('v1.0.0', 'stable', SYSTEMS)), THEMED)],
        ['many.html', renderPage(indexOf(...MANY), OPTIONS)],
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

  it.each(VIEWS)(
    'can be read and used by everybody at $width pixels, $scheme, scripts $scripts: $name',
    async (view) => {
      const page = await open(new URL(view.name, url).href, view);
      await page.evaluate(`document.querySelectorAll('details').forEach((details) => { details.open = true; })`);
      expect(await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')).toEqual([
        view.width,
        view.width,
      ]);
      await page.evaluate(`${axe.source}; 0`);
      const violations = await page.evaluate(`axe.run().then(({ violations }) => violations.map(
      ({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + failureSummary).join()))`);
      expect(violations).toEqual([]);
      expect(page.requests.filter((each) => !each.startsWith('data:'))).toEqual([new URL(view.name, url).href]);
      expect(page.complaints).toEqual([]);
      expect(await page.evaluate('window.attacked === undefined')).toBe(true);
    },
  );

  it.each([true, false])('shows hostile names as text, scripts %s', async (scripts) => {
    const page = await open(url, { width: 1280, scheme: 'light', scripts });
    const texts = await page.evaluate<string[]>(
      `Array.from(document.querySelectorAll('#extra bdi'), (bdi) => bdi.textContent)`,
    );
    for (const name of HOSTILE_NAMES) expect(texts.filter((text) => text === name).length).toBeGreaterThanOrEqual(5);
    expect(await page.evaluate('window.attacked === undefined && document.images.length === 0')).toBe(true);
    expect(await page.evaluate('document.scripts.length')).toBe(1);
  });

  it('has links that lead to the files', async () => {
    const page = await open(url, { width: 1280, scheme: 'light', scripts: true });
    const links = await page.evaluate<string[]>(
      `Array.from(document.querySelectorAll('.file a'), (link) => link.href)`,
    );
    expect(new Set(links).size).toBe(keys.size);
    const statuses = await Promise.all(links.map(async (link) => (await fetch(link, { method: 'HEAD' })).status));
    expect(statuses).toEqual(links.map(() => 200));
  });

  it('runs and loads nothing that got into it', async () => {
    const page = await open(new URL('broken.html', url).href, { width: 1280, scheme: 'light', scripts: true });
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

  it('filters releases and files with scripts, and has no field for it without', async () => {
    const page = await open(url, { width: 1280, scheme: 'light', scripts: true });
    const type = (text: string) =>
      page.evaluate(`(() => {
        const input = document.querySelector('input');
        input.value = ${JSON.stringify(text)};
        input.dispatchEvent(new Event('input'));
        const shown = [...document.querySelectorAll('[data-release]')].filter((release) => release.checkVisibility());
        return [shown.length, document.querySelector('.status').textContent, document.querySelectorAll('.channel[open]').length];
      })()`);
    expect(await type('V2.0')).toEqual([1, '1 of 14 releases, 4 files', 0]);
    expect(await type('onerror')).toEqual([3, '3 of 14 releases, 9 files', 1]);
    expect(await type('nowhere')).toEqual([0, '0 of 14 releases, 0 files', 0]);
    expect(await type('arm v2.1')).toEqual([1, '1 of 14 releases, 2 files', 0]);
    expect(await type('win')).toEqual([0, '0 of 14 releases, 0 files', 0]);
    expect(await type('')).toEqual([3, '', 0]);
    const without = await open(url, { width: 1280, scheme: 'light', scripts: false });
    expect(await without.evaluate(`document.querySelectorAll('input, button, select').length`)).toBe(0);
  });

  it('filters platforms by all their names', async () => {
    const page = await open(new URL('systems.html', url).href, { width: 1280, scheme: 'light', scripts: true });
    const found = await page.evaluate<Record<string, string[]>>(`(() => {
      const input = document.querySelector('input');
      const rows = [...document.querySelectorAll('.files tbody tr')];
      return Object.fromEntries(${JSON.stringify(['macos', 'darwin', 'osx', 'Mac', 'windows', 'win', 'arm', 'aarch64', 'apple silicon', 'amd64', 'x86_64 linux', 'x64 musl', 'linux arm64'])}.map((text) => {
        input.value = text;
        input.dispatchEvent(new Event('input'));
        return [text, rows.filter((row) => row.checkVisibility()).map((row) => row.querySelector('.platform').textContent).join()];
      }));
    })()`);
    const macs = 'macOS arm64,macOS x86-64';
    const arms = 'Linux arm64,macOS arm64';
    expect(found).toEqual({
      ...{ macos: macs, darwin: macs, osx: macs, Mac: macs, windows: 'Windows x86-64', win: 'Windows x86-64' },
      ...{ arm: arms, aarch64: arms, 'apple silicon': 'macOS arm64', 'linux arm64': 'Linux arm64' },
      ...{ 'x86_64 linux': 'Linux x86-64,Linux x86-64', 'x64 musl': 'Linux x86-64' },
      amd64: 'Linux x86-64,Linux x86-64,macOS x86-64,Windows x86-64',
    });
  });

  it('has a button for the machine of the reader, and its command', async () => {
    const chrome = (platform: string) => `Mozilla/5.0 (${platform}) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36`;
    const machines = [
      { userAgent: chrome('X11; Linux x86_64'), platform: 'Linux', architecture: 'x86' },
      { userAgent: chrome('Macintosh; Intel Mac OS X 10_15_7'), platform: 'macOS', architecture: 'arm' },
      { userAgent: chrome('Macintosh; Intel Mac OS X 10_15_7'), platform: 'macOS', architecture: 'x86' },
      { userAgent: chrome('Windows NT 10.0; Win64; x64'), platform: 'Windows', architecture: 'arm' },
      { userAgent: chrome('Linux; Android 10; K'), platform: 'Android', architecture: '' },
    ];
    const seen = [];
    for (const machine of machines) {
      const page = await open(new URL('systems.html', url).href, {
        width: 1280,
        scheme: 'light',
        scripts: true,
        machine,
      });
      seen.push(
        await page.evaluate(`(() => {
          const { hidden, textContent, href } = document.querySelector('.button');
          const commands = [...document.querySelectorAll('.commands [data-system] pre')].filter((pre) => !pre.closest('[hidden]'));
          return hidden ? [commands.length] : [textContent, href.split('/').at(-2), ...commands.map((pre) => pre.textContent.split(' ')[0])];
        })()`),
      );
    }
    expect(seen).toEqual([
      ['Download for Linux x86-64', 'x86_64-unknown-linux-musl', 'curl'],
      ['Download for macOS arm64', 'aarch64-apple-darwin', 'curl'],
      ['Download for macOS x86-64', 'x86_64-apple-darwin', 'curl'],
      ['Download for Windows x86-64', 'x86_64-pc-windows-msvc', 'Invoke-WebRequest'],
      [3],
    ]);
  });

  it('copies commands and hashes with a button, and tells so', async () => {
    const page = await open(new URL('systems.html', url).href, { width: 1280, scheme: 'light', scripts: true });
    await page.evaluate(`document.querySelector('.commands').open = true`);
    const told = `document.querySelector('.unseen[role=status]').textContent`;
    expect(await page.evaluate(told)).toBe('');
    const copied = await page.evaluate<string[]>(`(async () => {
      const copied = [];
      Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied.push(text); } } });
      const list = document.querySelector('select');
      list.value = [...list.options].find(({ textContent }) => textContent === 'Windows x86-64').value;
      list.dispatchEvent(new Event('change'));
      const shown = () => document.querySelector('.commands').innerText.includes('Invoke-WebRequest');
      for (let tries = 0; tries < 600 && !shown(); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
      document.querySelector('.files button').click();
      [...document.querySelectorAll('.commands button')].find((button) => button.checkVisibility()).click();
      await new Promise((resolve) => setTimeout(resolve));
      return copied;
    })()`);
    expect(copied).toEqual([
      SHA256,
      `Invoke-WebRequest -Uri 'https://garage.example.org/_releases/v1.0.0/x86_64-pc-windows-msvc/garage' -OutFile 'garage'\nif ((Get-FileHash 'garage' -Algorithm SHA256).Hash -ne '${SHA256}') { throw 'wrong checksum' }`,
    ]);
    expect(await page.evaluate(told)).toBe('Copied the command for Windows');
  });

  it('shows twelve files in the first screen, and fifty releases below 4,000 pixels; an anchor unfolds its release', async () => {
    const page = await open(new URL('many.html#v1.20.0', url).href, { width: 1280, scheme: 'light', scripts: true });
    const [last, height, files] = await page.evaluate<number[]>(`(() => {
      const rows = [...document.querySelectorAll('.newest .files tbody tr')];
      const open = document.querySelectorAll('details[open]');
      const files = open.length === 1 ? open[0].querySelectorAll('tbody tr').length : 0;
      for (const each of open) each.open = false;
      return [rows[11].getBoundingClientRect().bottom + scrollY, document.documentElement.scrollHeight, files];
    })()`);
    expect(last).toBeLessThan(900);
    expect(height).toBeLessThan(4000);
    expect(files).toBe(12);
  });
});
