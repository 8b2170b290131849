import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { execa } from 'execa';
import { HtmlValidate } from 'html-validate';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithChromium, useChromium } from '../support/chromium.js';
import { TOP } from '../support/markdown.js';
import { describeWithPeer } from '../support/peers.js';

const ELEVENTY = join(TOP, 'site/node_modules/@11ty/eleventy/cmd.cjs');
const missing = existsSync(ELEVENTY) ? undefined : 'Eleventy is missing: npm ci --prefix site';

let site: string;
beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'carport-site-'));
  if (missing === undefined) await makeSite(join(site, 'docs'));
});
afterAll(() => rm(site, { recursive: true, force: true }));

/** It looks for links that lead nowhere, too, and fails then. */
async function makeSite(output: string): Promise<void> {
  const args = [ELEVENTY, '--config=site/eleventy.config.js', `--output=${output}`];
  await execa(process.execPath, args, { cwd: TOP });
}

describeWithPeer(missing, 'the site of the documentation', () => {
  it('has every page, in HTML that is valid', async () => {
    const names = await readdir(join(TOP, 'docs'), { recursive: true });
    const pages = names.filter((name) => name.endsWith('.md') && !name.endsWith('README.md'));
    const made = await readdir(join(site, 'docs'), { recursive: true });
    expect(made).toEqual(expect.arrayContaining(['index.html', 'decisions/index.html', 'search-index.js']));
    expect(pages.filter((name) => !made.includes(name.replace(/\.md$/, '.html')))).toEqual([]);
    const rules = { 'long-title': 'off', 'require-sri': 'off', 'no-inline-style': 'error' } as const;
    const extend = ['html-validate:recommended', 'html-validate:document'];
    const validator = new HtmlValidate({ root: true, extends: extend, rules });
    for (const name of ['index', 'performance', 'decisions/index']) {
      const { results } = await validator.validateString(await readFile(join(site, 'docs', `${name}.html`), 'utf8'));
      const messages = results.flatMap((result) => result.messages.map(({ ruleId, line }) => `${line}: ${ruleId}`));
      expect([name, messages]).toEqual([name, []]);
    }
  });

  it('is the same when it is made again', async () => {
    await makeSite(join(site, 'again'));
    const names = (await readdir(join(site, 'again'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(join(site, 'again').length));
    expect(names.length).toBeGreaterThan(50);
    for (const name of names) {
      const [one, other] = await Promise.all(['docs', 'again'].map((each) => readFile(join(site, each, name))));
      expect([name, one!.equals(other!)]).toEqual([name, true]);
    }
  });

  describeWithChromium('in Chromium', () => {
    const open = useChromium();
    let server: Server;
    let url: string;
    beforeAll(async () => {
      server = createServer(async (request, response) => {
        const types = {
          html: 'text/html; charset=utf-8',
          css: 'text/css',
          js: 'text/javascript',
          svg: 'image/svg+xml',
        };
        const path = request.url!.slice('/some/where/'.length);
        response.setHeader('content-type', types[path.split('.').at(-1) as keyof typeof types]);
        response.end(await readFile(join(site, 'docs', path)));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/some/where/`;
    });
    afterAll(() => server.close());

    it.each([
      { width: 320, scheme: 'light', scripts: false },
      { width: 1280, scheme: 'dark', scripts: true },
    ] as const)('can be read by everybody at $width pixels, $scheme, scripts $scripts', async (view) => {
      for (const name of ['index', 'performance', 'samples/carport.cron']) {
        const page = await open(`${url}${name}.html`, view);
        const widths = await page.evaluate('[innerWidth, document.documentElement.scrollWidth]');
        expect([name, widths]).toEqual([name, [view.width, view.width]]);
        await page.evaluate(`${axe.source}; 0`);
        const violations = await page.evaluate(`axe.run().then(({ violations }) => violations.map(
          ({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + failureSummary).join()))`);
        expect([name, violations]).toEqual([name, []]);
        expect(page.requests.filter((each) => !each.startsWith(url) && !each.startsWith('data:'))).toEqual([]);
        expect(page.complaints).toEqual([]);
        expect(await page.evaluate(`document.querySelector('.search').checkVisibility()`)).toBe(view.scripts);
      }
    });

    it('has no page that is wider than a phone', async () => {
      for (const name of [
        'releases',
        'commands',
        'library',
        'formats',
        'garage',
        'settings',
        'readme',
        'CONTRIBUTING',
      ]) {
        const page = await open(`${url}${name}.html`, { width: 320, scheme: 'light', scripts: true });
        expect([name, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([name, 320]);
      }
    });

    it.each(['a web server', 'files'])('can be searched, from %s', async (where) => {
      const base = where === 'files' ? `file://${site}/docs/` : url;
      const page = await open(`${base}decisions/index.html`, { width: 1280, scheme: 'light', scripts: true });
      const links = await page.evaluate<string[]>(`new Promise((resolve) => {
        const input = document.querySelector('#query');
        const results = document.querySelector('#results');
        input.value = 'E_SIGNATURE';
        new MutationObserver(() => resolve([...results.querySelectorAll('a')].map(({ href }) => href)))
          .observe(results, { childList: true });
        input.focus();
      })`);
      expect(links[0]).toBe(`${base}troubleshooting.html#e_signature`);
      expect(page.requests.filter((each) => !each.startsWith(base) && !each.startsWith('data:'))).toEqual([]);
      expect(page.complaints).toEqual([]);
      const shown = await page.evaluate(`document.querySelector('[role=status]').textContent`);
      expect(shown).toMatch(/^\d+ results?$/);
    });
  });
});
