import { mkdtemp, utimes, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { type Page, useChromium } from '../support/chromium.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { codeBlocks, readDocument } from '../support/markdown.js';
import { nginxMissing, startNginx } from '../support/nginx.js';
import { describeWithPeer } from '../support/peers.js';
import { missingProgram } from '../support/programs.js';
import { useSandbox } from '../support/sandbox.js';

const TARGET = 'x86_64-unknown-linux-musl';
const LATEST = `releases/latest/stable/${TARGET}/tool`;
const [NGINX_LINES] = codeBlocks(readDocument('docs/releases.md')).flatMap(({ language, text }) =>
  language === 'nginx' ? [text] : [],
);

/** The tests' nginx knows no types. */
const PAGE = 'location = /page { default_type text/html; return 200 page; }';

const missing = missingProgram('chromium') ?? (await nginxMissing());

describeWithPeer(missing, 'the latest file, in a browser that has had the one before', () => {
  const box = useSandbox('all');
  const open = useChromium();
  let keyFile: string | undefined;

  const publish = async (version: string, to: string, env: Readonly<Record<string, string>> = {}) => {
    keyFile ??= (await box().makeKey('release-1')).file;
    await writeFile(box().path('work/tool'), `this is ${version}`);
    const args = ['--to', to, '--secret-key', keyFile];
    await box().succeed(['release', 'put', 'tool', '--target', TARGET, '--tag', version, ...args], { env });
    await box().succeed(['index', 'publish', ...args], { env });
  };

  /** What a page gets there, as the browser's cache has it. */
  const see = async (page: Page) => page.evaluate<string>(`fetch('/${LATEST}').then((answer) => answer.text())`);
  const openAt = (page: string) => open(page, { width: 800, scheme: 'light', scripts: true });

  describeWithGarage('on the website of a bucket', () => {
    const garage = useGarage();

    it('is the newest', async () => {
      const bucket = await garage().freshBucket();
      const site = await garage().serve(bucket);
      await publish('v1.0.0', garage().url(bucket), garage().env);
      const first = await openAt(`${site}/releases/latest/stable.json`);
      expect(await see(first)).toBe('this is v1.0.0');
      await publish('v2.0.0', garage().url(bucket), garage().env);
      expect(await see(first)).toBe('this is v2.0.0');
      expect(await see(await openAt(`${site}/releases/latest/stable.json`))).toBe('this is v2.0.0');
    });
  });

  const inDirectory = async (lines: string) => {
    const root = await mkdtemp(box().path('site-'));
    const nginx = await startNginx({ root, directory: `${root}-nginx`, lines: lines + PAGE });
    try {
      await publish('v1.0.0', root);
      // For a file that is old and of which nothing is said, browsers think of a month.
      const longAgo = new Date(Date.now() - 300 * 24 * 3600 * 1000);
      await utimes(`${root}/${LATEST}`, longAgo, longAgo);
      const page = await openAt(`${nginx.url}/page`);
      expect(await see(page)).toBe('this is v1.0.0');
      await publish('v2.0.0', root);
      return await see(page);
    } finally {
      await nginx.stop();
    }
  };

  it('is the newest in a directory that nginx serves as documented', async () => {
    expect(await inDirectory(NGINX_LINES!)).toBe('this is v2.0.0');
  });

  it('would be that before without the documented line', async () => {
    expect(await inDirectory('')).toBe('this is v1.0.0');
  });
});
