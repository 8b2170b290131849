import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { answerWith, readRequest, useHttpServers } from '../support/http-server.js';
import { createAdder, noise } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';

/** More than a pipe holds. */
const SIZE = 4 * 1024 * 1024;

describe('what is read for long', () => {
  const box = useSandbox();
  const serve = useHttpServers();
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  const root = () => box().path('data/carport');
  const add = async () => {
    const adder = createAdder(root(), box().path('trees'));
    const { path: base } = await adder('base', { noise: noise(SIZE, 1) });
    const { path: top } = await adder('top', { noise: noise(SIZE, 2), base });
    await adder.close();
    return { base, top };
  };
  const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const child = spawn(process.execPath, [CARPORT, ...args], {
      ...{ env: { ...box().env, ...env }, cwd: box().path('work') },
    });
    children.push(child);
    child.stdin.end();
    return child;
  };
  const markers = async () =>
    (await readdir(`${root()}/nix/var/carport/active`).catch(() => [])).filter((name) => name.endsWith('.use'));

  it('by an export stays until that ends', async () => {
    const { base, top } = await add();
    const child = start(['export', top]);
    await once(child.stdout, 'readable');
    expect((await box().succeed(['store', 'ls', '--roots'])).stdout).toContain(
      `running process ${child.pid} -> ${top}`,
    );
    expect((await box().succeed(['store', 'gc'])).stdout).toBe('');
    let size = 0;
    child.stdout.on('data', (bytes: Buffer) => {
      size += bytes.length;
    });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(size).toBeGreaterThan(2 * SIZE);
    expect(await markers()).toEqual([]);
    expect((await box().succeed(['store', 'gc'])).lines).toEqual([base, top].sort());
  });

  it('by a push has a marker, too', async () => {
    const { top } = await add();
    let seen: readonly string[] | undefined;
    // A bucket that looks when something is put there.
    const objects = new Map<string, Buffer>();
    const { url } = await serve(async (request, response) => {
      const { pathname: key, searchParams } = new URL(request.url!, url);
      const body = await readRequest(request);
      if (request.method === 'PUT') {
        seen ??= await markers();
        objects.set(key, body);
        return answerWith(response, '', { headers: { etag: '"x"' } });
      }
      if (searchParams.has('list-type')) return answerWith(response, '<ListBucketResult></ListBucketResult>');
      const found = objects.get(key);
      if (found) return answerWith(response, found);
      answerWith(response, '<Error><Code>NoSuchKey</Code></Error>', { status: 404 });
    });
    const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
    const child = start(['push', top, '--to', `s3://nix?endpoint=${url.origin}&region=r`], env);
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(seen).toHaveLength(1);
    expect(await markers()).toEqual([]);
  });
});
