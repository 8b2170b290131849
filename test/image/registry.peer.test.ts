import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { request as send } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { useHttpServers } from '../support/http-server.js';
import { describeWithPeer } from '../support/peers.js';
import { type HttpProxy, startProxy } from '../support/proxy.js';
import { CRANE, missingForImages, type Registry, startRegistry } from '../support/registry.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox('all');

/** `dev:secret-of-registry`, by bcrypt with few rounds. */
const HTPASSWD = 'dev:$2y$04$q5xFIKBohsDOsCIGcwMiougTGlNaHwnl3OeKVqQg3z7IXn98E2Zda';
const LOGIN = Buffer.from('dev:secret-of-registry').toString('base64');

const MIB = 1024 * 1024;
const LARGE = 8 * MIB;

async function json(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return JSON.parse((await box().succeed([...args, '--json'], { env })).stdout);
}

function validate(image: string): void {
  execFileSync(CRANE, ['validate', '--insecure', '--remote', image], { stdio: 'pipe' });
}

describeWithPeer(missingForImages(), 'images in a registry', () => {
  let registry: Registry;
  let proxy: HttpProxy;
  beforeAll(async () => {
    registry = await startRegistry();
    proxy = await startProxy(registry.url);
    await writeFile(box().path('work/large'), randomBytes(LARGE));
    await writeFile(box().path('work/small'), 'small');
    await box().succeed([
      'image',
      'build',
      'large',
      '--name',
      'l:1',
      '--platform',
      'linux/amd64',
      '--out',
      'large-image',
    ]);
  }, 60_000);
  afterAll(async () => {
    await proxy?.close();
    await registry?.close();
  });
  beforeEach(() => {
    proxy.heal();
    proxy.reset();
  });
  const through = (name: string) => `127.0.0.1:${proxy.port}/${name}`;

  it('runs a closure, and sends one layer after one package was built anew', async () => {
    const store = ['--store', box().path('store')];
    const add = async (...args: readonly string[]) =>
      (await box().succeed(['store', 'add', ...args, ...store])).lines[0]!;
    await writeFile(box().path('work/data'), 'what it should print\n');
    const data = await add('data');
    const compile = async (version: string) => {
      const source = `#include <stdio.h>\nint main() { FILE *f = fopen("${data}", "r"); int c; while ((c = getc(f)) != EOF) putchar(c); puts("${version}"); }`;
      await mkdir(box().path('work', version, 'bin'), { recursive: true });
      execFileSync('gcc', ['-static', '-x', 'c', '-', '-o', box().path('work', version, 'bin/app')], { input: source });
      return add(version, '--name', 'app');
    };
    const name = `${registry.host}/team/app`;
    const push = async (path: string, tag: string) =>
      json(['image', 'push', path, `${name}:${tag}`, ...store, '--entrypoint', 'app', '--platform', 'linux/amd64']);
    const first = await push(await compile('one'), 'v1');
    expect(first.blobs).toMatchObject({ sent: 3, present: 0 });
    const second = await push(await compile('two'), 'v2');
    expect(second.blobs).toMatchObject({ sent: 2, present: 1 });
    for (const tag of ['v1', 'v2']) validate(`${name}:${tag}`);
    // What another program unpacks runs.
    execFileSync('skopeo', ['copy', '--src-tls-verify=false', `docker://${name}:v2`, `dir:${box().path('unpacked')}`], {
      stdio: 'pipe',
    });
    const { layers, config } = JSON.parse(await readFile(box().path('unpacked/manifest.json'), 'utf8'));
    await mkdir(box().path('root'));
    for (const { digest } of layers)
      execFileSync('tar', ['-xzf', box().path('unpacked', digest.slice(7)), '-C', box().path('root')]);
    const { Entrypoint } = JSON.parse(await readFile(box().path('unpacked', config.digest.slice(7)), 'utf8')).config;
    const printed = execFileSync('bwrap', ['--bind', box().path('root'), '/', ...Entrypoint]).toString();
    expect(printed).toBe('what it should print\ntwo\n');
    expect((await json(['image', 'ls', name])).tags).toEqual(['v1', 'v2']);
  });

  it.each(['oci', 'docker'])(
    'pushes, joins, copies and shows images of several platforms, in the documents of %s',
    async (format) => {
      for (const platform of ['linux/amd64', 'linux/arm/v6']) {
        const tag = platform.replaceAll('/', '-');
        await box().succeed([
          'image',
          'push',
          'small',
          `${registry.host}/${format}/a:${tag}`,
          '--platform',
          platform,
          '--format',
          format,
        ]);
      }
      const name = `${registry.host}/${format}/joined:1`;
      const parts = ['linux-arm-v6', 'linux-amd64'].map((tag) => `${registry.host}/${format}/a:${tag}`);
      const index = await json(['image', 'index', name, ...parts]);
      expect(index.image.platforms).toEqual(['linux/amd64', 'linux/arm/v6']);
      validate(name);
      execFileSync(
        'skopeo',
        ['copy', '--all', '--src-tls-verify=false', `docker://${name}`, `dir:${box().path(`all-${format}`)}`],
        { stdio: 'pipe' },
      );
      const { image } = await json(['image', 'inspect', name]);
      expect(image.images.map(({ platform }: { platform: string }) => platform)).toEqual([
        'linux/amd64',
        'linux/arm/v6',
      ]);
      const archive = `${format}.tar`;
      await box().succeed(['image', 'copy', name, archive]);
      const back = await json(['image', 'push', archive, `${registry.host}/${format}/back:1`]);
      expect(back.image.digest).toBe(index.image.digest);
      validate(`${registry.host}/${format}/back:1`);
    },
  );

  it('takes layers from another repository of the registry, and sends them where that is not to be had', async () => {
    await box().succeed(['image', 'push', 'large-image', through('from:1')]);
    const mounted = await json(['image', 'copy', through('from:1'), through('mounted:1')]);
    expect(mounted.blobs).toMatchObject({ mounted: 2, sent: 0 });
    const name = `127.0.0.1:${proxy.port}/refused:1`;
    proxy.fail({ match: ({ path }) => path.includes('mount='), times: 9, fault: { status: 405, body: '' } });
    const sent = await json(['image', 'copy', through('from:1'), name]);
    expect(sent.blobs).toMatchObject({ mounted: 0, sent: 2 });
    validate(`${registry.host}/refused:1`);
  });

  it('begins an upload again that was cut off, where the registry has thrown it away', async () => {
    const isUpload = ({ method }: { method: string }) => method === 'PATCH';
    proxy.fail({ match: isUpload, fault: 'reset-midway', times: 2 });
    await box().succeed(['image', 'push', 'large-image', through('cut:1')]);
    validate(`${registry.host}/cut:1`);
  });

  it('waits for a registry that is killed and comes back', async () => {
    const killing: Promise<void>[] = [];
    const match = ({ method }: { readonly method: string }) => {
      if (method === 'PATCH' && killing.length === 0) killing.push(registry.kill().then(() => registry.start()));
      return method === 'PATCH';
    };
    proxy.fail({ match, fault: 'reset-midway' });
    await box().succeed(['image', 'push', 'large-image', through('killed:1')]);
    await Promise.all(killing);
    validate(`${registry.host}/killed:1`);
  });

  it('does as it is told with 429 and 503, wherever they come', async () => {
    for (const skip of [0, 2, 4, 6, 8])
      proxy.fail({ skip, fault: { status: skip % 4 === 0 ? 429 : 503, retryAfter: 0 } });
    await box().succeed(['image', 'push', 'large-image', through('busy:1')]);
    validate(`${registry.host}/busy:1`);
  });

  it('refuses what is not what its digest says', async () => {
    await box().succeed(['image', 'push', 'large-image', through('damaged:1')]);
    proxy.fail({
      match: ({ method, path }) => method === 'GET' && path.includes('/blobs/'),
      times: 99,
      fault: { flip: 0 },
    });
    const { exitCode, stderr } = await box().carport(['image', 'copy', through('damaged:1'), 'oci:damaged:1']);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('is not what its digest says');
    proxy.heal();
    proxy.fail({ match: ({ path }) => path.includes('/manifests/sha256:'), times: 99, fault: { flip: 60 } });
    const { digest } = (await json(['image', 'inspect', `${registry.host}/damaged:1`])).image;
    expect((await box().carport(['image', 'inspect', through(`damaged@${digest}`)])).stderr).toContain(
      'is not what its digest says',
    );
  });
});

describeWithPeer(missingForImages(), 'a registry with logins', () => {
  const serve = useHttpServers();
  let registry: Registry;
  beforeAll(async () => {
    registry = await startRegistry(HTPASSWD);
    await writeFile(box().path('work/file'), 'x');
  });
  afterAll(() => registry?.close());
  const push = (host: string, env: Readonly<Record<string, string>>) =>
    box().carport(['image', 'push', 'file', `${host}/app:1`, '--platform', 'linux/amd64'], { env });
  const auths = (host: string, auth: string) => JSON.stringify({ auths: { [host]: { auth } } });

  it('takes them from variables, from files and from helpers, and says where there is none', async () => {
    const { host } = registry;
    const none = await push(host, {});
    expect(none.stderr).toContain('wants a login');
    const wrong = await push(host, {
      DOCKER_AUTH_CONFIG: auths(host, Buffer.from('dev:wrong-password-here').toString('base64')),
    });
    expect(wrong.stderr).toContain('E_CREDENTIALS');
    expect(wrong.stderr).not.toContain('wrong-password-here');
    await mkdir(box().path('docker'));
    await writeFile(box().path('docker/config.json'), auths(host, LOGIN));
    await mkdir(box().path('helped'));
    await writeFile(box().path('helped/config.json'), JSON.stringify({ credHelpers: { [host]: 'test' } }));
    const helper = box().path('bin/docker-credential-test');
    await writeFile(
      helper,
      `#!/bin/sh\nread server\n[ "$1 $server" = "get ${host}" ] && echo '{"Username":"dev","Secret":"secret-of-registry"}'\n`,
    );
    await chmod(helper, 0o755);
    for (const env of [
      { DOCKER_AUTH_CONFIG: auths(host, LOGIN) },
      { DOCKER_AUTH: auths(`https://${host}/v2/`, LOGIN) },
      { DOCKER_CONFIG: box().path('docker') },
      { DOCKER_CONFIG: box().path('helped') },
      { REGISTRY_AUTH_FILE: box().path('docker/config.json') },
    ]) {
      const { exitCode, stderr } = await push(host, env);
      expect(exitCode, stderr).toBe(0);
      expect(stderr).not.toContain('secret-of-registry');
    }
  });

  /** Stands before the registry, and wants tokens, each of which is good for a few requests. */
  async function gate(requests: number, seen: string[]) {
    let [left, token] = [0, 0];
    const { url } = await serve((request, response) => {
      const { pathname, searchParams } = new URL(request.url!, 'http://gate');
      if (pathname === '/token') {
        seen.push(`${request.headers.authorization === `Basic ${LOGIN}`} ${searchParams.getAll('scope').join(' ')}`);
        [left, token] = [requests, token + 1];
        response.end(JSON.stringify({ token: `token-number-${token}` }));
        return;
      }
      if (request.headers.authorization !== `Bearer token-number-${token}` || left-- <= 0) {
        const realm = `Bearer realm="http://${request.headers.host}/token",service="gate",scope="repository:app:pull,push"`;
        response.writeHead(401, { 'www-authenticate': realm, connection: 'close' }).end();
        return;
      }
      const [hostname, port] = registry.host.split(':');
      const headers = { ...request.headers, authorization: `Basic ${LOGIN}` };
      const passed = send({ hostname, port, path: request.url, method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy());
      request.pipe(passed);
    });
    return url.host;
  }

  it.each([1, 2, 3, 50])('gets a new token when the old one has expired, after %i requests', async (requests) => {
    const seen: string[] = [];
    const host = await gate(requests, seen);
    const { exitCode, stderr } = await push(host, { DOCKER_AUTH_CONFIG: auths(host, LOGIN) });
    expect(exitCode, stderr).toBe(0);
    expect(new Set(seen)).toEqual(new Set(['true repository:app:pull,push']));
  });

  it('tells nobody else the login, whatever the registry says', async () => {
    const heard: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      heard.push(request.headers.authorization);
      response.writeHead(404).end();
    });
    const { url } = await serve((request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      else if (request.method === 'POST') response.writeHead(202, { location: `${other.url}upload` }).end();
      else response.writeHead(307, { location: `${other.url}blob` }).end();
    });
    const env = { DOCKER_AUTH_CONFIG: auths(url.host, LOGIN) };
    expect((await push(url.host, env)).exitCode).not.toBe(0);
    expect((await box().carport(['image', 'inspect', `${url.host}/app:1`], { env })).exitCode).not.toBe(0);
    expect(heard.length).toBeGreaterThan(1);
    expect(new Set(heard)).toEqual(new Set([undefined]));
  });

  it('sends the rest of an upload that was cut off', async () => {
    const [blobs, uploads] = [new Map<string, Buffer>(), [] as Buffer[]];
    const ranges: (string | undefined)[] = [];
    const { url } = await serve(async (request, response) => {
      const { pathname, searchParams } = new URL(request.url!, 'http://stand-in');
      if (request.method === 'POST') uploads.push(Buffer.alloc(0));
      const id = request.method === 'POST' ? uploads.length - 1 : Number(pathname.split('/').at(-1));
      const answer = (status: number) => {
        const location = `/v2/app/blobs/uploads/${id}?state=a%2Fb`;
        response.writeHead(status, { location, range: `0-${(uploads[id]?.length ?? 0) - 1}` }).end();
      };
      if (request.method === 'HEAD') return answer(blobs.has(pathname.split('/').at(-1)!) ? 200 : 404);
      if (request.method === 'GET') return answer(204);
      if (request.method === 'POST') return answer(202);
      const isLarge = Number(request.headers['content-length']) > 1.5 * MIB;
      if (isLarge) ranges.push(request.headers['content-range']);
      let taken = 0;
      for await (const piece of request) {
        if (request.method === 'PATCH') uploads[id] = Buffer.concat([uploads[id]!, piece as Buffer]);
        taken += (piece as Buffer).length;
        if (isLarge && taken > MIB && ranges.length < 3) return response.destroy();
      }
      if (request.method === 'PATCH') return answer(202);
      const digest = searchParams.get('digest');
      if (digest === null) return answer(201);
      expect(searchParams.get('state')).toBe('a/b');
      const isRight = digest === `sha256:${createHash('sha256').update(uploads[id]!).digest('hex')}`;
      if (isRight) blobs.set(digest, uploads[id]!);
      return answer(isRight ? 201 : 400);
    });
    await writeFile(box().path('work/larger'), randomBytes(5 * MIB));
    const args = ['image', 'push', 'larger', `${url.host}/app:1`, '--compression', 'none', '--platform', 'linux/amd64'];
    expect((await json(args)).blobs).toMatchObject({ sent: 2 });
    expect([...blobs.values()].some(({ length }) => length > 5 * MIB)).toBe(true);
    expect(uploads.filter(({ length }) => length > MIB)).toHaveLength(1);
    expect(ranges.filter(Boolean).length).toBeGreaterThanOrEqual(2);
  });

  it('believes no manifest without an end', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
      response.on('error', () => undefined);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(MIB)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    expect((await box().carport(['image', 'inspect', `${url.host}/app:1`])).stderr).toContain('is larger than');
  });
});
