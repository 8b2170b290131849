import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openZip } from '#lib/zip/archive.js';
import { checkWheel } from '#release/wheels/check-wheel.js';
import { readRequest, useHttpServers } from '../support/http-server.js';
import { hashesIn } from '../support/releases.js';
import { useSandbox } from '../support/sandbox.js';
import { sdistBytes, type TestWheel, wheelNameOf, writeWheel } from '../support/wheels.js';

const TARGET = 'any';
const FINAL = { version: '1.0' } as const;
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

describe('wheels', () => {
  const box = useSandbox();
  const serve = useHttpServers();
  let key = '';
  beforeEach(async () => {
    key = (await box().makeKey('release')).file;
    await mkdir(box().path('work/dist'), { recursive: true });
  });
  const dist = (name = '') => box().path('work/dist', name);
  const env = () => ({ CARPORT_TO: box().path('bucket'), CARPORT_SECRET_KEY_FILES: key, TARGET });
  const run = (...args: readonly string[]) => box().carport(args, { env: env() });
  const succeed = async (...args: readonly string[]) => {
    const ran = await run(...args);
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const put = async (tag: string, wheel: TestWheel, ...args: readonly string[]) => {
    await writeWheel(dist(), wheel);
    return succeed('release', 'put', dist(wheelNameOf(wheel)), '--tag', tag, ...args);
  };
  const publish = (...args: readonly string[]) => succeed('index', 'publish', ...args);
  const inBucket = (path: string) => readFile(box().path('bucket', path), 'utf8');
  const simple = async () =>
    [...(await hashesIn(box().path('bucket'))).keys()].filter((each) => each.startsWith('simple'));
  const json = async (path: string) => JSON.parse(await inBucket(path));

  it('are put with their metadata, or not at all', async () => {
    const name = wheelNameOf();
    const keys = [`_releases/v1.0.0/any/${name}`, `_releases/v1.0.0/any/${name}.metadata`];
    expect((await put('v1.0.0', {})).lines).toEqual(keys);
    expect(await inBucket(keys[1]!)).toContain('Name: demo.pkg\n');
    const before = await hashesIn(box().path('bucket'));
    expect((await put('v1.0.0', {})).stderr).toContain(`unchanged: ${keys[0]}`);
    const lying: TestWheel = {
      version: '2.0',
      record: (text) => text.replace(/version.py,sha256=./, 'version.py,sha256=_'),
    };
    await writeWheel(dist(), lying);
    await writeWheel(dist(), { version: '1.9' });
    const refused = await run('release', 'put', dist('*.whl'), '--tag', 'v2.0.0');
    expect(refused).toMatchObject({ exitCode: 6, stdout: '' });
    expect(refused.stderr).toContain('`demo_pkg/version.py` has other bytes than its `RECORD` says');
    expect(refused.stderr).toContain('--allow-faulty-packages');
    expect((await run('release', 'put', dist('*.whl'), '--tag', 'v2.0.0', '--dry-run')).exitCode).toBe(6);
    expect(await hashesIn(box().path('bucket'))).toEqual(before);
    const faulty = await put('v2.0.0', lying, '--allow-faulty-packages');
    expect(faulty.lines).toEqual([`_releases/v2.0.0/any/${wheelNameOf(lying)}`]);
    expect(faulty.stderr).toContain('no simple index has it');
    await publish();
    expect((await json('simple/demo-pkg/index.json')).versions).toEqual(['1.0rc1']);
    expect(await inBucket('_releases.html')).not.toContain('.metadata');
    expect(await json('releases/index.json')).not.toContain('.metadata');
  });

  it('are in the index of their channel, as they are yanked and promoted', async () => {
    await put('v1.0.0', FINAL);
    await put('v1.1.0-rc1', { version: '1.1' });
    await writeFile(dist('demo_pkg-1.1.tar.gz'), await sdistBytes([], 'demo_pkg-1.1'));
    await succeed('release', 'put', dist('demo_pkg-1.1.tar.gz'), '--tag', 'v1.1.0-rc1');
    await publish();
    const pages = ['index.html', 'index.json', 'demo-pkg/index.html', 'demo-pkg/index.json'];
    const all = ['simple-extra', 'simple'].flatMap((each) => pages.map((page) => `${each}/${page}`));
    expect(new Set(await simple())).toEqual(new Set(all));
    expect(await json('simple/index.json')).toMatchObject({
      meta: { 'api-version': '1.1' },
      projects: [{ name: 'demo-pkg' }],
    });
    const { files, versions } = await json('simple-extra/demo-pkg/index.json');
    expect([versions, files.map(({ filename }: { filename: string }) => filename)]).toEqual([
      ['1.1'],
      ['demo_pkg-1.1-py3-none-any.whl', 'demo_pkg-1.1.tar.gz'],
    ]);
    const bytes = await readFile(dist('demo_pkg-1.1-py3-none-any.whl'));
    const metadata = await inBucket('_releases/v1.1.0-rc1/any/demo_pkg-1.1-py3-none-any.whl.metadata');
    expect(files[0]).toMatchObject({
      url: '../../_releases/v1.1.0-rc1/any/demo_pkg-1.1-py3-none-any.whl',
      ...{ hashes: { sha256: sha256(bytes) }, size: bytes.length, 'requires-python': '>=3.8', yanked: false },
      'core-metadata': { sha256: sha256(metadata) },
      'upload-time': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    expect((await publish()).stdout).toBe('');

    await succeed('release', 'promote', 'v1.1.0-rc1', '--to', 'stable');
    await succeed('release', 'yank', 'v1.0.0', '--reason', 'loses "data" <b>');
    await publish();
    expect((await json('simple/demo-pkg/index.json')).versions).toEqual(['1.0', '1.1']);
    const page = await inBucket('simple/demo-pkg/index.html');
    expect(page).toContain('data-yanked="loses &quot;data&quot; &lt;b&gt;"');
    expect(page).toContain('href="../../_releases/v1.1.0/any/demo_pkg-1.1-py3-none-any.whl#sha256=');
    expect(page).toContain(`data-core-metadata="sha256=${sha256(metadata)}"`);
  });

  it('have an index where it is wanted, and nobody else loses a page', async () => {
    await put('v1.0.0', FINAL);
    await put('v1.0.1', FINAL, '--target', 'other');
    await put('v1.0.2', { ...FINAL, requiresPython: '>=3.9' });
    await mkdir(box().path('bucket/simple-extra/own'), { recursive: true });
    await mkdir(box().path('bucket/simple'), { recursive: true });
    await writeFile(box().path('bucket/simple-extra/own/index.html'), 'mine');
    await writeFile(box().path('bucket/simple/index.html'), 'mine');
    const { stderr } = await publish();
    expect(stderr).toContain('`simple/index.html` is another page, and stays as it is');
    expect(stderr).toContain('has the same name and other bytes');
    expect((await json('simple/demo-pkg/index.json')).files).toMatchObject([{ 'requires-python': '>=3.9' }]);
    expect((await publish('--simple-index', 'never')).stderr).toContain('removed: simple/demo-pkg/index.html');
    expect((await publish()).stderr).not.toContain('another page');
    expect((await simple()).sort()).toEqual(['simple-extra/own/index.html', 'simple/index.html']);
    await publish('--simple-index', 'always');
    expect(await json('simple-development/index.json')).toMatchObject({ projects: [] });
    expect(await inBucket('simple-extra/own/index.html')).toBe('mine');
    const out = box().path('work/out');
    await mkdir(join(out, 'simple-extra/own'), { recursive: true });
    await writeFile(join(out, 'simple-extra/own/index.html'), 'mine');
    await succeed('index', 'build', '--cache', box().path('bucket'), '--out', out);
    const page = 'simple/demo-pkg/index.html';
    expect(await readFile(join(out, page), 'utf8')).toBe(await inBucket(page));
    await succeed('index', 'build', '--cache', box().path('bucket'), '--out', out, '--simple-index', 'never');
    await expect(readFile(join(out, 'simple/index.html'))).rejects.toThrow('ENOENT');
    expect(await readFile(join(out, 'simple-extra/own/index.html'), 'utf8')).toBe('mine');
  });

  it('get another version, and are otherwise what they were', async () => {
    const wheel: TestWheel = {
      tags: '1a-py3-none-any',
      metadata: 'Requires-Dist: demo-base==1.0rc1\n',
      files: { 'demo_pkg/ä.bin': 'x'.repeat(5000) },
      members: (all) => all.map((each) => ({ ...each, flags: 0x800 })),
    };
    const path = await writeWheel(dist(), wheel);
    const out = box().path('work/final');
    const ran = await succeed('release', 'wheel-retag', path, '--version', 'v1.0.0+CU128', '--out', out, '--json');
    const [made] = JSON.parse(ran.stdout).wheels;
    const name = 'demo_pkg-1.0.0+cu128-1a-py3-none-any.whl';
    const from = { file: wheelNameOf(wheel), sha256: sha256(await readFile(path)), version: '1.0rc1' };
    expect(made).toMatchObject({ path: join(out, name), version: '1.0.0+cu128', state: 'written', madeFrom: from });
    expect(made.remains).toEqual([
      '`demo_pkg/version.py` still says 1.0rc1: what is in files stays',
      'it still requires `demo-base==1.0rc1`',
    ]);
    expect((await checkWheel(made.path, name)).facts).toMatchObject({ version: '1.0.0+cu128', madeFrom: from });
    const [before, after] = [await contents(path), await contents(made.path)];
    const renamed = (each: string) => each.replace('demo_pkg-1.0rc1.', 'demo_pkg-1.0.0+cu128.');
    for (const [member, bytes] of before) {
      if (!/METADATA|RECORD/.test(member)) expect(after.get(renamed(member)), member).toBe(bytes);
    }
    expect([...after.keys()].filter((each) => ![...before.keys()].map(renamed).includes(each))).toEqual([
      'demo_pkg-1.0.0+cu128.dist-info/carport-retag.json',
    ]);
    const again = await succeed('release', 'wheel-retag', path, '--version', '1.0.0+cu128', '--out', out);
    expect(again.stderr).toContain('unchanged: ');
    await writeFile(made.path, 'other');
    const refused: readonly (readonly [string, string])[] = [
      ['1.0+cu128', 'with other bytes'],
      ['1.1', 'is another release'],
      ['1.0rc2', 'is not final'],
      ['1.0.RC1', 'already'],
      ['one', 'no version'],
    ];
    await rm(out, { recursive: true });
    await mkdir(out);
    await writeFile(join(out, 'demo_pkg-1.0+cu128-1a-py3-none-any.whl'), 'other');
    for (const [version, why] of refused) {
      const tried = await run('release', 'wheel-retag', path, '--version', version, '--out', out);
      expect([tried.exitCode, tried.stderr]).toEqual([2, expect.stringContaining(why)]);
    }
    await succeed('release', 'wheel-retag', path, '--version', '1.1rc1', '--out', out, '--allow-other-version');
    await writeFile(dist('demo_pkg-1.0.tar.gz'), 'x');
    const sdist = await run('release', 'wheel-retag', dist('demo_pkg-1.0.tar.gz'), '--version', '1.0');
    expect([sdist.exitCode, sdist.stderr]).toEqual([
      2,
      expect.stringContaining('its version in files that only its build'),
    ]);
  });

  describe('that are sent to an index', () => {
    const NAME = wheelNameOf(FINAL);
    let posts: { readonly body: Buffer; readonly headers: IncomingMessage['headers'] }[] = [];
    let asked: IncomingMessage['headers'][] = [];
    let link: string | undefined;
    const token = 'pypi-AgEIcHlwaS5vcmcCJDc0';
    /** Answers uploads with what `answer` says, and has `link` of the project. */
    const index = async (answer: (response: ServerResponse, count: number) => void) => {
      [posts, asked, link] = [[], [], undefined];
      return (
        await serve((request, response) => {
          if (request.method === 'GET') {
            asked.push(request.headers);
            response.writeHead(link === undefined ? 404 : 200, { 'content-type': 'text/html' });
            response.end(link);
            return;
          }
          void readRequest(request).then((body) => {
            posts.push({ body, headers: request.headers });
            answer(response, posts.length);
          });
        })
      ).url;
    };
    const send = (to: URL | string, ...args: readonly string[]) =>
      box().carport(['release', 'upload-pypi', 'v1.0.0', '--to', String(to), ...args], {
        env: { ...env(), CARPORT_UPLOAD_TOKEN: token },
      });
    const linkTo = (hash: string) => `<html><a href="../../${NAME}#sha256=${hash}" data-x='>'>${NAME}</a></html>`;
    const hash = async () => sha256(await readFile(dist(NAME)));
    beforeEach(() => put('v1.0.0', { ...FINAL, metadata: 'Classifier: A\nClassifier: B\nProject-URL: x, y\n' }));

    it('go with all that is known of them, and again where that may help', async () => {
      const to = await index((response, count) => {
        if (count === 1) response.writeHead(429, { 'retry-after': '0' });
        else if (count === 2) response.writeHead(503);
        response.end();
      });
      const { exitCode, stdout, stderr } = await send(to);
      expect([exitCode, stdout], stderr).toEqual([0, `${NAME}\n`]);
      const { body, headers } = posts.at(-1)!;
      expect(headers.authorization).toBe(`Basic ${Buffer.from(`__token__:${token}`).toString('base64')}`);
      expect(headers['content-length']).toBe(String(body.length));
      expect(body.includes(await readFile(dist(NAME)))).toBe(true);
      const text = body.toString('latin1');
      const field = (name: string, value: string) => expect(text).toContain(`name="${name}"\r\n\r\n${value}\r\n`);
      field(':action', 'file_upload');
      field('filetype', 'bdist_wheel');
      field('pyversion', 'py3');
      field('name', 'demo.pkg');
      field('metadata_version', '2.1');
      field('requires_python', '>=3.8');
      field('description', 'What it is.\n');
      for (const value of ['A', 'B']) field('classifiers', value);
      field('project_urls', 'x, y');
      field('sha256_digest', await hash());
      expect(text).toMatch(/name="blake2_256_digest"\r\n\r\n[0-9a-f]{64}\r\n/);
      expect(text).toContain(`name="content"; filename="${NAME}"`);
    });

    it('are left alone where they are there, and never another', async () => {
      const to = await index((response) => response.end());
      link = linkTo(await hash());
      const done = await send(to, '--json');
      expect(JSON.parse(done.stdout).files).toMatchObject([{ name: NAME, state: 'unchanged' }]);
      link = linkTo('0'.repeat(64));
      const other = await send(to);
      expect(other).toMatchObject({ exitCode: 6, stderr: expect.stringContaining(`there: sha256 ${'0'.repeat(64)}`) });
      expect(other.stderr).toContain(await hash());
      expect(posts).toEqual([]);
    });

    it('are done where an answer was lost, and not where a server refuses them', async () => {
      const lost = await index(async (response, count) => {
        link = linkTo(await hash());
        if (count === 1) return void response.destroy();
        response.writeHead(400).end('400 File already exists');
      });
      const ran = await send(lost);
      expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringContaining(`unchanged: ${NAME}`)]);
      const refusing = await index((response) => response.writeHead(400).end('<h1>bad <b>classifier</b></h1>'));
      expect(await send(refusing)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('bad classifier') });
      const closed = await index((response) => response.writeHead(403).end('no'));
      const { stderr, exitCode } = await send(closed);
      expect([exitCode, stderr.includes(token)]).toEqual([4, false]);
    });

    it('go nowhere else, and their password neither', async () => {
      const thief = await index((response) => response.end());
      const from = await serve((request, response) => {
        request.resume();
        response.writeHead(307, { location: `${thief}x` }).end();
      });
      const ran = await send(from.url);
      expect(ran.stderr).toContain('sends uploads elsewhere');
      expect([posts, asked.filter(({ authorization }) => authorization)]).toEqual([[], []]);
      expect((await send('http://dev:secret@127.0.0.1/')).stderr).toContain('a password in it');
      expect((await send('http://index.example.org/')).stderr).toContain('without TLS');
    });

    it('are those that were signed', async () => {
      const to = await index((response) => response.end());
      await writeFile(
        box().path(`bucket/_releases/v1.0.0/any/${NAME}`),
        'x'.repeat((await readFile(dist(NAME))).length),
      );
      expect(await send(to)).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('is not what was signed') });
      expect(posts).toEqual([]);
      await succeed('release', 'yank', 'v1.0.0', '--reason', 'bad');
      expect((await send(to)).stderr).toContain('`v1.0.0` is yanked: bad');
    });
  });
});

async function contents(path: string): Promise<ReadonlyMap<string, string>> {
  const archive = await openZip(path, path);
  const found = new Map<string, string>();
  for (const member of archive.members) {
    const pieces: Buffer[] = [];
    for await (const piece of archive.read(member)) pieces.push(piece);
    found.set(member.name, Buffer.concat(pieces).toString('hex'));
  }
  await archive.close();
  return found;
}
