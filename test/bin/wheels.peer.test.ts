import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { startPypiServer } from '#dev/pypi-server.js';
import { nginxMissing, startNginx } from '../support/nginx.js';
import { describeWithPeer } from '../support/peers.js';
import { pythonMissing, runPython } from '../support/python-peers.js';
import { useSandbox } from '../support/sandbox.js';
import { sdistBytes, wheelNameOf, writeWheel } from '../support/wheels.js';

const CANDIDATE = wheelNameOf();
const FINAL = wheelNameOf({ version: '1.0' });

describeWithPeer((await nginxMissing()) ?? pythonMissing, 'wheels with the programs of others', () => {
  const box = useSandbox();
  let env: Readonly<Record<string, string>> = {};
  beforeEach(async () => {
    const key = (await box().makeKey('release')).file;
    env = { CARPORT_TO: box().path('bucket'), CARPORT_SECRET_KEY_FILES: key, TARGET: 'any' };
    await mkdir(dist());
    await writeWheel(dist());
    await carport('release', 'wheel-retag', dist(CANDIDATE), '--version', '1.0');
  });
  const dist = (name = '') => box().path('work/dist', name);
  const carport = async (...args: readonly string[]) => {
    const ran = await box().carport(args, { env });
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran;
  };
  const python = (program: Parameters<typeof runPython>[0], ...args: readonly string[]) =>
    runPython(program, args, box().path('home'));

  it('are installed from the index, checked by hashes, and not where they are yanked', async () => {
    await carport('release', 'put', dist(CANDIDATE), '--tag', 'v1.0.0-rc1');
    await carport('release', 'put', dist(FINAL), '--tag', 'v1.0.0');
    await carport('index', 'publish');
    expect((await python('twine', 'check', dist(FINAL))).all).toContain('PASSED');
    const server = await startNginx({ root: box().path('bucket'), directory: box().path('nginx') });
    try {
      const index = (channel = '') => `--index-url=${server.url}/simple${channel}/`;
      const requirements = box().path('work/requirements.txt');
      const hash = createHash('sha256')
        .update(await readFile(dist(FINAL)))
        .digest('hex');
      await writeFile(requirements, `demo-pkg==1.0 --hash=sha256:${hash}\n`);
      const into = box().path('work/pip');
      const installed = await python(
        'pip',
        'install',
        '--target',
        into,
        index(),
        '--require-hashes',
        '-r',
        requirements,
      );
      expect([installed.exitCode, installed.all]).toEqual([0, expect.stringContaining('Successfully installed')]);
      expect(await readFile(join(into, 'demo_pkg/version.py'), 'utf8')).toBe('version = "1.0rc1"\n');
      expect((await readdir(into)).sort()).toContain('demo_pkg-1.0.dist-info');
      const newest = await python(
        'uv',
        'pip',
        'install',
        '--target',
        box().path('work/uv'),
        index('-extra'),
        '--pre',
        'demo.pkg',
      );
      expect([newest.exitCode, newest.all]).toEqual([0, expect.stringContaining('1.0rc1')]);
      await carport('release', 'yank', 'v1.0.0', '--reason', 'loses data');
      await carport('index', 'publish');
      const any = await python('pip', 'download', '--dest', box().path('work/any'), index(), 'demo-pkg');
      expect([any.exitCode, any.all]).toEqual([1, expect.stringContaining('yanked')]);
      const just = await python('pip', 'download', '--dest', box().path('work/just'), index(), 'demo-pkg==1.0');
      expect([just.exitCode, just.all]).toEqual([0, expect.stringContaining('loses data')]);
      expect(just.all).toContain(`${FINAL}.metadata`);
    } finally {
      await server.stop();
    }
  });

  it('are sent to an index, once', async () => {
    await writeFile(dist('demo_pkg-1.0.tar.gz'), await sdistBytes([], 'demo_pkg-1.0'));
    await carport('release', 'put', dist(FINAL), dist('demo_pkg-1.0.tar.gz'), '--tag', 'v1.0.0');
    const index = await startPypiServer('dev', 'sekrit-1234');
    try {
      await writeFile(box().path('work/password'), 'sekrit-1234\n', { mode: 0o600 });
      const to = ['--to', index.url, '--user', 'dev', '--token-file', box().path('work/password')];
      const send = (...args: readonly string[]) => box().carport(['release', 'upload-pypi', ...args], { env });
      expect((await send('v1.0.0', '--to', index.url)).exitCode).toBe(4);
      expect((await send('v1.0.0', ...to, '--dry-run')).stderr).toContain(`would upload: ${FINAL}`);
      expect(await readdir(index.directory)).toEqual([]);
      expect(await send('v1.0.0', ...to)).toMatchObject({ exitCode: 0, lines: [FINAL, 'demo_pkg-1.0.tar.gz'] });
      expect(await readFile(join(index.directory, FINAL))).toEqual(await readFile(dist(FINAL)));
      const again = await send('v1.0.0', ...to, '--json');
      expect(JSON.parse(again.stdout).files.map(({ state }: { state: string }) => state)).toEqual([
        'unchanged',
        'unchanged',
      ]);
      await mkdir(box().path('work/other'));
      const other = await writeWheel(box().path('work/other'), { version: '1.0' });
      expect(await send(other, ...to)).toMatchObject({
        exitCode: 6,
        stderr: expect.stringContaining('with other bytes'),
      });
    } finally {
      await index.close();
    }
  });
});
