import { createReadStream } from 'node:fs';
import { appendFile, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { createMinisignHash, signMinisign } from '#lib/signing/minisign.js';
import { useHttpServers } from '../../support/http-server.js';
import { putRelease, TEST_TARGET } from '../../support/releases.js';
import { type KeyFile, useSandbox } from '../../support/sandbox.js';

const FILE = `_releases/v1.1.0/${TEST_TARGET}/tool`;
const BIG = 'a tool, and more '.repeat(40_000);

describe('release download', () => {
  const box = useSandbox();
  const serve = useHttpServers();
  const at = (...names: string[]) => box().path(...names);
  let keyFile: KeyFile;
  let key: SecretKey;
  let url: string;
  /** Requests for files of releases, with their ranges. */
  let asked: { readonly path: string; readonly range: string | undefined }[];
  let answer: RequestListener | undefined;

  beforeEach(async () => {
    keyFile = await box().makeKey('release-1');
    key = parseSecretKey(await readFile(keyFile.file, 'utf8'));
    [asked, answer] = [[], undefined];
    await putRelease(at('bucket'), { version: 'v1.0.0', keys: [key], files: { tool: 'old', notes: 'n' } });
    await putRelease(at('bucket'), {
      version: 'v1.1.0',
      keys: [key],
      files: { tool: BIG, empty: 'e', 'tool.tar': 'tar' },
    });
    await publish();
    url = (await serve(website)).url.href;
  });
  const publish = () => box().succeed(['index', 'publish', '--cache', at('bucket'), '--secret-key', keyFile.file]);
  /** A website with ranges, and no listing. */
  const website: RequestListener = async (request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    if (path.includes('_releases/')) asked.push({ path, range: request.headers.range });
    if (answer && path.endsWith(FILE)) return answer(request, response);
    const file = at('bucket', path);
    const stats = await stat(file).catch(() => undefined);
    if (!stats?.isFile()) return void response.writeHead(404).end();
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const headers = { 'content-length': stats.size - start };
    if (request.headers.range === undefined) response.writeHead(200, headers);
    else response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${stats.size - 1}/${stats.size}` });
    createReadStream(file, { start }).pipe(response);
  };
  const run = (...args: readonly string[]) =>
    box().carport(['release', 'download', ...args, '--trusted-key', keyFile.publicKey]);
  const web = (...args: readonly string[]) => run(...args, '--cache', url, '--retry-seconds', '1');

  it('fetches from a website what was signed, once', async () => {
    const ran = await web('stable', '--out', 'got');
    expect(ran).toMatchObject({
      exitCode: 0,
      lines: ['empty', 'tool', 'tool.tar'].map((name) => `got/${TEST_TARGET}/${name}`),
    });
    expect(await readFile(at('work/got', TEST_TARGET, 'tool'), 'utf8')).toBe(BIG);
    expect(await readFile(at('work/got', TEST_TARGET, 'empty'), 'utf8')).toBe('e');
    asked = [];
    await rm(at('work/got', TEST_TARGET, 'empty'));
    await writeFile(at('work/got', TEST_TARGET, 'tool.tar'), 'TAR');
    const again = JSON.parse((await web('v1.1.0', '--out', 'got', '--json')).stdout) as { files: object[] };
    expect(again).toMatchObject({
      version: 1,
      release: 'v1.1.0',
      channel: 'stable',
      signedBy: 'release-1',
      dryRun: false,
    });
    expect(again.files).toMatchObject([
      { name: 'empty', state: 'fetched', size: 1, path: `${TEST_TARGET}/empty` },
      { name: 'tool', state: 'here', target: TEST_TARGET },
      { name: 'tool.tar', state: 'fetched' },
    ]);
    // One may be sent again.
    expect(new Set(asked.map(({ path }) => path.split('/').at(-1)))).toEqual(new Set(['empty', 'tool.tar']));
    expect(await readFile(at('work/got', TEST_TARGET, 'tool.tar'), 'utf8')).toBe('tar');
    expect(await readdir(at('work/got', TEST_TARGET))).toEqual(['empty', 'tool', 'tool.tar']);

    // Of one target, by name, of an older one, from a directory, and to stdout.
    const one = await run('v1.0.0', '--target', TEST_TARGET, '--name', 'to*', '--from', `file://${at('bucket')}`);
    expect(one).toMatchObject({ exitCode: 0, stdout: 'tool\n' });
    expect(await readFile(at('work/tool'), 'utf8')).toBe('old');
    expect((await web('v1.0.0', '--name', 'notes', '--out', '-')).stdout).toBe('n');
    const planned = await web('v1.0.0', '--out', 'none', '--dry-run');
    expect(planned).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('would be 2 files') });
    expect(await readdir(at('work'))).toEqual(['got', 'tool']);
  });

  it('goes on with what a run that was killed has left, and believes none of it', async () => {
    const directory = at('work/got');
    const isKept = async () => {
      const [name] = await readdir(directory).catch(() => []);
      return name !== undefined && (await stat(`${directory}/${name}`)).size > 0;
    };
    const broken: RequestListener = async (_, response) => {
      response.writeHead(200, { 'content-length': BIG.length }).write(BIG.slice(0, 300_000));
      while (!(await isKept())) await sleep(20);
      response.destroy();
    };
    const wanted = ['v1.1.0', '--name', 'tool', '--target', TEST_TARGET, '--out', 'got'];
    answer = (request, response) => (request.headers.range ? response.writeHead(404).end() : broken(request, response));
    expect((await web(...wanted)).exitCode).toBeGreaterThan(0);
    const [part] = await readdir(directory);
    expect(part).toMatch(/^\.tool\.[0-9a-f]{32}\.part$/);
    const { size } = await stat(`${directory}/${part}`);
    expect(size).toBeGreaterThan(0);
    [asked, answer] = [[], undefined];
    const { files } = JSON.parse((await web(...wanted, '--json')).stdout) as { files: object[] };
    expect(files).toMatchObject([{ state: 'fetched', resumed: size }]);
    expect(asked[0]?.range).toBe(`bytes=${size}-${BIG.length - 1}`);
    expect(await readdir(directory)).toEqual(['tool']);
    expect(await readFile(`${directory}/tool`, 'utf8')).toBe(BIG);

    // What is wrong in it is fetched anew; what is wrong at the server never gets its name.
    await rm(`${directory}/tool`);
    await writeFile(`${directory}/${part}`, 'x'.repeat(1000));
    expect(await web(...wanted)).toMatchObject({ exitCode: 0 });
    expect(await readFile(`${directory}/tool`, 'utf8')).toBe(BIG);
    await rm(`${directory}/tool`);
    await appendFile(at('bucket', FILE), '!');
    expect(await web(...wanted)).toMatchObject({
      exitCode: 6,
      stderr: expect.stringContaining('is not what was signed'),
    });
    await writeFile(at('bucket', FILE), BIG.replace('tool', 'Tool'));
    expect(await web(...wanted)).toMatchObject({ exitCode: 6 });
    expect(await readdir(directory)).toEqual([]);
  });

  it('lets no run beside it write the same file, and takes what one that is gone has left', async () => {
    const directory = at('work/got');
    const wanted = ['v1.1.0', '--name', 'tool', '--target', TEST_TARGET, '--out', 'got'];
    let isTime = false;
    answer = async (_, response) => {
      answer = undefined;
      response.writeHead(200, { 'content-length': BIG.length }).write(BIG.slice(0, 300_000));
      while (!isTime) await sleep(20);
      response.end('x'.repeat(BIG.length - 300_000));
    };
    const wrong = web(...wanted);
    while (!((await sizesIn(directory))[0]! > 0)) await sleep(20);
    const [part] = await readdir(directory);
    expect(await web(...wanted)).toMatchObject({ exitCode: 0 });
    isTime = true;
    expect(await wrong).toMatchObject({ exitCode: 6 });
    expect(await readFile(`${directory}/tool`, 'utf8')).toBe(BIG);
    expect(await readdir(directory)).toEqual(['tool']);

    // As of a process that started at another time.
    await rm(`${directory}/tool`);
    await writeFile(`${directory}/${part!.replace(/-(\d+)-\d+-/, '-$1-1-')}`, BIG.slice(0, 1000));
    const { files } = JSON.parse((await web(...wanted, '--json')).stdout) as { files: object[] };
    expect(files).toMatchObject([{ state: 'fetched', resumed: 1000 }]);
    expect(await readdir(directory)).toEqual(['tool']);
  });
  const sizesIn = async (directory: string) =>
    Promise.all(
      (await readdir(directory).catch(() => [])).map(async (name) => (await stat(`${directory}/${name}`)).size),
    );

  it('writes nowhere else, whatever is signed or lies there', async () => {
    await mkdir(at('work/got'));
    await mkdir(at('elsewhere'));
    await writeFile(at('elsewhere/file'), 'mine');
    await symlink(at('elsewhere'), at('work/got', TEST_TARGET));
    expect(await web('v1.0.0', '--out', 'got')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('no directory'),
    });
    await rm(at('work/got', TEST_TARGET));
    await mkdir(at('work/got', TEST_TARGET, 'tool'), { recursive: true });
    asked = [];
    expect(await web('v1.0.0', '--name', 'tool', '--out', 'got')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('tool` is a directory'),
    });
    expect(asked).toEqual([]);
    await rm(at('work/got', TEST_TARGET, 'tool'), { recursive: true });
    await symlink(at('elsewhere/file'), at('work/got', TEST_TARGET, 'tool'));
    expect(await web('v1.0.0', '--out', 'got')).toMatchObject({ exitCode: 0 });
    expect((await lstat(at('work/got', TEST_TARGET, 'tool'))).isFile()).toBe(true);
    expect(await readFile(at('elsewhere/file'), 'utf8')).toBe('mine');
    expect(await readdir(at('elsewhere'))).toEqual(['file']);

    const index = JSON.parse(await readFile(at('bucket/releases/index.json'), 'utf8')) as { releases: Hostile[] };
    for (const change of [
      (release: Hostile) => Object.assign(release.targets[0]!, { target: '..' }),
      (release: Hostile) => Object.assign(release.targets[0]!.files[0]!, { name: '../../evil' }),
      (release: Hostile) => Object.assign(release.targets[0]!.files[0]!, { name: '/tmp/evil' }),
      (release: Hostile) => Object.assign(release.targets[0]!.files[0]!, { name: '.bashrc' }),
      (release: Hostile) => Object.assign(release.targets[0]!.files[0]!, { size: 1e300 }),
      (release: Hostile) => Object.assign(release.targets[0]!.files[0]!, { sha256: 'abc' }),
    ]) {
      const hostile = structuredClone(index);
      change(hostile.releases.find(({ version }) => version === 'v1.0.0')!);
      await signIndex(JSON.stringify(hostile));
      const ran = await web('v1.0.0', '--out', 'hostile');
      expect([ran.exitCode, ran.stderr]).toEqual([6, expect.stringContaining('E_FORMAT')]);
    }
    expect(await readdir(at('work'))).toEqual(['got']);
  });

  it('refuses what nobody has signed, and what there is not', async () => {
    const refused = async (code: number, why: string, ...args: readonly string[]) => {
      const ran = await web(...args);
      expect([ran.exitCode, ran.stderr, ran.stdout], args.join(' ')).toEqual([code, expect.stringContaining(why), '']);
    };
    await refused(5, 'did you mean `v1.1.0`?', 'v1.1.1');
    await refused(5, 'no release of `extra` that can be used', 'extra');
    await refused(5, 'has nothing for `riscv`', 'v1.1.0', '--target', 'riscv');
    await refused(5, 'no file with such a name', 'v1.1.0', '--name', 'x*');
    await refused(2, 'there are 3 files', 'v1.1.0', '--out', '-');
    await box().succeed([
      'release',
      'yank',
      'v1.1.0',
      '--reason',
      'loses data',
      '--cache',
      at('bucket'),
      '--secret-key',
      keyFile.file,
    ]);
    await publish();
    expect(JSON.parse((await web('stable', '--json', '--dry-run')).stdout)).toMatchObject({ release: 'v1.0.0' });
    expect((await web('v1.1.0', '--dry-run')).stderr).toContain('should not be used any more: loses data');
    const stranger = await box().makeKey('other-1');
    const untrusted = (...more: readonly string[]) =>
      box().carport(['release', 'download', 'v1.0.0', '--cache', url, '--trusted-key', stranger.publicKey, ...more]);
    expect(await untrusted()).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('not signed by a key') });
    expect(await untrusted('--allow-unsigned', '--dry-run')).toMatchObject({ exitCode: 0 });
    await appendFile(at('bucket/releases/index.json'), ' ');
    expect(await web('v1.0.0', '--allow-unsigned', '--dry-run')).toMatchObject({ exitCode: 6 });
    // Without an index a bucket is read itself.
    await rm(at('bucket/releases'), { recursive: true });
    const bucket = await run('stable', '--cache', at('bucket'), '--json', '--dry-run');
    expect(JSON.parse(bucket.stdout)).toMatchObject({ release: 'v1.0.0', signedBy: null });
    await refused(5, 'has no `releases/index.json`', 'stable');
  });

  interface Hostile {
    readonly version: string;
    readonly targets: { target: string; files: { name: string }[] }[];
  }

  async function signIndex(text: string): Promise<void> {
    const about = { fileName: 'index.json', timestamp: 0 };
    await writeFile(at('bucket/releases/index.json'), text);
    const digest = createMinisignHash().update(text).digest();
    await writeFile(at('bucket/releases/index.json.minisig'), signMinisign(digest, about as never, key));
  }
});
