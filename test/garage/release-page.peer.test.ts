import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import axe from 'axe-core';
import { execa } from 'execa';
import { beforeAll, expect, it } from 'vitest';
import { useChromium } from '../support/chromium.js';
import { noise } from '../support/files.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { describeWithPeer } from '../support/peers.js';
import { missingProgram } from '../support/programs.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const TARGETS = ['aarch64-unknown-linux-musl', 'x86_64-unknown-linux-musl'];

const VIEWS = [360, 1440].flatMap((width) => (['light', 'dark'] as const).map((scheme) => ({ width, scheme })));

/** Programs that people have; minisign knows no `--version`. */
const missing =
  missingProgram('chromium', 'curl', 'sha256sum') ??
  (spawnSync('minisign', ['-v']).status === 0 ? undefined : '`minisign` is not on PATH');

describeWithPeer(missing, 'releases for everybody', () => {
  describeWithGarage('on the website of a bucket', () => {
    const box = useSandbox('all');
    const garage = useGarage();
    const carport = useGarageRuns(box, garage);
    const open = useChromium();
    let keyFile: KeyFile;
    let site: string;

    /** The file of a release; of another size than that of any other. */
    const contentOf = (version: string, target: string) => noise(1000 + version.length, version + target);

    beforeAll(async () => {
      keyFile = await box().makeKey('release-1');
      const bucket = await garage().freshBucket();
      site = await garage().serve(bucket);
      const trust = ['--to', garage().url(bucket), '--secret-key', keyFile.file];
      const put = async (version: string, target: string, tag: readonly string[]) => {
        await writeFile(box().path('work/garage'), contentOf(version, target));
        await carport.succeed(['release', 'put', 'garage', '--target', target, ...tag, ...trust]);
      };
      const commit = 'c0ffee'.padEnd(40, '0');
      for (const target of TARGETS) {
        for (const tag of ['v1.0.0', 'v1.1.0', 'v1.2.0-rc1'])
          await put(tag, target, ['--tag', tag, '--commit', commit]);
        await put(commit, target, ['--commit', commit]);
      }
      await put('v1.2.1', TARGETS[0]!, ['--tag', 'v1.2.1']);
      await carport.succeed(['release', 'yank', 'v1.1.0', '--reason', 'loses <b>data</b>', ...trust]);
      const cache = ['--cache', garage().url(bucket), '--secret-key', keyFile.file];
      await carport.succeed(['release', 'promote', 'v1.2.0-rc1', '--to', 'stable', ...cache]);
      await carport.succeed([
        ...['index', 'publish', ...trust, '--base-url', site, '--title', 'Garage'],
        ...['--forge', 'https://git.example.org/Deuxfleurs/garage'],
        ...TARGETS.flatMap((target) => ['--required-target', target]),
      ]);
    });

    const fetchTo = async (directory: string, paths: readonly string[]) => {
      await mkdir(box().path(directory), { recursive: true });
      for (const path of paths) {
        const file = box().path(directory, path.split('/').slice(-1)[0]!);
        await execa('curl', ['-sSfL', '-o', file, `${site}/${path}`]);
      }
      return box().path(directory);
    };

    it.each(VIEWS)('can be read by everybody at $width pixels, $scheme, without scripts', async (view) => {
      const url = `${site}/_releases.html`;
      const page = await open(url, { ...view, scripts: false });
      await page.evaluate(`document.querySelectorAll('details').forEach((details) => { details.open = true; })`);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(view.width);
      expect(await page.evaluate('document.body.innerText')).toContain('loses <b>data</b>');
      await page.evaluate(`${axe.source}; 0`);
      const violations = await page.evaluate(`axe.run().then(({ violations }) => violations.map(
        ({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + failureSummary).join()))`);
      expect(violations).toEqual([]);
      expect(page.requests).toEqual([url]);
      expect(page.complaints).toEqual([]);
    });

    it('has links that all lead somewhere', async () => {
      const page = await open(`${site}/_releases.html`, { width: 1440, scheme: 'light', scripts: false });
      const links = await page.evaluate<string[]>(
        `[...document.querySelectorAll('a, link[rel=alternate]')].map((link) => link.href)`,
      );
      const own = [...new Set(links)].filter((link) => link.startsWith(`${site}/`));
      const others = links.filter((link) => !link.startsWith(`${site}/`));
      for (const link of others) expect(link).toMatch(/^https:\/\/git\.example\.org\/Deuxfleurs\/garage(\/|$)/);
      // A file for each target, of four releases with both targets and one with one.
      const files = own.filter((link) => link.startsWith(`${site}/_releases/`));
      expect(files.length).toBe(2 * 5 + 1);
      for (const rest of ['releases/index.json', 'releases/feed.atom', 'releases/v1.2.0/SHA256SUMS']) {
        expect(own).toContain(`${site}/${rest}`);
      }
      for (const link of own) expect([link, (await fetch(link)).status]).toEqual([link, 200]);
    });

    it('has the latest that is complete and not yanked', async () => {
      for (const target of TARGETS) {
        const path = `releases/latest/stable/${target}/garage`;
        const answer = await fetch(`${site}/${path}`, { redirect: 'manual' });
        const headers = ['cache-control', 'content-disposition'].map((name) => answer.headers.get(name));
        expect([answer.status, ...headers]).toEqual([200, 'no-cache', 'attachment; filename="garage"']);
        const directory = await fetchTo(`latest-${target}`, [path]);
        // What was promoted is the very candidate.
        expect(await readFile(join(directory, 'garage'))).toEqual(contentOf('v1.2.0-rc1', target));
      }
      const pointer = await fetch(`${site}/releases/latest/stable.json`).then((answer) => answer.json());
      expect((pointer as { release: { version: string } }).release.version).toBe('v1.2.0');
    });

    it('is checked by minisign and sha256sum, which see one byte that was changed', async () => {
      const sums = 'releases/v1.2.0/SHA256SUMS';
      const directory = await fetchTo('checked', [sums, `${sums}.minisig`, 'releases/index.json']);
      await fetchTo('checked', ['releases/index.json.minisig']);
      for (const target of TARGETS) await fetchTo(`checked/${target}`, [`_releases/v1.2.0/${target}/garage`]);
      const { stdout: publicKey } = await box().succeed(['key', 'public', '--minisign', keyFile.file]);
      await writeFile(join(directory, 'key.pub'), publicKey);
      // minisign ends with 2 for what is no signature at all.
      const run = (program: string, ...args: readonly string[]) =>
        execa(program, args, { cwd: directory, reject: false }).then(({ exitCode }) => Number(exitCode !== 0));
      const verify = (name: string) => run('minisign', '-V', '-m', name, '-p', 'key.pub');
      const checks = () =>
        Promise.all([verify('SHA256SUMS'), verify('index.json'), run('sha256sum', '-c', 'SHA256SUMS')]);
      expect(await checks()).toEqual([0, 0, 0]);
      for (const [name, verdicts] of [
        [`${TARGETS[0]}/garage`, [0, 0, 1]],
        ['SHA256SUMS', [1, 0, 1]],
        ['SHA256SUMS.minisig', [1, 0, 0]],
        ['index.json', [0, 1, 0]],
        ['index.json.minisig', [0, 1, 0]],
      ] as const) {
        const whole = await readFile(join(directory, name));
        const changed = Buffer.from(whole);
        changed[whole.length - 20]! ^= 1;
        await writeFile(join(directory, name), changed);
        expect([name, await checks()]).toEqual([name, verdicts]);
        await writeFile(join(directory, name), whole);
      }
    });

    it('is fetched and checked by the commands that the page shows', async () => {
      const page = await open(`${site}/_releases.html`, { width: 1440, scheme: 'light', scripts: true });
      const commands = await page.evaluate<string[]>(`(async () => {
        while (!document.querySelector('select')) await new Promise((resolve) => setTimeout(resolve, 20));
        const list = document.querySelector('select');
        const shown = () => [...document.querySelectorAll('.newest pre')].map(({ textContent }) => textContent);
        const ofFiles = [...list.options].filter(({ value }) => value !== '').map(({ value }) => {
          list.value = value;
          list.dispatchEvent(new Event('change'));
          return shown()[0];
        });
        return [...ofFiles, shown()[1]];
      })()`);
      // Of both targets of v1.2.0, and of its checksums; v1.2.1 lacks one.
      expect(commands.length).toBe(3);
      const fetched: Buffer[] = [];
      for (const [number, command] of commands.entries()) {
        const directory = box().path(`typed-${number}`);
        await mkdir(directory);
        const { exitCode, stderr } = await execa('sh', ['-ec', command], { cwd: directory, reject: false });
        expect(exitCode, `${command}: ${stderr}`).toBe(0);
        if (number < 2) fetched.push(await readFile(`${directory}/garage`));
      }
      const [arm64, amd64] = TARGETS.map((target) => contentOf('v1.2.0-rc1', target));
      expect(fetched).toEqual([amd64, arm64]);
    });
  });
});
