import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { type RunOptions, useSandbox } from '../support/sandbox.js';

const CHANGELOG = '# Changelog\n\n## 1.1.0\n\n- now *faster*\n\n## 1.0.0\n\n- first\n';
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>';

describe('what a page of releases is made of', () => {
  const box = useSandbox('all');
  let bucket: string;
  let keyFile: string;
  const run = (args: readonly string[], options: RunOptions = {}) =>
    box().carport(args, { ...options, env: { CARPORT_SECRET_KEY_FILES: keyFile, ...options.env } });
  const put = (tag: string, ...more: readonly string[]) =>
    run(['release', 'put', 'tool', '--to', bucket, '--target', 'x', '--tag', tag, ...more]);
  const publish = async (...more: readonly string[]) => {
    const ran = await run(['index', 'publish', '--to', bucket, '--base-url', 'https://r.example/', ...more]);
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const read = (key: string) => readFile(`${bucket}/${key}`, 'utf8');
  const notes = async (version: string) => {
    const { stdout } = await run(['release', 'show', version, '--from', bucket, '--json']);
    return (JSON.parse(stdout) as { release: { notes?: string } }).release.notes;
  };
  beforeAll(async () => {
    keyFile = (await box().makeKey('release-1')).file;
    bucket = box().path('bucket');
    await mkdir(bucket);
    await writeFile(box().path('work/tool'), 'stands for a program');
    await writeFile(box().path('work/CHANGELOG.md'), CHANGELOG);
  });

  it('are notes of a changelog, which stay, go along with a promotion, and can be said anew', async () => {
    expect((await put('v1.1.0-rc1', '--notes-file', 'CHANGELOG.md')).exitCode).toBe(0);
    expect(await notes('v1.1.0-rc1')).toBe('- now *faster*');
    // The same files again, with nothing to say.
    await put('v1.1.0-rc1');
    expect(await notes('v1.1.0-rc1')).toBe('- now *faster*');
    const promoted = ['release', 'promote', 'v1.1.0-rc1', '--to', 'stable', '--cache', bucket];
    expect((await run(promoted)).exitCode).toBe(0);
    expect(await notes('v1.1.0')).toBe('- now *faster*');
    // What was promoted takes no other files, but other notes.
    const said = await run(
      ['release', 'put', 'tool', '--to', bucket, '--target', 'x', '--tag', 'v1.1.0', '--notes-file', '-'],
      {
        input: 'Better **now**.',
      },
    );
    expect([said.exitCode, await notes('v1.1.0')]).toEqual([0, 'Better **now**.']);
    await publish();
    expect(await read('_releases.html')).toContain('<p>Better <strong>now</strong>.</p>');
    expect(await read('releases/feed.atom')).toContain('&lt;p&gt;Better &lt;strong&gt;now&lt;/strong&gt;.&lt;/p&gt;');
    expect(await read('releases/feed.atom')).toContain('href="https://r.example/_releases.html#v1.1.0"');
    expect(await read('releases/index.json')).toContain('"notes":"Better **now**."');
  });

  it('are no notes where there are none, which is said, and no file of another kind', async () => {
    const none = await put('v7.0.0', '--notes-file', 'CHANGELOG.md');
    expect([none.exitCode, none.stderr]).toEqual([
      0,
      expect.stringContaining('has no section of `v7.0.0`: it is published without notes'),
    ]);
    await writeFile(box().path('work/binary'), Buffer.from([0xff, 0xfe, 0x80]));
    for (const [file, said] of [
      ['absent.md', 'cannot be read'],
      ['.', 'cannot be read'],
      ['binary', 'no text in UTF-8'],
      [keyFile, 'have a secret key'],
    ]) {
      const ran = await put('v7.1.0', '--notes-file', file!);
      expect([ran.exitCode, ran.stderr]).toEqual([2, expect.stringContaining(said!)]);
    }
    expect((await put('v7.1.0', '--notes-file', 'CHANGELOG.md', '--notes-from-tag')).exitCode).toBe(2);
    await expect(stat(`${bucket}/_releases/v7.1.0`)).rejects.toThrow('ENOENT');
  });

  it('are the message of a tag, without its signature', async () => {
    const cwd = box().path('work/checkout');
    const git = (...args: readonly string[]) =>
      execa('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.example', ...args], { cwd });
    await mkdir(cwd);
    await git('init', '-q');
    await git('commit', '-q', '--allow-empty', '-m', 'of the commit');
    await git(
      'tag',
      '-a',
      'cli/v2.0.0',
      '-m',
      'Two\n\n* more\n\n-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----',
    );
    await git('tag', 'v3.0.0');
    const tagged = (tag: string) =>
      run(['release', 'put', '../tool', '--to', bucket, '--target', 'x', '--tag', tag, '--notes-from-tag'], {
        cwd,
        env: { PATH: process.env.PATH! },
      });
    expect((await tagged('cli/v2.0.0')).stderr).not.toContain('warning');
    expect(await notes('cli@v2.0.0')).toBe('Two\n\n* more');
    expect((await tagged('v3.0.0')).stderr).toContain('the tag `v3.0.0` has no message here');
    expect((await tagged('v4.0.0')).stderr).toContain('this checkout has no tag `v4.0.0`');
  });

  it('are a logo and colours of carport.toml, corrected, and remembered', async () => {
    const project = box().path('work/project');
    await mkdir(`${project}/.git`, { recursive: true });
    await mkdir(`${project}/deeper`);
    await writeFile(`${project}/logo.svg`, SVG);
    await writeFile(
      `${project}/carport.toml`,
      'logo = "logo.svg"\naccent-color = "#FFD700"\naccent-color-dark = "#fd0"\n',
    );
    const inProject = (...more: readonly string[]) =>
      run(['index', 'publish', '--to', bucket, ...more], { cwd: `${project}/deeper` });
    const first = await inProject();
    expect([first.exitCode, first.stderr]).toEqual([
      0,
      expect.stringContaining('the colour `#ffd700` cannot be read on light ground'),
    ]);
    const page = await read('_releases.html');
    expect(page).toContain(
      `<img class="logo" src="data:image/svg+xml;base64,${Buffer.from(SVG).toString('base64')}" alt="">`,
    );
    expect(page).toContain('--accent: #ffdd00');
    expect(page).not.toContain('--accent: #ffd700');
    const again = await publish();
    expect(again.stdout).toBe('');
    expect(again.stderr).toContain('logo (a picture), ');
    for (const [name, content] of [
      ['page.svg', '<html><svg></svg></html>'],
      ['key.svg', '-----BEGIN PRIVATE KEY-----'],
      ['large.png', Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(70_000)])],
    ] as const) {
      await writeFile(`${project}/deeper/${name}`, content);
      const ran = await inProject('--logo', name);
      expect([ran.exitCode, ran.stderr]).toEqual([2, expect.stringContaining(`the logo \`${name}\``)]);
    }
    expect((await publish('--forget', 'logo')).lines).toContain('_releases.html');
    expect(await read('_releases.html')).not.toContain('<img');
  });

  it('is at the root, too, and in the place of no other page', async () => {
    const root = () => readFile(`${bucket}/index.html`, 'utf8').catch(() => undefined);
    await publish();
    expect(await root()).toBe(await read('_releases.html'));
    expect((await publish('--index-html', 'none')).stderr).toContain('removed: index.html');
    expect(await root()).toBeUndefined();
    await publish('--forget', 'index-html');
    expect(await root()).toBe(await read('_releases.html'));
    await writeFile(`${bucket}/index.html`, 'mine');
    const kept = await publish('--title', 'A');
    expect([await root(), kept.stderr]).toEqual(['mine', expect.stringContaining('`index.html` is another page')]);
    expect((await publish('--index-html', 'none')).stderr).not.toContain('another page');
    expect(await root()).toBe('mine');
    const replaced = await publish('--index-html', 'replace');
    expect(replaced.lines).toEqual(expect.arrayContaining(['index.html']));
    expect(await root()).toBe(await read('_releases.html'));
    // What was said once is not said of the next page that somebody puts there.
    await writeFile(`${bucket}/index.html`, 'mine, too');
    expect((await publish()).stderr).toContain('`index.html` is another page');
    expect(await root()).toBe('mine, too');
    // In a directory of somebody's own only where it is said; the run before was remembered.
    const out = box().path('work/public');
    await run(['index', 'build', '--from', bucket, '--out', out]);
    expect(await readFile(`${out}/index.html`, 'utf8')).toBe(await readFile(`${out}/_releases.html`, 'utf8'));
  });
});
